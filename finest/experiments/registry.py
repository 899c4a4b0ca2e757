"""The registries of experiments and of treatments, and what each is.

An experiment is a grid of cells; a treatment, a way to train a model whose stability is measured. Another package adds
its own by entry points of `finest.experiments` and `finest.treatments`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from finest.experiments.record import Cell, Given, Row
from finest.registry import Registry

if TYPE_CHECKING:
    from finest.experiments.bench import Bench, Made
    from finest.perturb.edits import ScenarioEdits
    from finest.perturb.plan import Variant


@dataclass(frozen=True)
class Column:
    """Describes a column of measured values."""

    name: str
    """Key of `Row.values`."""
    label: str
    digits: int = 3
    yes: bool = False
    """Whether it is 1 or 0 in each seed, and is shown as how many seeds have it."""


class Experiment(ABC):
    """Lays out a grid, measures its cells one by one, and says how their table reads."""

    question: ClassVar[str]
    """The question that it answers, the table's heading."""
    told: ClassVar[tuple[str, ...]] = ()
    """Sentences under the table: what was done, and what the numbers do not say."""
    columns: ClassVar[tuple[Column, ...]]
    """Columns of values."""
    by: ClassVar[tuple[str, ...]] = ()
    """Values that rows are compared by, larger is better; the table is sorted by the first. None: the grid's order."""
    ours: ClassVar[str] = ""
    """Label of the row that the others are compared with."""
    alone: ClassVar[bool] = False
    """Whether cells are measured one at a time, since their times are the point."""
    keeps: ClassVar[bool] = True
    """Whether several cells of a seed train the same probes, so that their base models are kept until the end."""
    across: ClassVar[str] = ""
    """Key of `Row.more` along which the plot has its x axis; none: a bar a row."""

    @abstractmethod
    def grid(self, given: Given) -> list[dict[str, object]]:
        """Returns what each cell of a seed measures, as plain values that JSON can hold."""

    @abstractmethod
    def measure(self, cell: Cell, bench: Bench) -> list[Row]:
        """Measures a cell. Raises ImpossibleError where it cannot be, whatever is tried."""

    def published(self) -> list[Row]:
        """Returns numbers of others that stand beside the measured ones."""
        return []

    def depends(self, cell: Cell, given: Given) -> dict[str, object]:
        """Returns the part of the config that the cell's numbers depend on; all of it, if not overridden."""
        return given.model_dump(mode="json", exclude={"seed", "seeds"})


class Treatment(ABC):
    """Trains a model, the clean one or one on edited rows, by one way of keeping lists stable."""

    title: ClassVar[str]
    """What it is called in a table."""
    information: ClassVar[str] = "rows"
    """What it knows beside the rows that it is trained on."""

    def missing(self) -> str:
        """Returns what this installation lacks for it; '' where it has all."""
        return ""

    @abstractmethod
    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Returns the model of a variant, and what it took from nothing.

        Args:
            bench: Trains, and has what trainings share.
            variant: The variant, which has a seed.
            edits: Edits of its training rows; None for the clean one.
        """


def _is_experiment(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Experiment)


def _is_treatment(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Treatment)


EXPERIMENTS: Registry[type[Experiment]] = Registry(
    "experiment", "finest.experiments", "finest.experiments.kinds", _is_experiment
)
TREATMENTS: Registry[type[Treatment]] = Registry(
    "treatment", "finest.treatments", "finest.experiments.treatments", _is_treatment
)


def cells(name: str, given: Given) -> list[Cell]:
    """Returns the cells of an experiment, all of one seed before those of the next, so that tables fill evenly."""
    experiment = EXPERIMENTS[name]()
    return [Cell(experiment=name, what=what, seed=seed) for seed in given.all_seeds for what in experiment.grid(given)]
