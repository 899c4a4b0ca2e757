"""The registry of the gate's rules, and what a rule is.

A rule is a function with what it needs declared beside it:

    @RULES.register("calm")
    @rule(needs=[CANDIDATE, PROBES])
    def calm(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
        ...

Another installed package registers by an entry point of the group `finest.rules` in place of the first line, and may
bring options of its own: `@rule(needs=..., config=Calm)`, with `class Calm(RuleOptions)`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import core_schema

from finest.errors import FinestError
from finest.gate.roles import Need
from finest.registry import Named, Registry
from finest.section import Section

if TYPE_CHECKING:  # a config names rules where nothing is judged, and what measures lists takes seconds to load
    from finest.gate.evidence import Evidence
    from finest.gate.measure import Measured
    from finest.gate.verdict import RuleResult

Decide = Callable[["Evidence", "Measured", Any], "list[RuleResult]"]
"""Takes the rank lists, what was measured on them, and the rule's config; returns at least one result."""
Needs = Sequence[Need] | Callable[[Any], Sequence[Need]]
"""The files that a rule needs, or a function of its config that returns them."""


class RuleOptions(Section):
    """Holds what `gate.rules` says of one rule: its name, and its options where it has some of its own.

    A rule without any is its bare name in a config.
    """

    name: str


@dataclass(frozen=True)
class Rule:
    """Holds a rule: how it decides, what it needs, and its options."""

    decide: Decide
    needs: Needs
    Config: type[RuleOptions] = RuleOptions
    """Section of the rule's own options. A rule without any is configured by the keys of `gate`."""

    def config(self, options: RuleOptions, gate: Section) -> Section:
        """Returns what the rule is configured by: its own options, or the section `gate` where it has none."""
        return gate if self.Config is RuleOptions else options

    def needed(self, config: Section) -> Sequence[Need]:
        """Returns the files without which the rule cannot be decided under `config`."""
        return self.needs(config) if callable(self.needs) else self.needs

    def results(self, name: str, evidence: "Evidence", measured: "Measured", config: Section) -> "list[RuleResult]":
        """Applies the rule, which is registered as `name`, and returns its results, one for each thing that it checks.

        Raises:
            FinestError: The rule returns nothing, or results of another name; it would neither pass nor refuse.
        """
        with RULES.at_work(name):
            results = self.decide(evidence, measured, config)
        if not isinstance(results, list) or not results or any(result.rule != name for result in results):
            raise FinestError(f"rule {name} must return results named {name} or {name}.<what>, and at least one")
        place = "gate" if self.Config is RuleOptions else f"gate.rules.{name}"
        return [
            result.model_copy(update={"option": result.option and f"{place}.{result.option}"}) for result in results
        ]


RULES: Registry[Rule] = Registry("rule", "finest.rules", "finest.gate.rules", lambda thing: isinstance(thing, Rule))


def rule(*, needs: Needs, config: type[RuleOptions] = RuleOptions) -> Callable[[Decide], Rule]:
    """Returns a decorator that makes a rule of a function.

    Args:
        needs: The files without which the rule cannot be decided, such as `[CANDIDATE, PROBES]`, or a function of the
            rule's config that returns them; empty for a rule that can do without any. A champion is never needed: rules
            about it do not apply without one.
        config: Section of options of the rule's own; without it, the function gets the section `gate`.
    """
    return lambda decide: Rule(decide, needs, config)


class NamedRule(Named):
    """Annotation of a config field that holds a rule's name, or a section with the name and the rule's own options."""

    def __init__(self) -> None:
        super().__init__(RULES)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describes a bare name, and the section of every rule that has options of its own."""
        names: dict[str, Any] = {"enum": list(RULES)}
        sections = [self._describe(name, handler) for name in RULES if RULES[name].Config is not RuleOptions]
        return {"anyOf": [names, *sections]} if sections else names
