"""Cold start, sessions, similar items, several edits at once; and that what there was before has kept its bits."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.sections import parse
from finest.data.dataset import Dataset
from finest.errors import ConfigError
from finest.memory.counts import used_together
from finest.perturb import kinds
from finest.perturb.config import Combined, Perturb, Scenario
from finest.perturb.edits import draw, from_table, to_table
from finest.perturb.families.sessions import MINUTE
from finest.perturb.plan import plan
from tests.builders import random_dataset, written_dataset

DATA = random_dataset(users=60, items=40)


def test_what_was_drawn_before_is_drawn_still() -> None:
    """The digest is of the version that had deletion, replacement and insertion alone."""
    families: list[Any] = ["random", "earliest", "latest", {"name": "casper", "look_back": 5}]
    rarest = [{"name": kind, "new_item": "least_popular"} for kind in ("replacement", "insertion")]
    scenarios = [
        {"family": family, "kind": kind, "share": 0.05, "seed": seed}
        for family in families
        for kind in ("deletion", "replacement", "insertion", *rarest)
        for seed in (0, 1)
    ]
    table, _ = plan(DATA, Perturb.model_validate({"scenarios": scenarios}), 0)
    columns = ["scenario", "kind", "row", "user", "old_item", "new_item"]
    said = repr([table.column(name).to_pylist() for name in columns]).encode()
    assert hashlib.sha256(said).hexdigest() == "ac09ea8109f102675b146108f173357929d53c2eb6409d4d2d0050f0403f8052"
    assert table.column("new_timestamp").null_count == len(table)


@given(st.sampled_from(["users", "items"]), st.integers(1, 25), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_cold_start_touches_the_cold_alone(of: str, most: int, seed: int) -> None:
    whose = DATA.user if of == "users" else DATA.item
    count = np.bincount(whose[DATA.train], minlength=whose.max() + 1)
    cold = DATA.train & (count[whose] <= most)
    scenario = Scenario.model_validate(
        {"family": {"name": "cold_start", "of": of, "max_interactions": most}, "kind": "deletion", "seed": seed}
    )
    if not cold.any():
        with pytest.raises(
            ConfigError, match=r"only 0 training rows of cold users or items .a larger max_interactions"
        ):
            draw(DATA, scenario)
        return
    (edits,) = draw(DATA, scenario)
    assert len(edits) == max(1, round(0.001 * DATA.train.sum())) and cold[edits.row].all()


def visits(seed: int) -> Dataset:
    """Users whose training rows are a minute apart, or an hour where a session begins."""
    generator = np.random.default_rng(seed)
    histories, times = {}, []
    for user in range(8):
        size = int(generator.integers(2, 12))
        pause = np.where(generator.random(size + 1) < 0.4, 60 * MINUTE, MINUTE)
        times += (10**12 * (user % 3) + np.cumsum(pause)).tolist()
        histories[f"u{user}"] = " ".join(f"i{item}" for item in generator.integers(0, 6, size)) + " | i1"
    return written_dataset(histories, timestamps=times)


@given(st.integers(0, 200), st.floats(0.05, 0.5), st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_sessions_are_taken_whole_and_as_many_as_fit(of: int, share: float, seed: int) -> None:
    data = visits(of)
    row = np.flatnonzero(data.train)
    sessions: list[set[int]] = []
    for place, one in enumerate(row.tolist()):
        before = row[place - 1] if place else one
        new = (
            not place
            or data.user[one] != data.user[before]
            or data.timestamp[one] - data.timestamp[before] > 30 * MINUTE
        )
        if new:
            sessions.append(set())
        sessions[-1].add(one)
    count = max(1, round(share * len(row)))
    scenario = Scenario(family="sessions", kind="deletion", share=share, seed=seed)
    if min(map(len, sessions)) > count:
        with pytest.raises(ConfigError, match=r"there are no sessions as short as that .*raise its share"):
            draw(data, scenario)
        return
    taken = set(draw(data, scenario)[0].row.tolist())
    left = [session for session in sessions if not session <= taken]
    assert 0 < len(taken) <= count
    assert not any(session & taken for session in left)
    assert all(len(session) > count - len(taken) for session in left)


def test_a_similar_item_is_one_that_the_same_users_have() -> None:
    data = written_dataset({f"u{user}": "a b" if user % 2 else "c d e" for user in range(12)} | {"alone": "z"})
    code = {name: number for number, name in enumerate(data.item_ids)}
    old = np.array([code[name] for name in "abcde"] * 20)
    new = kinds.similar(data, old, np.random.default_rng(0))
    found = {(data.item_ids[one], data.item_ids[other]) for one, other in zip(old, new, strict=True)}
    assert found == {(x, y) for group in ("ab", "cde") for x in group for y in group if x != y}
    alone = kinds.similar(data, np.full(50, code["z"]), np.random.default_rng(0))
    assert set(alone.tolist()) == {code[name] for name in "abcde"}


def test_what_is_similar_depends_on_no_number_of_threads() -> None:
    one, four = (used_together(DATA, 10, threads) for threads in (1, 4))
    assert np.array_equal(one.indices, four.indices) and np.array_equal(one.indptr, four.indptr)
    assert np.diff(one.indptr).max() == 10


CHANGES: list[dict[str, Any]] = [
    {"kind": "deletion"},
    {"family": "latest", "kind": "timestamp_jitter"},
    {
        "family": {"name": "cold_start", "max_interactions": 20},
        "kind": {"name": "insertion", "new_item": "least_popular"},
    },
    {"family": "earliest", "kind": "replacement"},
]


@given(st.lists(st.sampled_from(CHANGES), min_size=2, unique_by=repr), st.floats(0.006, 0.08), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_several_edits_at_once_are_the_share_in_total_and_no_row_is_edited_twice(
    changes: list[dict[str, Any]], share: float, seed: int
) -> None:
    scenario = Combined.model_validate({"edits": changes, "share": share, "seed": seed})
    parts = draw(DATA, scenario)
    row = np.concatenate([part.row for part in parts])
    assert len(row) == max(1, round(share * DATA.train.sum())) == len(np.unique(row))
    assert DATA.train[row].all()
    assert [part.kind for part in parts] == [change.kind.name for change in scenario.edits]
    sizes = [len(part) for part in parts]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] - sizes[-1] <= 1
    again = to_table({"s": draw(DATA, scenario)}, DATA)
    assert again.equals(to_table({"s": parts}, DATA))
    back = from_table(again, DATA)["s"]
    assert sum(map(len, back)) == len(row) and {of.kind for of in back} == {of.kind for of in parts}


def test_several_edits_are_named_by_all_of_them() -> None:
    scenario = {"edits": CHANGES[:3], "share": 0.01, "training_seed": "fresh"}
    (made,) = parse(Perturb, {"scenarios": [scenario]}, "perturb").scenarios
    assert made.name == (
        "random-deletion-and-latest-timestamp_jitter-and-"
        "cold_start-insertion-max_interactions20-least_popular-0.01-s0-fresh"
    )


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ({"edits": CHANGES[:1]}, r"perturb.scenarios.0.edits .*at least 2 items"),
        (
            {"edits": CHANGES[:2], "kind": "deletion"},
            r"perturb.scenarios.0: cannot have kind .*each of `edits` has its",
        ),
        ({"edits": [{"kind": "deletion", "share": 0.1}, *CHANGES]}, r"edits.0.share: there is no such config key"),
        ({"edits": CHANGES[:1] * 12}, r"perturb.scenarios.0: its edits make the name .* longer than 180 characters"),
        ({"file": "x.parquet", "kind": "deletion"}, r"perturb.scenarios.0: cannot have kind .*the file says it all"),
        ({"file": "seed.parquet"}, r"give it another name than seed, which a control has"),
        ({"file": "a b.parquet"}, r"give it another name than a b, which files and metrics cannot have"),
        ({"file": "x.parquet", "sha256": "12"}, r"perturb.scenarios.0.sha256 = '12'"),
        ({"file": "s3://key:secret@bucket/x.parquet"}, r"must hold no credentials"),
        ("deletion", r"perturb.scenarios.0 = 'deletion'"),
    ],
)
def test_a_scenario_that_cannot_be_meant_is_one_line(scenario: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        parse(Perturb, {"scenarios": [scenario]}, "perturb")
    assert "\n" not in str(raised.value) and "secret" not in str(raised.value)


def test_fewer_rows_than_edits_are_an_error() -> None:
    with pytest.raises(ConfigError, match="edits 1 rows, fewer than its 2 edits; raise its share"):
        draw(written_dataset({"ann": "a b c"}), Combined.model_validate({"edits": CHANGES[:2]}))
