"""The roles of rank-list files: what a file holds, and what a rule of the gate needs to be given."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from finest.ranklists.schema import TRAINED

BASELINES = ("popularity", "repeat_last", "baseline")
"""Roles of simple recommenders: the two that are roles of their own, and any other, which has its name as `model`."""

TRIVIAL = BASELINES[:2]
"""Those two: what any model is better than."""


class Slot(NamedTuple):
    """Tells one file's place in a run; no two files have the same."""

    role: str
    scenario: str | None
    """Name of a probe's scenario, of a control, or of a baseline."""
    stage: str
    group: str
    protocol: str | None

    def __str__(self) -> str:
        """Returns the slot in words, like `probe, random-deletion-0.001-s0, tuned, group 0, anchored`."""
        if self.role not in TRAINED:
            return " ".join([self.role, *([self.scenario] if self.scenario else [])])
        words = [self.role, *([self.scenario] if self.scenario else []), self.stage, f"group {self.group}"]
        return ", ".join([*words, self.protocol] if self.protocol else words)


class Need(NamedTuple):
    """Describes files without which a rule cannot be decided."""

    role: str
    """Role in the files' metadata, like `clean` or `probe`."""
    stage: str = "tuned"
    """`tuned` (with FINEST), `base` (without) or `network` (without, and the network alone)."""
    scenario: str | None = None
    """Name of the probe or control; None where any will do."""

    def __str__(self) -> str:
        """Returns the need in words, like `control seed base`."""
        if self.role in (POPULARITY.role, REPEAT_LAST.role):
            return self.role
        return " ".join([self.role, *([self.scenario] if self.scenario else []), self.stage])


CANDIDATE, BASE = Need("clean"), Need("clean", "base")
"""The model that may be promoted, and the same model before FINEST fine-tuning."""
PROBES, PROBES_BASE = Need("probe"), Need("probe", "base")
"""At least one training on edited data, with FINEST and without."""
POPULARITY, REPEAT_LAST = Need("popularity"), Need("repeat_last")
"""The two simple baselines."""


def control(scenario: str, stage: str) -> Need:
    """Returns the need of a control: a training without edits, such as the one with another `seed`."""
    return Need("control", stage, scenario)


def missing(given: set[Need], needs: Mapping[str, Sequence[Need]]) -> str:
    """Returns what rules need and is not there, in words; empty where nothing is missing.

    Args:
        given: Role, stage and scenario of every file.
        needs: What each rule needs, by the rule's name.
    """
    anyone = {Need(role, stage) for role, stage, _ in given}
    lacking: dict[Need, list[str]] = {}
    for rule, wanted in needs.items():
        for need in wanted:
            if need not in (given if need.scenario else anyone):
                lacking.setdefault(need, []).append(rule)
    return ", ".join(f"{need} (for {' and '.join(rules)})" for need, rules in lacking.items())
