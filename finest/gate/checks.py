"""The checks of a verdict: the configured rules, and those that no set of rules leaves out."""

from collections.abc import Sequence

from finest.gate.config import Gate
from finest.gate.controlled import controlled
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.registry import RULES, Rule
from finest.gate.roles import Need
from finest.gate.verdict import RuleResult
from finest.section import Section


def configured(config: Gate) -> dict[str, tuple[Rule, Section]]:
    """Returns every rule that `config` names, by its name, with what it is configured by."""
    rules = {options.name: (RULES[options.name], options) for options in config.rules}
    return {name: (rule, rule.config(options, config)) for name, (rule, options) in rules.items()}


def needs(config: Gate) -> dict[str, Sequence[Need]]:
    """Returns the files that each rule cannot be decided without, by its name."""
    return {name: rule.needed(section) for name, (rule, section) in configured(config).items()}


def check(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Returns what the rules found, and the checks of the evidence itself; nothing where no rule is configured."""
    results = [
        result
        for name, (rule, section) in configured(config).items()
        for result in rule.results(name, evidence, measured, section)
    ]
    return [*results, *controlled(evidence, measured, config)] if results else []
