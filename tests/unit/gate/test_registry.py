"""Rules: what every one must do, what a config may say of them, and what a rule of another package can bring."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from components.sections import parameters, parse
from finest.errors import ConfigError, FinestError
from finest.gate import registry
from finest.gate.config import DEFAULT_RULES, Gate
from finest.gate.evidence import Evidence
from finest.gate.judge import judge
from finest.gate.measure import Measured
from finest.gate.outcome import decide
from finest.gate.registry import RULES, Rule, RuleOptions, rule
from finest.gate.roles import BASE, CANDIDATE, PROBES, Need, control
from finest.gate.verdict import RuleResult
from finest.testing import check_rule
from finest.testing.rank_lists import PROBES as PROBES_MADE_UP
from tests.unit.gate.made_up_run import failed, made_up


class Calm(RuleOptions):
    """Options of a rule of another package."""

    name: Literal["calm"] = "calm"
    min_rbo: float = Field(default=0.5, ge=0, le=1)


@rule(needs=[CANDIDATE, PROBES], config=Calm)
def calm(evidence: Evidence, measured: Measured, config: Calm) -> list[RuleResult]:
    worst = min(probe.means["tuned"]["rbo"].value for probe in measured.probes)
    return [decide("calm", worst >= config.min_rbo, f"rbo is {worst:.3f}.", value=worst, option="min_rbo")]


@pytest.fixture
def with_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    list(RULES)
    monkeypatch.setitem(RULES._things, "calm", calm)


@pytest.mark.parametrize("name", list(RULES))
def test_every_rule_does_what_a_rule_must(name: str) -> None:
    check_rule(name)


def test_the_defaults_are_all_rules_of_the_library() -> None:
    assert sorted(DEFAULT_RULES) == list(RULES)


def test_a_rule_of_another_package_has_options_of_its_own(tmp_path: Path, with_calm: None) -> None:
    check_rule(calm, {"min_rbo": 0.2})
    made_up().write(tmp_path)
    gate = parse(Gate, {"rules": ["gain", {"name": "calm", "min_rbo": 0.999}]}, "gate")
    assert parameters(gate)["rules"] == ["gain", {"name": "calm", "min_rbo": 0.999}]
    assert parse(Gate, parameters(gate), "gate") == gate
    verdict = judge([tmp_path], gate)
    assert failed(verdict) == {"calm"} and verdict.reason.startswith("calm [gate.rules.calm.min_rbo]: rbo is 0.9")
    assert failed(judge([tmp_path], parse(Gate, {"rules": ["calm"]}))) == set()


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (["restless"], "gate.rules.0 = 'restless': there is no rule called restless; there are accuracy, "),
        (["gain", "gain"], "gate.rules = ['gain', 'gain']: must name a rule once; gain is there 2 times"),
        ([{"name": "calm", "min_rbo": 2}], "gate.rules.0.min_rbo = 2: must be less than or equal to 1"),
        ([{"name": "gain", "min_rbo": 0.5}], "gate.rules.0.min_rbo: there is no such config key"),
    ],
)
def test_a_wrong_rule_is_one_line(with_calm: None, rules: list[object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Gate, {"rules": rules}, "gate")
    assert str(caught.value).startswith(text)


def test_a_rule_that_says_nothing_or_speaks_for_another_is_an_error(tmp_path: Path, with_calm: None) -> None:
    made_up().write(tmp_path)
    for said in ([], [decide("gain", True, "Fine.")]):
        RULES._things["calm"] = Rule(lambda *_, said=said: said, [CANDIDATE], Calm)
        with pytest.raises(FinestError, match="rule calm must return results named calm"):
            judge([tmp_path], parse(Gate, {"rules": ["calm"]}))


def test_a_rule_may_need_one_scenario() -> None:
    def decided(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
        return [decide("decided", any(probe.name == PROBES_MADE_UP[0] for probe in measured.probes), "There.")]

    check_rule(Rule(decided, [CANDIDATE, Need("probe", "tuned", PROBES_MADE_UP[0])]))


def test_what_a_rule_uses_without_saying_so_is_found() -> None:
    with pytest.raises(AssertionError, match="calm fails where there is only what it says it needs"):
        check_rule(Rule(calm.decide, [CANDIDATE], Calm))
    with pytest.raises(AssertionError, match="calm needs files that no run has"):
        check_rule(Rule(calm.decide, [CANDIDATE, PROBES, control("moon", "tuned")], Calm))


def test_an_option_that_is_not_there_is_found() -> None:
    @rule(needs=[CANDIDATE, BASE])
    def bold(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
        return [decide("bold", True, "Fine.", option="min_boldness")]

    with pytest.raises(AssertionError, match="bold: there is no option min_boldness"):
        check_rule(bold)


def test_a_rule_must_say_what_it_needs() -> None:
    with pytest.raises(TypeError, match="needs"):
        registry.rule()  # type: ignore[call-arg]
