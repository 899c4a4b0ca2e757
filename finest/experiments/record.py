"""What an experiment is given, its cells, and what was measured in each."""

from typing import Any, Literal

from pydantic import Field

from finest.perturb.config import Perturb
from finest.section import Section
from finest.training.config import Finetune, Pretrain

State = Literal["finished", "impossible", "broken"]
Of = Literal["network", "served"]
"""Whose lists a row is about: the network alone, as published, or network and counts together, as they are served."""


class Given(Section):
    """Holds what an experiment takes from a config."""

    pretrain: Pretrain = Field(default_factory=Pretrain)
    finetune: Finetune = Finetune()
    perturb: Perturb = Perturb()
    """Section `perturb`: the scenarios that retrained models are compared under."""
    max_drop: float = 0.03
    """Largest drop of MRR, as a share of the base model's, that is still called non-inferior."""
    seed: int = 0
    """The first of the seeds."""
    seeds: int = Field(default=3, ge=1)
    """Number of seeds."""

    @property
    def all_seeds(self) -> range:
        """Returns the seeds of the trainings."""
        return range(self.seed, self.seed + self.seeds)


class Cell(Section):
    """Describes one cell of a grid: what is measured together, under one seed."""

    experiment: str
    what: dict[str, Any]
    """What tells it from the experiment's other cells of the seed, as its experiment reads it."""
    seed: int

    @property
    def name(self) -> str:
        """Returns a name for people, like `ablation both s0`."""
        return " ".join([self.experiment, *map(_words, self.what.values()), f"s{self.seed}"])


def _words(value: object) -> str:
    return " ".join(map(_words, value.values())) if isinstance(value, dict) else str(value)


class Cost(Section):
    """Holds what something took."""

    wall_s: float = 0.0
    """Wall time, in seconds."""
    cpu_s: float = 0.0
    """CPU time of the process, in seconds."""
    peak_mb: float = 0.0
    """Largest resident memory of the process until then, in MB (1e6 bytes)."""

    def __add__(self, other: "Cost") -> "Cost":
        """Returns the cost of both, one after the other."""
        return Cost(
            wall_s=self.wall_s + other.wall_s,
            cpu_s=self.cpu_s + other.cpu_s,
            peak_mb=max(self.peak_mb, other.peak_mb),
        )


class Row(Section):
    """Holds what a cell measured for one row of the table."""

    label: str
    of: Of = "network"
    more: dict[str, str] = Field(default={})
    """Further columns that tell rows apart, by heading."""
    values: dict[str, float]
    cost: Cost | None = None
    """What one model of this row took; None of a published number."""

    @property
    def key(self) -> tuple[str, ...]:
        """Returns what tells the row from the table's others."""
        return (self.label, self.of, *(f"{name}={value}" for name, value in self.more.items()))


class Record(Section):
    """Holds what came of a cell."""

    cell: Cell
    key: str
    """Digest of all that its numbers depend on."""
    state: State
    """`impossible`: the data or this installation cannot have it, so it is no error that it is missing."""
    rows: list[Row] = Field(default=[])
    reason: str = ""
    """Why it is impossible or broken; one line."""
    cost: Cost = Cost()
    """What all of the cell took in the attempt that ended it, trainings that it found done not counted."""


class ImpossibleError(Exception):
    """A cell asks for what the data or this installation cannot have; says what."""
