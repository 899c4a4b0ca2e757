"""Rank lists that do not belong together, or do not suffice, end in one line that says which and what to do."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finest.errors import DataError
from finest.gate.config import Gate
from finest.gate.evidence import read_evidence
from finest.gate.judge import judge
from finest.ranklists import file
from finest.ranklists.schema import RankLists
from tests.unit.gate.made_up_run import EACH, PROBES, USERS, data_folder, failed, judged, made_up, noise

GATE = Gate()


def rewrite(path: Path, change: Callable[[RankLists], RankLists]) -> None:
    file.write(change(file.read(path)), path)


def refusal(folder: Path, config: Gate = GATE) -> str:
    with pytest.raises(DataError) as error:
        judge([folder], config)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a run in which every rule holds."""
    made_up(champion=True).write(tmp_path)
    return tmp_path


def test_another_instance_is_named_with_both_files(folder: Path) -> None:
    def swap(lists: RankLists) -> RankLists:
        user = lists.user.copy()
        user[3:6] = "somebody else"
        return replace(lists, user=user)

    rewrite(folder / "tuned" / "seed.parquet", swap)
    message = refusal(folder)
    assert f"{folder}/tuned/seed.parquet are not about the same instances" in message
    assert "row 4 is user u1, position 7, target" in message and "is user somebody else" in message.replace("and", "is")


def test_missing_instances_are_counted(folder: Path) -> None:
    def cut(lists: RankLists) -> RankLists:
        fields = ("user", "position", "target", "target_rank", "items", "scores", "after_cut")
        return replace(
            lists, **{name: getattr(lists, name)[:-2] for name in fields if getattr(lists, name) is not None}
        )

    rewrite(folder / "tuned" / "champion.parquet", cut)
    assert "they have 300 and 298 rows" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exclude_seen": True}, "exclude_seen is False and True"),
        ({"catalogue": {"items": 61, "digest": "x"}}, "the number of items in the catalogue is 60 and 61"),
        ({"model": "another"}, "model is made-up and another"),
        ({"data_fingerprint": "last week"}, "data_fingerprint is today and last week"),
        ({"reference": "champion/2"}, "reference is base and champion/2"),
        ({"protocol": None}, "protocol is anchored and None"),
    ],
)
def test_descriptions_that_contradict_each_other_are_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    run = made_up()
    run.described[PROBES[1], "tuned"] = change
    for row in range(USERS * EACH):  # what a user chose before is in no list: the file itself is in order
        run.scores[PROBES[1], "tuned"][row, run.target[row - row % EACH : row]] = -np.inf
    run.write(tmp_path)
    message = refusal(tmp_path)
    assert said in message and f"{PROBES[1]}.parquet" in message and "clean.parquet" in message


def test_the_champion_may_have_a_catalogue_model_and_data_of_its_own(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.described["champion", "tuned"] = {
        "catalogue": {"items": 61, "digest": "x"},
        "model": "older",
        "data_fingerprint": "last week",
    }
    assert judged(run, tmp_path).verdict == "pass"


def test_the_popularity_baseline_may_not(tmp_path: Path) -> None:
    run = made_up()
    run.described["popularity", "tuned"] = {"catalogue": {"items": 60, "digest": "x"}}
    run.write(tmp_path)
    assert "the catalogue's digest" in refusal(tmp_path)


def test_two_files_for_the_same_variant_are_refused(folder: Path) -> None:
    shutil.copy(folder / "tuned" / "seed.parquet", folder / "tuned" / "seed-again.parquet")
    message = refusal(folder)
    assert "both hold the lists of: control, seed, tuned, group 0, anchored; keep one of them" in message
    assert "seed.parquet" in message and "seed-again.parquet" in message


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (["control-seed", "tuned/seed", "base/seed"], "control seed base (for stability)"),
        (
            ["tuned/rounding", "base/rounding"],
            "control rounding base (for stability and frozen), control rounding tuned (for frozen)",
        ),
        (
            ["tuned/identity", "base/identity"],
            "control identity tuned (for sanity), control identity base (for sanity)",
        ),
        (
            [f"{stage}/{probe}" for stage in ("tuned", "base") for probe in PROBES],
            "probe tuned (for stability and gain and frozen)",
        ),
        (["tuned/popularity"], "popularity (for collapse)"),
        (["tuned/repeat_last"], "repeat_last (for collapse)"),
        (
            ["base/clean"],
            "clean base (for stability and gain and accuracy and collapse and sanity and frozen and segments and "
            "flips)",
        ),
    ],
)
def test_a_needed_role_that_is_missing_is_named_with_the_rules_that_need_it(
    folder: Path, gone: list[str], said: str
) -> None:
    for name in gone:
        (folder / f"{name}.parquet").unlink(missing_ok=True)
    message = refusal(folder)
    assert said in message
    assert "add these files or drop the rules from gate.rules" in message


def test_without_a_candidate_there_is_nothing_to_judge(folder: Path) -> None:
    (folder / "tuned" / "clean.parquet").unlink()
    assert "no rank lists with role clean and stage tuned" in refusal(folder)


def test_a_dropped_rule_needs_nothing(folder: Path) -> None:
    for name in ("tuned/popularity", "tuned/repeat_last", "tuned/identity", "base/identity"):
        (folder / f"{name}.parquet").unlink()
    verdict = judge([folder], Gate.model_validate({"rules": ["stability", "gain", "accuracy", "frozen"]}))
    assert verdict.verdict == "pass"


def test_lists_without_any_base_can_be_held_to_absolute_bounds(folder: Path) -> None:
    shutil.rmtree(folder / "base")
    config = Gate.model_validate(
        {
            "rules": ["stability"],
            "min_rls_above_floor": "off",
            "min_worst_rls_above_floor": "off",
            "min_rls_rbo": 0.9,
        }
    )
    verdict = judge([folder], config)
    assert verdict.verdict == "pass"
    assert verdict.scenarios[0].base == {} and verdict.moved[0].before_base == []
    assert "rls_unstabilised/rbo" not in verdict.metrics


def test_a_variant_of_one_stage_alone_is_named(folder: Path) -> None:
    (folder / "tuned" / f"{PROBES[2]}.parquet").unlink()
    message = refusal(folder)
    assert f"{folder}/base/{PROBES[2]}.parquet" in message and "stage tuned are missing" in message


def test_a_group_without_its_clean_variant_is_named(tmp_path: Path) -> None:
    run = made_up()
    run.described = {(PROBES[0], stage): {"group": "1"} for stage in ("base", "tuned")}
    run.write(tmp_path)
    assert "group 1 has no clean variant" in refusal(tmp_path)


def test_an_empty_list_of_a_variant_is_named(folder: Path) -> None:
    def empty(lists: RankLists) -> RankLists:
        items = lists.items.copy()
        items[1] = -1
        return replace(lists, items=items)

    rewrite(folder / "tuned" / "clean.parquet", empty)
    assert 'user "u0", position 8: a list of 0 items, where 60 ' in refusal(folder)


def test_rows_that_are_not_sorted_are_refused(folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.take(pa.array(np.roll(np.arange(len(table)), 1))), path)
    assert "rows are not sorted" in refusal(folder)


def test_other_parquet_files_are_passed_over_and_broken_ones_are_not(folder: Path) -> None:
    pq.write_table(pa.table({"loss": [1.0]}), folder / "history.parquet")
    read_evidence([folder], {})
    (folder / "broken.parquet").write_bytes(b"PAR1")
    assert "broken.parquet: cannot be read as Parquet" in refusal(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")


def test_probes_are_compared_within_their_own_group(tmp_path: Path) -> None:
    run = made_up()
    other_machine = run.scores["clean", "tuned"] + 0.05 * np.random.default_rng(4).standard_normal(
        run.scores["clean", "tuned"].shape
    )
    run.scores[PROBES[0], "tuned"] += other_machine - run.scores["clean", "tuned"]
    run.described = {(PROBES[0], stage): {"group": "1"} for stage in ("base", "tuned")}
    second = made_up()
    second.scores = {("clean", "tuned"): other_machine, ("clean", "base"): run.scores["clean", "base"]}
    second.described = {("clean", stage): {"group": "1"} for stage in ("base", "tuned")}
    run.write(tmp_path / "0")
    second.write(tmp_path / "1")
    alone = judged(made_up(), tmp_path)

    verdict = judge([tmp_path / "0", tmp_path / "1"], GATE)

    assert failed(verdict) == set()
    name = f"rls/rbo/{PROBES[0]}"
    assert verdict.metrics[name] == pytest.approx(alone.metrics[name], abs=0.01)
    assert 0.9 < verdict.metrics["hardware/rbo"] < 1
    assert {scenario.group for scenario in verdict.scenarios} == {"0", "1"}


def test_independent_lists_beside_anchored_ones_are_reported_apart(tmp_path: Path) -> None:
    run = made_up()
    independent = made_up()
    independent.scores = {(probe, "tuned"): run.scores[probe, "base"] + noise(0.05, 9) for probe in PROBES}
    independent.described = {(probe, "tuned"): {"protocol": "independent"} for probe in PROBES}
    run.write(tmp_path / "anchored")
    independent.write(tmp_path / "independent")

    verdict = judge([tmp_path / "anchored", tmp_path / "independent"], GATE)

    assert (verdict.verdict, verdict.protocol, verdict.given) == ("pass", "anchored", "given shared references")
    assert verdict.metrics["rls_independent/rbo"] < verdict.metrics["rls/rbo"]
    assert len(verdict.scenarios) == 6


def test_independent_lists_alone_are_the_headline(tmp_path: Path) -> None:
    run = made_up()
    run.described = {name: {"protocol": "independent"} for name in run.scores if name[1] == "tuned"}
    verdict = judged(run, tmp_path)
    assert (verdict.verdict, verdict.protocol, verdict.given) == ("pass", "independent", "")
    assert not any(name.startswith("rls_independent") for name in verdict.metrics)


def renamed(lists: RankLists, place: int, names: Callable[[int], str]) -> RankLists:
    """The lists with another id in that place of every list that does not hold its target there."""
    vocabulary = np.array([*lists.vocabulary, *(names(row) for row in range(len(lists)))], dtype=object)
    items = lists.items.copy()
    free = lists.vocabulary[items[:, place]] != lists.target
    items[free, place] = len(lists.vocabulary) + np.flatnonzero(free)
    return replace(lists, vocabulary=vocabulary, items=items)


@pytest.mark.parametrize("stage", ["base", "tuned"])
@pytest.mark.parametrize("variant", ["clean", "seed", PROBES[0]])
def test_lists_of_more_items_than_their_catalogue_has_are_refused(folder: Path, variant: str, stage: str) -> None:
    path = folder / stage / f"{variant}.parquet"
    rewrite(path, lambda lists: renamed(lists, 9, lambda row: f"made up {row}"))
    assert f"{path}: the lists hold " in refusal(folder) and "catalogue has 60" in refusal(folder)


def test_so_are_files_that_do_so_together(folder: Path) -> None:
    def others(lists: RankLists) -> RankLists:
        names = np.array([f"made up {code}" for code in range(len(lists.vocabulary))], dtype=object)
        return replace(lists, vocabulary=names, target_rank=np.full(len(lists), np.nan))

    rewrite(folder / "tuned" / "popularity.parquet", others)
    assert "the lists of a catalogue of 60 items hold 80 different ones" in refusal(folder)


def test_an_item_that_the_data_does_not_have_is_named(tmp_path: Path) -> None:
    made_up().write(tmp_path / "lists")
    data = data_folder(tmp_path / "data", of=[f"i{code}" for code in range(60) if code != 3] + ["another"])
    with pytest.raises(DataError) as error:
        judge([tmp_path / "lists"], GATE, data=data)
    assert f"but that of {data} has 60 (digest" in str(error.value)


def test_so_it_is_where_the_digest_is_not_ours(tmp_path: Path) -> None:
    run = made_up()
    for name in run.scores:
        run.described[name] = {"catalogue": {"items": 60, "digest": "mine"}}
    run.write(tmp_path / "lists")
    data = data_folder(tmp_path / "data", of=[f"i{code}" for code in range(60) if code != 3] + ["another"])
    with pytest.raises(DataError, match="of the list is item 'i3', which is not in the catalogue of"):
        judge([tmp_path / "lists"], GATE, data=data)


@pytest.mark.parametrize(("control", "seed", "says"), [("rounding", 1, "that of"), ("seed", 0, "another one than")])
def test_a_control_of_the_wrong_seed_is_refused(control: str, seed: int, says: str, tmp_path: Path) -> None:
    run = made_up()
    run.described[control, "base"] = {"seed": seed}
    run.write(tmp_path)
    assert f"the seed of the control `{control}` must be {says} the clean variant" in refusal(tmp_path)


def shortened(folder: Path, length: int, share: float) -> None:
    """Leaves a share of the champion's lists with so many items."""
    path = folder / "tuned" / "champion.parquet"
    lists = file.read(path)
    behind = np.arange(lists.items.shape[1]) >= length
    cut = behind & (np.arange(len(lists)) < share * len(lists))[:, None]
    inside = (np.where(cut, -1, lists.items) == _codes(lists)[:, None]).any(1)
    rank = np.where(inside, lists.target_rank, np.maximum(lists.target_rank, lists.items.shape[1] + 1.0))
    scores = np.where(cut, np.float32(np.nan), lists.scores)
    file.write(replace(lists, items=np.where(cut, -1, lists.items), scores=scores, target_rank=rank), path)


def _codes(lists: RankLists) -> np.ndarray:
    code = {item: number for number, item in enumerate(lists.vocabulary)}
    return np.array([code[item] for item in lists.target])


def test_a_champions_lists_are_whole_or_there_is_none(tmp_path: Path) -> None:
    made_up(champion=True).write(tmp_path)
    shortened(tmp_path, length=3, share=0.1)
    assert "30 of 300 lists are too short (the first has 3 items" in refusal(tmp_path)


@pytest.mark.parametrize(("share", "refused"), [(0.1, False), (0.6, True), (1.0, True)])
def test_where_most_of_a_champions_lists_are_empty_churn_cannot_be_told(
    share: float, refused: bool, tmp_path: Path
) -> None:
    made_up(champion=True).write(tmp_path)
    shortened(tmp_path, length=0, share=share)
    verdict = judge([tmp_path], Gate.model_validate({"self_test": False, "rules": ["churn"]}))
    assert ("churn.rbo" in failed(verdict)) == refused
    assert (f"{share:.0%} of the champion's lists are empty" in verdict.rules[0].sentence) == refused
