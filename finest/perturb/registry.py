"""Registries of what a scenario names: families that select rows, kinds of edits, and choices of new items.

Another package adds to them by entry points: see finest.registry. What registers here is imported whenever a config is
read, so it names the data set's types for the type checker alone and spares every command the loading of pyarrow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from finest.registry import Registry
from finest.section import Section

if TYPE_CHECKING:
    from finest.data.dataset import Dataset, Ints, Rows


class Options(Section):
    """Holds the options of a family or of a kind of edit."""

    name: str
    """The name that it is registered under."""

    def words(self) -> list[str]:
        """Returns a word for every option that is not as by default, for the scenario's name.

        A text is its own word; of any other value, the option's name comes first: `look_back20`.
        """
        defaults = {
            name: field.get_default(call_default_factory=True) for name, field in type(self).model_fields.items()
        }
        options = {name: value for name, value in self if name != "name" and value != defaults[name]}
        return [value if isinstance(value, str) else f"{name}{value}" for name, value in options.items()]


class Family(ABC):
    """Selects the training rows that a scenario edits.

    Two runs of a family with equal options, data and generator must select the same rows. `finest.testing.check_family`
    tells whether a family does all that it must.
    """

    Config: ClassVar[type[Options]] = Options
    """Section of its options; as it is here, it has none."""
    candidates: ClassVar[str] = "training rows to choose from"
    """What the rows are of which there may be too few, for the error."""
    exact: ClassVar[bool] = True
    """Whether it selects as many rows as it is asked for, where there are as many. One that selects rows in groups
    which it does not break, such as sessions, may select fewer."""

    def __init__(self, config: Options):
        """Takes the section that `Config` describes."""
        self.config = config

    @abstractmethod
    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        """Selects rows, all of them training rows, none of them twice.

        Args:
            data: The data set.
            count: How many rows to select.
            generator: The only source of chance; keyed by the scenario's seed, family and kind.

        Returns:
            Ids of `count` rows in any order, or of all that can be selected where they are fewer. Of a family that is
                not exact, ids of at most `count` rows.
        """


class Edit(ABC):
    """Says what a kind of edit does to a row: which item or time it puts in, and what becomes of the rows.

    `finest.testing.check_edit` tells whether a kind of edit does all that it must.
    """

    Config: ClassVar[type[Options]] = Options
    """Section of its options; as it is here, it has none."""
    done: ClassVar[str] = "edited"
    """What becomes of an interaction, in a sentence of the report: `deleted`."""
    fills: ClassVar[frozenset[str] | None] = None
    """Which of the edit table's columns `new_item` and `new_timestamp` an edit of this kind must have; None: either may
    be there. An edit table from elsewhere is checked by it."""

    def __init__(self, config: Options):
        """Takes the section that `Config` describes."""
        self.config = config

    def new_items(self, data: Dataset, row: Ints, generator: np.random.Generator) -> Ints:
        """Chooses the items that edits put in; here, none.

        Args:
            data: The data set.
            row: Ids [E] of the edited rows.
            generator: The only source of chance; keyed by the scenario's seed, family and kind.

        Returns:
            Codes [E] of the catalogue, 0 where nothing is put in.
        """
        return row * 0

    def new_timestamps(self, data: Dataset, row: Ints, generator: np.random.Generator) -> Ints | None:
        """Chooses the times that edited rows get; here, none gets another.

        A user's training rows are in order of time again afterwards: nobody but `apply` of finest.perturb.edits moves a
        row.

        Args:
            data: The data set.
            row: Ids [E] of the edited rows.
            generator: The only source of chance; keyed by the scenario's seed, family and kind.

        Returns:
            Times [E] in microseconds since 1970 (UTC), or None.
        """
        return None

    @staticmethod
    @abstractmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        """Edits training rows, whose times are the new ones already.

        Whatever an edit does is in its arguments, since the edit table has no more.

        Args:
            rows: The training rows, which stay as they are.
            place: Places [E] of the rows to edit, ascending.
            item: Codes [E] of the new items, 0 where there is none.

        Returns:
            The rows after the edits, in the order of before. A row that is not the clean one any more has the id -1,
            and the `anchor` of the clean row that it replaces or stands before.
        """


NewItems = Callable[["Dataset", "Ints", np.random.Generator], "Ints"]
"""Chooses the items that edits put in. Takes the data set, the items [E] of the edited rows, and the only source of
chance. Returns codes [E], never the old item of the same edit."""

FAMILIES: Registry[type[Family]] = Registry(
    "perturbation family",
    "finest.perturbations",
    "finest.perturb.families",
    lambda thing: isinstance(thing, type) and issubclass(thing, Family) and issubclass(thing.Config, Options),
)
EDITS: Registry[type[Edit]] = Registry(
    "kind of edit",
    "finest.edits",
    "finest.perturb.kinds",
    lambda thing: isinstance(thing, type) and issubclass(thing, Edit) and issubclass(thing.Config, Options),
)
NEW_ITEMS: Registry[NewItems] = Registry("choice of new items", "finest.new_items", "finest.perturb.kinds", callable)
