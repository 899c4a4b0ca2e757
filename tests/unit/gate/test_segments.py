"""Rules `segments` and `flips`: harm to some is refused though the mean hides it, and honest trainings pass."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finest.data import schema
from finest.errors import DataError
from finest.gate.config import Gate
from finest.gate.evidence import read_evidence
from finest.gate.judge import judge
from finest.gate.measure import measure
from finest.gate.rls import ByUser
from finest.gate.significance import below_zero, holm, more_than
from finest.gate.statistic import Statistic
from finest.gate.verdict import Segment, Verdict
from finest.ranklists import file
from finest.testing.rank_lists import EACH, PROBES, USERS, Run, made_up
from tests.unit.gate.made_up_run import CONTROLS, data_folder, failed, judged, noise, rule

TUNED = ("clean", *PROBES, *CONTROLS)
SOME = np.arange(30).repeat(EACH) * EACH + np.tile(np.arange(EACH), 30)
"""The instances of the first thirty users."""


def judged_by(run: Run, folder: Path, *rules: str, **options: Any) -> Verdict:
    run.config |= {"rules": list(rules), **options}
    return judged(run, folder)


def segment(verdict: Verdict, value: str) -> Segment:
    return next(each for each in verdict.segments if each.value == value)


def mapped(folder: Path, **columns: Sequence[str | None]) -> Path:
    """The data's folder, with segments that ingest has kept: a value a user."""
    data = data_folder(folder)
    table = {
        "user": np.repeat([f"u{code}" for code in range(USERS)], EACH),
        "position": pa.array(np.tile(np.arange(EACH), USERS) + 7, pa.int32()),
    }
    values = {f"segment/{name}": np.repeat(np.array(each, dtype=object), EACH) for name, each in columns.items()}
    pq.write_table(pa.table(table | values), data / schema.SEGMENTS)
    return data


def with_worse(run: Run, rows: np.ndarray, better: float = 0.0) -> Run:
    """The same, with lists at random for some instances, and targets ranked higher for the others."""
    scores = run.scores["clean", "tuned"].copy()
    others = np.setdiff1d(np.arange(len(scores)), rows)
    scores[rows] = noise(1)[rows]
    scores[others, run.target[others]] += better
    run.scores["clean", "tuned"] = scores
    return run


def test_a_country_that_gets_lists_at_random_is_refused_though_the_mean_rises(tmp_path: Path) -> None:
    run = with_worse(made_up(), SOME, better=1.0)
    run.data = mapped(tmp_path / "data", country=["AT"] * 30 + ["DE"] * 69 + [None])
    verdict = judged_by(run, tmp_path, "segments", "accuracy")
    found = rule(verdict, "segments.base")
    assert rule(verdict, "accuracy.base").status == "pass"
    assert verdict.metrics["accuracy/mrr"] > verdict.metrics["accuracy_base/mrr"]
    assert found.status == "fail" and found.option == "gate.max_segment_drop"
    assert "country, AT (30 users, 90 instances)" in found.sentence
    austria = segment(verdict, "AT")
    assert f"{austria.mrr['candidate']:.4f}" in found.sentence and f"{austria.mrr['base']:.4f}" in found.sentence
    assert "base" in austria.hurt and segment(verdict, "DE").hurt == []
    assert verdict.segments[2] == austria  # behind everyone, by instance and by user
    assert segment(verdict, "unknown").p is None


def test_a_segment_of_fewer_users_than_the_least_is_reported_and_not_tested(tmp_path: Path) -> None:
    run = with_worse(made_up(), SOME)
    run.data = mapped(tmp_path / "data", country=["AT"] * 30 + ["DE"] * 70)
    verdict = judged_by(run, tmp_path, "segments", min_segment_users=31)
    austria = segment(verdict, "AT")
    assert (austria.users, austria.p, austria.hurt) == (30, None, [])
    assert austria.ratios["base"].value is not None and austria.ratios["base"].value < 0.5
    assert "of fewer than 31 users." in rule(verdict, "segments.stability").sentence


def test_a_drop_is_refused_only_above_the_margin(tmp_path: Path) -> None:
    run = with_worse(made_up(), SOME)
    run.data = mapped(tmp_path / "data", country=["AT"] * 30 + ["DE"] * 70)
    assert rule(judged_by(run, tmp_path, "segments"), "segments.base").status == "fail"
    held = judged_by(run, tmp_path, "segments", max_segment_drop=0.99, max_odd_users=0.5)
    assert rule(held, "segments.base").status == "pass"


def test_a_segment_whose_lists_edits_move_further_with_finest_is_refused(tmp_path: Path) -> None:
    run = made_up()
    for seed, probe in enumerate(PROBES):
        run.scores[probe, "tuned"][SOME] += noise(1.5, seed)[SOME]
    run.data = mapped(tmp_path / "data", device=["phone"] * 30 + ["desktop"] * 70)
    verdict = judged_by(run, tmp_path, "segments")
    assert failed(verdict) == {"segments.stability"}
    phone = segment(verdict, "phone")
    assert phone.hurt == ["stability"] and phone.rls["tuned"] < phone.rls["base"]


def test_a_drop_against_the_champion_counts_on_comparable_instances_alone(tmp_path: Path) -> None:
    def run(after_cut: bool) -> Run:
        run = made_up(champion=True)
        run.scores["champion", "tuned"][SOME, run.target[SOME]] += 9
        assert run.after_cut is not None
        run.after_cut[SOME] = after_cut
        run.data = mapped(tmp_path / f"data-{after_cut}", country=["AT"] * 30 + ["DE"] * 70)
        return run

    verdict = judged_by(run(True), tmp_path, "segments")
    assert failed(verdict) == {"segments.champion"}
    assert segment(verdict, "AT").hurt == ["champion"] and segment(verdict, "AT").churn is not None
    assert failed(judged_by(run(False), tmp_path, "segments")) == set()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("still", "of 12 users they stand still"),
        ("copied", "36 lists of 300 are a simple recommender's"),
        ("strange", "of 12 users they have next to nothing in common"),
    ],
)
def test_users_with_odd_lists_are_refused_wherever_they_are(tmp_path: Path, kind: str, says: str) -> None:
    run = made_up()
    users = np.random.default_rng(3).choice(USERS, 12, replace=False)
    for user in users:
        rows = slice(user * EACH, (user + 1) * EACH)
        scores = run.scores["clean", "tuned"]
        if kind == "still":
            scores[rows] = scores[user * EACH]
        elif kind == "copied":
            scores[rows] = run.scores["popularity", "tuned"][rows]
        else:
            scores[rows] = -run.scores["clean", "base"][rows]
    verdict = judged_by(run, tmp_path, "segments")
    found = rule(verdict, "segments.odd")
    assert found.status == "fail" and found.option == "gate.max_odd_users"
    assert says in found.sentence and found.value == pytest.approx(0.12)
    assert verdict.metrics["odd_users"] == pytest.approx(0.12)


def a_tenth(run: Run) -> np.ndarray:
    """Instances of many users, of none of them all."""
    return np.arange(0, len(run.target), 10)


def cached(run: Run) -> None:
    rows = a_tenth(run)
    run.scores["clean", "tuned"][rows] = run.scores["champion", "tuned"][rows]


def cached_but_for_the_last_place(run: Run) -> None:
    cached(run)
    rows = a_tenth(run)
    order = np.argsort(-run.scores["clean", "tuned"][rows], axis=1)
    last, behind = order[:, [19]], order[:, [20]]
    scores = run.scores["clean", "tuned"][rows]
    np.put_along_axis(scores, last, np.take_along_axis(scores, behind, 1) - 1e-3, 1)
    run.scores["clean", "tuned"][rows] = scores


def kept_from_the_champion(run: Run) -> None:
    cached(run)
    run.described = {(variant, "tuned"): {"reference": "champion/3"} for variant in TUNED}


def not_refreshed(run: Run) -> None:
    rows = a_tenth(run)
    rows = rows[rows % EACH > 0]
    run.scores["clean", "tuned"][rows] = run.scores["clean", "tuned"][rows - 1]


def falls_back(run: Run) -> None:
    rows = a_tenth(run)
    run.scores["clean", "tuned"][rows] = run.scores["popularity", "tuned"][rows]


@pytest.mark.parametrize(
    "attack", [cached, cached_but_for_the_last_place, kept_from_the_champion, not_refreshed, falls_back]
)
def test_odd_lists_are_refused_though_no_user_has_them_alone(attack: Callable[[Run], None], tmp_path: Path) -> None:
    run = made_up(champion=True)
    attack(run)
    found = rule(judged_by(run, tmp_path, "segments"), "segments.odd")
    assert found.status == "fail" and found.value is not None and 0.05 < found.value < 0.11
    assert "the champion's or the same user's one before" in found.sentence


def test_lists_that_have_nothing_of_the_champions_are_told_though_every_stage_has_them(tmp_path: Path) -> None:
    run = made_up(champion=True)
    for variant in TUNED:
        for stage in ("base", "tuned"):
            run.scores[variant, stage][SOME[: 8 * EACH]] *= -1
    verdict = judged_by(run, tmp_path, "segments")
    found = rule(verdict, "segments.apart")
    assert found.status == "fail" and "8 users of 100 (8.0%)" in found.sentence and "joined by place" in found.todo
    new = judged_by(run, tmp_path, "segments", max_churn_over_seed="off")
    assert rule(new, "segments.apart").status == "not applicable"
    assert rule(judged_by(made_up(champion=True), tmp_path, "segments"), "segments.apart").status == "pass"


def unranked(run: Run, folder: Path, *rules: str) -> Verdict:
    """The verdict where no stage ranks a tenth of the targets, and no list has them."""
    rows = a_tenth(run)
    for variant in TUNED:
        for stage in ("base", "tuned"):
            run.scores[variant, stage][rows, run.target[rows]] = -np.inf
    lists = folder / "lists"
    run.write(lists)
    for path in sorted(lists.glob("*/*.parquet")):
        if path.stem in TUNED:
            one = file.read(path)
            rank = one.target_rank.copy()
            rank[rows] = np.nan
            file.write(replace(one, target_rank=rank), path)
    return judge([lists], Gate.model_validate(run.config | {"rules": list(rules)}), data=run.data)


@pytest.mark.parametrize("known", [True, False])
def test_a_target_that_the_candidate_alone_does_not_rank_is_one_that_it_does_not_find(
    known: bool, tmp_path: Path
) -> None:
    run = made_up(champion=True)
    run.data = data_folder(tmp_path / "data") if known else None
    verdict = unranked(run, tmp_path, "accuracy")
    assert "30 of which the candidate does not rank" in rule(verdict, "accuracy.champion").sentence
    ranked = rule(judged_by(made_up(champion=True), tmp_path, "accuracy"), "accuracy.champion").value
    found = rule(verdict, "accuracy.champion").value
    assert ranked is not None and found is not None and found == pytest.approx(0.9 * ranked, rel=0.05)


def test_users_whose_lists_are_odd_with_the_base_model_too_do_not_count(tmp_path: Path) -> None:
    run = made_up()
    for stage in ("base", "tuned"):
        run.scores["clean", stage][SOME] = run.scores["popularity", "tuned"][SOME]
    found = rule(judged_by(run, tmp_path, "segments"), "segments.odd")
    assert found.value is not None and found.value <= 0


def test_what_is_not_there_is_not_applicable_and_the_rest_is_decided(tmp_path: Path) -> None:
    run = made_up()
    for name in [name for name in run.scores if name[0] in (*PROBES, "seed")]:
        del run.scores[name]
    verdict = judged_by(run, tmp_path, "segments", "flips")
    absent = {each.name for each in verdict.rules if each.status == "not applicable"}
    assert absent == {"segments.champion", "segments.stability", "segments.apart", "flips"}
    assert rule(verdict, "segments.base").status == "pass"
    assert "add the control `seed`" in rule(verdict, "flips").sentence


def test_too_few_users_cannot_be_told_about(tmp_path: Path) -> None:
    verdict = judged_by(made_up(), tmp_path, "segments", min_segment_users=USERS + 1)
    assert {each.status for each in verdict.rules if each.rule == "segments"} == {"not applicable"}
    assert {each.p for each in verdict.segments} == {None}


def test_lists_of_an_instance_without_segments_are_refused_with_its_name(tmp_path: Path) -> None:
    run = made_up()
    run.data = mapped(tmp_path / "data", country=["AT"] * USERS)
    table = pq.read_table(run.data / schema.SEGMENTS)
    pq.write_table(table.slice(1), run.data / schema.SEGMENTS)
    with pytest.raises(DataError, match=r"segments.parquet has no row of user u0, position 7"):
        judged_by(run, tmp_path, "segments")


def test_the_data_adds_popularity_and_only_the_largest_values_of_a_column_are_segments(tmp_path: Path) -> None:
    run = made_up()
    run.data = mapped(tmp_path / "data", city=[f"c{user % 25:02}" for user in range(USERS)])
    verdict = judged_by(run, tmp_path, "segments")
    cut = {each.value for each in verdict.segments if each.cut == "target's popularity"}
    cities = [each for each in verdict.segments if each.cut == "city"]
    assert cut == {"head", "middle", "tail"}
    assert len(cities) == 21 and sum(each.instances for each in cities) == USERS * EACH
    assert segment(verdict, "5 others").users == 20


def test_swapped_honest_trainings_pass_all_segments(tmp_path: Path) -> None:
    run = made_up()
    for one, other in (("clean", "seed"), ("seed", "clean")):
        swapped = made_up()
        swapped.scores["clean", "tuned"] = run.scores[one, "tuned"]
        swapped.scores["clean", "base"] = run.scores[other, "tuned"]
        verdict = judged_by(swapped, tmp_path, "segments")
        assert not {name for name in failed(verdict) if name.startswith("segments")}


def test_flips_refuse_a_candidate_that_loses_hits_which_another_seed_keeps(tmp_path: Path) -> None:
    run = made_up()
    hit = np.random.default_rng(0).random(USERS * EACH) < 0.5
    run.scores["clean", "tuned"][np.flatnonzero(hit), run.target[hit]] -= 9
    verdict = judged_by(run, tmp_path, "flips")
    found = rule(verdict, "flips")
    assert found.status == "fail" and found.option == "gate.max_flips_above_seed"
    assert "Of the base model's" in found.sentence and found.todo
    assert found.value == pytest.approx(verdict.metrics["flips/of_hits"] - verdict.metrics["flips/seed"])
    assert 0 < verdict.metrics["flips/of_users"] < verdict.metrics["flips/of_hits"] < 1


def test_flips_are_against_the_champion_where_there_is_one(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.scores["champion", "tuned"] = run.scores["clean", "tuned"] + noise(0.01)
    found = rule(judged_by(run, tmp_path, "flips"), "flips")
    assert found.status == "pass" and "Of the champion's" in found.sentence
    assert found.value is not None and found.value < 0


def mean_of(values: npt.NDArray[np.float64]) -> Statistic:
    return ByUser(np.arange(len(values))).means([values])[0]


def test_a_test_is_at_five_percent_where_the_bound_of_the_ratio_is() -> None:
    random = np.random.default_rng(0)
    gained, had = random.gamma(0.5, 1.0, (2, 400))
    above, below = ByUser(np.arange(400)).means([had + 0.1 * gained, had])
    assert below_zero(above - (above / below).high * below) == pytest.approx(0.05, abs=0.005)
    assert below_zero(above - (above / below).low * below) == pytest.approx(0.95, abs=0.005)


def test_a_family_of_harmless_segments_is_refused_in_about_one_of_twenty() -> None:
    random = np.random.default_rng(0)
    family = random.normal(0, 1, (400, 20, 35))
    refused = [min(holm([below_zero(mean_of(each)) for each in night])) < 0.05 for night in family]
    assert 0.02 < np.mean(refused) < 0.08


def test_odd_users_are_counted_exactly_where_the_base_model_has_none() -> None:
    def p(more: int, fewer: int, users: int = 200) -> float:
        excess = np.repeat([1.0, -1.0, 0.0], [more, fewer, users - more - fewer])
        return more_than(mean_of(excess), excess, 0.01)

    assert p(0, 0) == p(0, 200) == 1
    assert p(10, 0) == pytest.approx(1 - sum(math.comb(200, k) * 0.01**k * 0.99 ** (200 - k) for k in range(10)))
    assert p(10, 0) < p(10, 1) < p(10, 6) < 0.5 < p(5, 10)


def test_a_further_attempt_needs_no_more_proof_of_lost_hits(tmp_path: Path) -> None:
    made_up().write(tmp_path)
    evidence = read_evidence([tmp_path], {})
    first, third = (measure(evidence, 30, confidence=confidence) for confidence in (0.95, 0.99))
    assert third.mrr["candidate"].low < first.mrr["candidate"].low
    assert first.flips is not None and first.flips.excess is not None
    assert third.flips is not None and third.flips.excess is not None
    assert third.flips.excess.low == first.flips.excess.low
