"""Variants and the groups they are trained in: what the training steps are told to do."""

from typing import Literal

from finest.section import Section


class Variant(Section):
    """One whole training, pretraining and fine-tuning."""

    name: str
    """`clean`, `identity`, `rounding`, `seed`, or the scenario's name."""
    role: Literal["clean", "probe", "control"]
    scenario: str | None = None
    """Of a probe: the scenario whose edits its training rows get."""
    seed: int
    """Keys initial weights, order of batches, dropout and simulation."""
    rounding: bool = False
    """Add to every initial weight one standard normal times 1e-7 of its tensor's root mean square."""


class Group(Section):
    """Variants trained together; the first is clean, and what the others are compared with."""

    id: str
    variants: list[Variant]


class Plan(Section):
    """All trainings of a run. The first group's clean variant is the candidate."""

    seed: int
    groups: list[Group]

    def group(self, id: str) -> Group:
        """The group of that id."""
        return next(group for group in self.groups if group.id == id)
