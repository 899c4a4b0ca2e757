"""A candidate that is too good to be true."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.gate.verdict import Night, RuleResult, Verdict
from finest.gate.verdict_file import read_verdict, write_verdict
from finest.ranklists import file
from tests.unit.gate.made_up_run import CONTROLS, EACH, PROBES, USERS, made_up, noise, rule

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
def test_where_few_nights_say_what_is_usual_half_as_much_again_is_a_jump(tmp_path: Path, nights: int) -> None:
    history = [night(number, 1.01) for number in range(nights)]
    found = jumped(tmp_path, history, better=3)
    assert found.status == "fail" and "50% above it" in found.sentence
    assert jumped(tmp_path / "less", history, better=0.2).status == "pass"


def leaked(folder: Path, users: int, stages: tuple[str, ...] = ("tuned",), simple: bool = False) -> Verdict:
    """The verdict on a first candidate that, of some users, has the target in every first place."""
    run, honest = made_up(), made_up()
    rows = np.arange(users * EACH)
    for variant, stage in run.scores:
        if stage in stages and variant in ("clean", *PROBES, *CONTROLS):
            run.scores[variant, stage][rows, run.target[rows]] += 99
    run.write(folder)
    if simple:
        honest.scores["clean", "base"] += noise(1.5)
        honest.write(folder.parent / "honest")
        lists = file.read(folder.parent / "honest" / "base" / "clean.parquet")
        told = lists.description.model_copy(update={"role": "baseline", "model": "markov", "stage": "tuned"})
        file.write(replace(lists, description=told), folder / "tuned" / "markov.parquet")
    return judge([folder], Gate.model_validate(CONFIG))


def test_fine_tuning_that_learns_too_much_needs_a_person(tmp_path: Path) -> None:
    verdict = leaked(tmp_path / "leaked", users=40)
    assert verdict.verdict == "suspicious" and {each.name for each in verdict.rules if each.status == "fail"} == {
        "jump.base"
    }
    assert leaked(tmp_path / "not", users=0).verdict == "pass"


def test_a_first_model_that_is_far_above_simple_ones_needs_a_person(tmp_path: Path) -> None:
    verdict = leaked(tmp_path / "leaked", USERS, ("base", "tuned"), simple=True)
    assert {each.name for each in verdict.rules if each.status == "fail"} == {"jump.simple"}
    assert "simple recommender (markov), proven to be more than 3 times it" in rule(verdict, "jump.simple").sentence
    assert leaked(tmp_path / "not", 0, simple=True).verdict == "pass"
