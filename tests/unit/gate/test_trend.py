"""The rule `trend` on made-up lists, night after night, and a history that is kept in a file."""

import json
from pathlib import Path

import numpy as np
import pytest

from finest.errors import DataError
from finest.gate.config import Gate
from finest.gate.history import as_line, read_history
from finest.gate.judge import judge
from finest.gate.monitor import confidence_of_attempt
from finest.gate.verdict import Night, Verdict
from finest.gate.verdict_file import read_verdict, write_verdict
from finest.testing.rank_lists import EACH, ITEMS, PROBES, USERS, made_up
from tests.unit.gate.made_up_run import rule

ACCURACY = {"rules": ["accuracy", "trend"], "max_accuracy_drop_champion": 0.25}
"""A hundred users: the ratio has a standard error of 3 to 4%, so what a night lets pass must be wide."""


def lists_of(folder: Path, loss: float, fingerprint: str) -> Path:
    """A run whose candidate ranks by the champion's scores, but for noise that costs some of its MRR."""
    run = made_up(champion=True)
    random = np.random.default_rng(len(fingerprint))
    clean = run.scores["champion", "tuned"] + (0.02 + loss) * random.standard_normal((USERS * EACH, ITEMS))
    for variant, stage in run.scores:
        if variant in ("clean", *PROBES, "rounding", "seed"):
            own = 0.0 if (variant, stage) == ("clean", "tuned") else 0.02
            run.scores[variant, stage] = clean + own * random.standard_normal(clean.shape)
    run.scores["identity", "tuned"], run.scores["identity", "base"] = (
        run.scores["clean", stage] for stage in ("tuned", "base")
    )
    for name in run.scores:
        run.described[name] = {"data_fingerprint": fingerprint}
    run.write(folder)
    return folder


def nights(folder: Path, count: int, loss: float) -> list[Verdict]:
    """Nights in a row, each promoted if it passes."""
    verdicts: list[Verdict] = []
    history: list[Night] = []
    for number in range(count):
        lists = lists_of(folder / str(number), loss, "day" + "!" * number)
        ids = {"run": f"run-{number}", "champion": str(number)}
        verdicts.append(judge([lists], Gate.model_validate(ACCURACY), ids=ids, history=history))
        night = verdicts[-1].night
        assert night is not None
        history.append(night.model_copy(update={"promoted": night.verdict == "pass"}))
    return verdicts


def test_what_a_night_lets_pass_is_refused_once_it_adds_up_and_the_sentence_says_where_to_go(tmp_path: Path) -> None:
    verdicts = nights(tmp_path, 6, loss=0.5)
    first = rule(verdicts[0], "trend")
    assert first.status == "not applicable" and "There is no history of nights" in first.sentence
    drops = [rule(verdict, "accuracy.champion").value for verdict in verdicts]
    refused = [rule(verdict, "trend").status for verdict in verdicts].index("fail")
    assert all(rule(verdict, "accuracy.champion").status == "pass" for verdict in verdicts), drops
    found = rule(verdicts[refused], "trend")
    assert found.option == "gate.false_alarm_nights" and found.value is not None and found.value >= 60
    assert "against champion version" in found.sentence and "Go back to it (finest models promote " in found.todo
    assert (night := verdicts[refused].night) is not None and night.alarm
    assert verdicts[refused].metrics["trend/log_ratio"] < -0.05
    assert "(50% of 60 until a candidate is promoted" in rule(verdicts[refused + 1], "trend").sentence


def test_equal_nights_pass(tmp_path: Path) -> None:
    statuses = [rule(verdict, "trend").status for verdict in nights(tmp_path, 6, loss=0.0)]
    assert statuses == ["not applicable", *["pass"] * 5]


def test_without_a_champion_or_a_ratio_the_rule_does_not_apply(tmp_path: Path) -> None:
    made_up().write(tmp_path / "lists")
    past = [Night(run="run-0", verdict="pass", promoted=True)]
    verdict = judge([tmp_path / "lists"], Gate.model_validate(ACCURACY), history=past)
    assert rule(verdict, "trend").sentence == "There is no champion, so no line to follow."
    assert verdict.night is not None and verdict.night.log_ratio is None


def test_the_attempt_stands_in_the_verdict_and_a_retry_of_the_run_is_none(tmp_path: Path) -> None:
    lists = lists_of(tmp_path / "lists", 0.0, "day")

    def judged(history: list[Night]) -> Verdict:
        return judge([lists], Gate.model_validate(ACCURACY), ids={"run": "run-9"}, history=history)

    refused = [Night(run=f"run-{number}", verdict="fail", fingerprint="day", seed=number) for number in (7, 8, 9)]
    assert judged([]).data["attempt"] == 1
    third = judged(refused)
    assert third.data["attempt"] == 3
    assert any(note.startswith("This is attempt 3 on this data: 2 other") for note in third.notes)
    first_low, third_low = (rule(verdict, "accuracy.base").interval[0] for verdict in (judged([]), third))
    assert first_low is not None and third_low is not None and third_low < first_low
    first, last = (rule(verdict, "accuracy.base").confidence for verdict in (judged([]), third))
    assert (first, last) == (0.95, confidence_of_attempt(3))


def test_tonights_entry_makes_the_next_nights_history(tmp_path: Path) -> None:
    verdict = judge([lists_of(tmp_path / "lists", 0.0, "day")], Gate.model_validate(ACCURACY))
    write_verdict(verdict, tmp_path / "verdict.json")
    assert read_verdict(tmp_path / "verdict.json") == verdict
    entry = json.loads((tmp_path / "verdict.json").read_text())["night"]
    (tmp_path / "history.json").write_text(json.dumps([entry]))
    assert read_history(tmp_path / "history.json") == [verdict.night]
    assert verdict.night is not None and Night.model_validate_json(as_line(verdict.night)) == verdict.night
    assert verdict.night.run == verdict.night.candidate != ""
    assert verdict.night.noise is not None and verdict.night.standard_error and verdict.night.standard_error > 0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read .No such file"),
        ("[", "no history of nights: Invalid JSON"),
        ("{}", "no history of nights: must be a valid "),
        ('[{"run": "a"}]', "no history of nights: 0.verdict: is missing"),
        ('[{"run": "a", "verdict": "pass", "log_ratio": "NaN"}]', "0.log_ratio: must be a finite number"),
        (
            '[{"run": "a", "verdict": "pass", "standard_error": -1}]',
            "0.standard_error: must be greater than or equal",
        ),
    ],
)
def test_a_history_that_cannot_be_read_is_one_line(tmp_path: Path, content: str | None, text: str) -> None:
    file = tmp_path / "history.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=text) as raised:
        read_history(file)
    assert "\n" not in str(raised.value) and str(file) in str(raised.value)
