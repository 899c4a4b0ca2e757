"""The verdict as a whole: what it holds, that it repeats itself, and that it survives the disk."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from finest.errors import DataError
from finest.gate.config import Gate
from finest.gate.evidence import read_evidence
from finest.gate.judge import judge
from finest.gate.measure import measure
from finest.gate.verdict import Example, Served, Verdict
from finest.gate.verdict_file import read_verdict, write_verdict
from finest.metrics.similarity import similarities
from finest.report.markdown import markdown
from tests.unit.gate.made_up_run import EACH, NEWEST, PROBES, data_folder, failed, judged, made_up


def test_equal_lists_give_an_equal_verdict_to_the_last_bit_but_for_cost_age_and_ids(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "data")
    texts = []
    for number in (1, 2):
        lists = tmp_path / f"lists-of-{number}" / ("deeper/" * number)
        made_up(champion=True).write(lists)
        as_of = NEWEST + timedelta(hours=number)
        verdict = judge(
            [lists],
            Gate(max_age_hours=30),
            data=data,
            as_of=as_of,
            cost={"seconds": number},
            ids={"run": str(number)},
        )
        assert verdict.age["hours"] == number
        assert verdict.night is not None and (verdict.night.run, verdict.night.as_of) == (
            str(number),
            as_of.isoformat(),
        )
        night = verdict.night.model_copy(update={"run": "", "as_of": ""})
        same = verdict.model_copy(update={"cost": {}, "age": {}, "ids": {}, "night": night})
        write_verdict(same, tmp_path / "verdict.json")
        texts.append((tmp_path / "verdict.json").read_bytes())
    assert texts[0] == texts[1]


def test_metrics_are_named_as_in_mlflow(tmp_path: Path) -> None:
    metrics = judged(made_up(champion=True), tmp_path).metrics
    expected = {
        "rls/rbo",
        "rls/jaccard_at_10",
        f"rls/rbo/{PROBES[0]}",
        "rls_unstabilised/rbo",
        f"rls_unstabilised/rbo/{PROBES[0]}",
        "rls_reseeded/rbo",
        "noise_floor/rbo",
        "noise_floor/jaccard_at_10",
        "ceiling/rbo",
        "ceiling/jaccard_at_10",
        "churn/rbo",
        "churn_unstabilised/rbo",
        "churn/jaccard_at_10",
        "plasticity",
        "plasticity_base",
        "accuracy/mrr",
        "accuracy/recall_at_10",
        "accuracy/ndcg_at_10",
        "accuracy_base/mrr",
        "coverage/at_10",
        "gate/passed",
    }
    assert expected <= set(metrics)
    assert metrics["noise_floor/rbo"] < metrics["rls_unstabilised/rbo"] < metrics["rls/rbo"] < metrics["ceiling/rbo"]
    assert metrics["gate/passed"] == 1


def test_what_is_served_stands_in_the_verdict_its_metrics_and_its_first_note(tmp_path: Path) -> None:
    mrr = {"stack": 0.12, "memory": 0.12, "network": 0.1}
    served = Served(
        chosen="memory", weights={"popularity": 0.5}, mrr=mrr, network_gain=0.0, counts_gain=0.02, sentence="So it is."
    )
    made_up().write(tmp_path / "lists")
    verdict = judge([tmp_path / "lists"], Gate(), served=served, said="So it is. And more.")
    write_verdict(verdict, tmp_path / "verdict.json")
    assert read_verdict(tmp_path / "verdict.json").served == served
    assert verdict.metrics["memory/weight/popularity"] == 0.5 and verdict.metrics["memory/mrr/stack"] == 0.12
    assert verdict.notes[0] == "So it is. And more."


def test_item_popularity_and_age_come_from_the_data(tmp_path: Path) -> None:
    run = made_up()
    run.write(tmp_path / "lists")
    data = data_folder(tmp_path / "data")
    config = Gate(max_age_hours=5)
    verdict = judge([tmp_path / "lists"], config, data=data, as_of=NEWEST + timedelta(hours=6))
    assert failed(verdict) == {"sanity.age"}
    assert verdict.age["hours"] == 6
    bias = {accuracy.name: accuracy.popularity_bias for accuracy in verdict.accuracy}
    assert bias["popularity"] == pytest.approx(1 - 10 / 2 / 60)
    assert bias["candidate"] is not None and 0.4 < bias["candidate"] < 0.7


def test_lists_of_other_data_are_refused(tmp_path: Path) -> None:
    made_up().write(tmp_path / "lists")
    with pytest.raises(DataError, match="not of the same data: data_fingerprint is today and yesterday"):
        judge([tmp_path / "lists"], Gate(), data=data_folder(tmp_path / "data", "yesterday"))


def shown(verdict: Verdict, why: str) -> list[Example]:
    return [one for one in verdict.moved if one.why == why]


def test_the_lists_that_moved_most_are_shown_of_either_side_and_a_typical_one(tmp_path: Path) -> None:
    run = made_up()
    verdict = judged(run, tmp_path)
    evidence = read_evidence([tmp_path / "lists-0"], {})
    found = measure(evidence, 1)
    rbo = {stage: np.stack([probe.values[stage]["rbo"] for probe in found.probes]) for stage in ("tuned", "base")}
    by_user = {stage: values.min(axis=0).reshape(-1, EACH).min(axis=1) for stage, values in rbo.items()}
    for why, stage in (("with", "tuned"), ("without", "base")):
        moved = shown(verdict, why)
        measured = [one.rbo if why == "with" else one.rbo_base for one in moved]
        assert measured == sorted(by_user[stage])[:3] and len({one.user for one in moved}) == 3
        assert all(len(one.before) == len(one.after_base) == 10 for one in moved)
    assert [one.rbo for one in shown(verdict, "typical")] == [np.quantile(rbo["tuned"], 0.5, method="lower")]
    assert all(one.before != one.after for one in shown(verdict, "with"))
    assert all(one.before_base != one.after_base for one in shown(verdict, "without"))
    assert shown(verdict, "champion") == [] and len(verdict.moved) == 7


def test_the_champion_s_lists_stand_beside_the_candidate_s_of_the_user_who_sees_most_change_and_a_typical_one(
    tmp_path: Path,
) -> None:
    verdict = judged(made_up(champion=True), tmp_path)
    evidence = read_evidence([tmp_path / "lists-0"], {})
    champion = evidence.other("champion")
    assert champion is not None
    rbo = similarities(evidence.candidate.items, champion.items)["rbo"]
    [most], [typical] = shown(verdict, "champion"), shown(verdict, "typical champion")
    assert most.rbo == rbo.min() and most.user != typical.user
    assert abs(typical.rbo - np.quantile(rbo, 0.5)) < 0.05
    names = list(evidence.vocabulary)
    for one in (most, typical):
        [row] = [row for row in np.flatnonzero(evidence.user == one.user) if evidence.position[row] == one.position]
        assert one.before == [names[code] for code in champion.items[row, :10]]
        assert one.after == [names[code] for code in evidence.candidate.items[row, :10]]
        assert one.scenario == "" and one.rbo == rbo[row] and one.before_base == one.after_base == []


def test_the_first_failed_rule_is_the_reason(tmp_path: Path) -> None:
    run = made_up()
    run.config["min_rls_rbo"] = 0.999
    verdict = judged(run, tmp_path)
    assert verdict.reason.startswith(
        "stability.rbo_absolute [gate.min_rls_rbo]: Mean RLS (rbo) over 3 scenarios is 0.9"
    )


def test_rule_names_are_unique(tmp_path: Path) -> None:
    run = made_up(champion=True)
    run.config |= {
        "min_rls_rbo": 0.1,
        "min_rls_jaccard": 0.1,
        "min_worst_rls_rbo": 0.1,
        "min_churn_rbo": 0.1,
        "max_age_hours": 1,
    }
    names = [rule.name for rule in judged(run, tmp_path).rules]
    assert len(names) == len(set(names))


@pytest.fixture
def verdict(tmp_path: Path) -> Verdict:
    return judged(made_up(), tmp_path)


def test_a_verdict_survives_the_disk(tmp_path: Path, verdict: Verdict) -> None:
    write_verdict(verdict, tmp_path / "verdict.json")
    assert read_verdict(tmp_path / "verdict.json") == verdict
    assert [path.name for path in tmp_path.glob("verdict*")] == ["verdict.json"]


def test_a_number_that_is_none_becomes_null_and_never_nan(tmp_path: Path, verdict: Verdict) -> None:
    write_verdict(verdict.model_copy(update={"cost": {"seconds": float("nan")}}), tmp_path / "verdict.json")
    assert read_verdict(tmp_path / "verdict.json").cost == {"seconds": None}


def test_something_else_than_a_verdict_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text("{}")
    for name in ("verdict.json", "nowhere.json"):
        with pytest.raises(DataError, match="no verdict that this version of finest can read"):
            read_verdict(tmp_path / name)


def test_markdown_shows_every_rule_and_every_scenario_between_floor_and_ceiling(verdict: Verdict) -> None:
    text = markdown(verdict)
    assert "**Verdict: pass.**" in text and "protocol anchored, given shared references" in text
    for rule in verdict.rules:
        assert f"| {rule.name} |" in text
    row = next(line for line in text.splitlines() if line.startswith(f"| {PROBES[0]} | rbo |"))
    floor, base, tuned, ceiling = map(float, row.strip("| ").split(" | ")[2:])
    assert floor < base < tuned < ceiling
