"""A candidate that is too good to be true."""

import math
from pathlib import Path

import numpy as np
import pytest

from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.gate.verdict import Night, RuleResult, Verdict
from finest.gate.verdict_file import read_verdict, write_verdict
from tests.unit.gate.made_up_run import CONTROLS, EACH, PROBES, USERS, made_up, rule

CONFIG = {"rules": ["jump", "accuracy"]}


def night(number: int, ratio: float, verdict: str = "pass") -> Night:
    return Night.model_validate(
        {"run": f"run-{number}", "verdict": verdict, "log_ratio": math.log(ratio), "standard_error": 0.01}
    )


def judged(folder: Path, history: list[Night], better: float) -> Verdict:
    run = made_up(champion=True)
    run.scores["champion", "tuned"] = run.scores["clean", "base"]
    for variant in ("clean", *PROBES, *CONTROLS):
        run.scores[variant, "tuned"][np.arange(USERS * EACH), run.target] += better
    run.write(folder)
    return judge([folder], Gate.model_validate(CONFIG), history=history)


def jumped(folder: Path, history: list[Night], better: float = 0.0) -> RuleResult:
    return rule(judged(folder, history, better), "jump")


def test_a_jump_beyond_all_past_nights_needs_a_person(tmp_path: Path) -> None:
    verdict = judged(tmp_path, [night(number, 1.01) for number in range(5)], better=3)
    found = rule(verdict, "jump")
    assert verdict.verdict == "suspicious" and verdict.night is not None and verdict.night.verdict == "fail"
    write_verdict(verdict, tmp_path / "verdict.json")
    assert read_verdict(tmp_path / "verdict.json").verdict == "suspicious"
    assert found.status == "fail" and "held-out rows" in found.todo and found.option == "gate.max_jump"


def test_what_the_line_has_shown_before_is_no_jump(tmp_path: Path) -> None:
    assert jumped(tmp_path, [night(number, 2.5) for number in range(5)], better=3).status == "pass"


def test_nights_that_were_refused_do_not_say_what_is_usual(tmp_path: Path) -> None:
    usual = [night(number, 1.01) for number in range(5)]
    assert jumped(tmp_path, [*usual, night(9, 3.0, "fail")], better=3).status == "fail"


@pytest.mark.parametrize("nights", [0, 4])
def test_few_nights_say_nothing(tmp_path: Path, nights: int) -> None:
    history = [night(number, 1.01) for number in range(nights)]
    assert jumped(tmp_path, history, better=3).status == "not applicable"
