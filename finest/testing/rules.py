"""Checks of the gate's rules, for the tests of who writes one."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finest.errors import DataError
from finest.gate.config import Gate
from finest.gate.evidence import read_evidence
from finest.gate.measure import measure
from finest.gate.registry import RULES, Rule, RuleOptions
from finest.gate.roles import CANDIDATE, Need
from finest.gate.verdict import RuleResult
from finest.section import Section
from finest.testing.rank_lists import CONTROLS, PROBES, made_up


def check_rule(rule: Rule | str, options: Mapping[str, Any] | None = None) -> None:
    """Checks that a rule does what every rule must.

    It decides where it has all that it says it needs and nothing else, and whether there is a champion or not; without
    any one thing of that, the gate refuses before the rule is asked. Every result has a sentence, and names no option
    that the rule's config does not have. Equal lists give equal results.

    >>> check_rule("gain")

    Args:
        rule: The rule, or its name where it is registered. A rule itself must be called what its results are.
        options: Keys of its config: of its own section, or of `gate` where it has none.

    Raises:
        AssertionError: It does not; the text says what.
    """
    name = rule if isinstance(rule, str) else getattr(rule.decide, "__name__", "")
    found = RULES[rule] if isinstance(rule, str) else rule
    config = _config(found, name, options or {})
    with tempfile.TemporaryDirectory() as work:
        for champion in (False, True):
            folder = Path(work, f"champion-{champion}")
            made_up(champion).write(folder)
            results = _results(found, name, config, folder)
            assert results == _results(found, name, config, folder), f"{name}: equal lists give other results"
            for result in results:
                _check_result(result, config)
        _check_needs(found, name, config, folder)


def _config(rule: Rule, name: str, options: Mapping[str, Any]) -> Section:
    section = {"name": name, **options}
    return Gate.model_validate(options) if rule.Config is RuleOptions else rule.Config.model_validate(section)


def _results(rule: Rule, name: str, config: Section, folder: Path) -> list[RuleResult]:
    try:
        evidence = read_evidence([folder], {name: rule.needed(config)})
    except DataError as error:
        raise AssertionError(f"{name} needs files that no run has: {error}") from error
    return rule.results(name, evidence, measure(evidence, Gate().min_segment_users), config)


def _check_result(result: RuleResult, config: Section) -> None:
    assert result.sentence.strip(), f"{result.name}: the result has no sentence"
    option = (result.option or "").rpartition(".")[2]
    assert not option or option in type(config).model_fields, f"{result.name}: there is no option {option}"


def _check_needs(rule: Rule, name: str, config: Section, run: Path) -> None:
    needs = rule.needed(config)
    alone = run.parent / "alone"
    _copy(run, alone, needs)
    try:
        _results(rule, name, config, alone)
    except Exception as error:
        raise AssertionError(f"{name} fails where there is only what it says it needs: {error!r}") from error
    for need in needs:
        without = run.parent / f"without {need}"
        _copy(run, without, [one for one in needs if one != need], but=need)
        try:
            read_evidence([without], {name: needs})
        except DataError:
            continue
        raise AssertionError(f"{name} is asked although {need} is missing")


def _copy(run: Path, folder: Path, needs: Sequence[Need], but: Need | None = None) -> None:
    """Copies the files that are needed, and what belongs to them: both stages of all where any base is needed."""
    stages = ["tuned", "base"] if any(need.stage == "base" for need in needs) else ["tuned"]
    wanted = {(need.role, need.scenario) for need in (*needs, CANDIDATE)}
    for path in sorted(run.rglob("*.parquet")):
        role = "control" if path.stem in CONTROLS else "probe" if path.stem in PROBES else path.stem
        scenario = path.stem if role in ("control", "probe") else None
        left_out = but and (role, path.parent.name) == (but.role, but.stage) and but.scenario in (None, scenario)
        if path.parent.name in stages and {(role, scenario), (role, None)} & wanted and not left_out:
            target = folder / path.relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    folder.mkdir(exist_ok=True)
