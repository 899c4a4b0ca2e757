"""Kinds of edits, and the new items that they put in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import numpy as np

from finest.errors import DataError
from finest.perturb.registry import EDITS, NEW_ITEMS, Edit, Options
from finest.registry import Name

if TYPE_CHECKING:
    from finest.data.dataset import Dataset, Ints, Rows


@EDITS.register("deletion")
class Deletion(Edit):
    """Takes the row away."""

    done = "deleted"

    @staticmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        """Returns the rows that are left."""
        columns = {name: np.delete(column, place) for name, column in vars(rows).items()}
        return replace(rows, **columns)


class PutsIn(Edit):
    """Puts in a new item, chosen as the config says."""

    class Config(Options):
        """Says which item is put in."""

        new_item: Annotated[str, Name(NEW_ITEMS)] = "random"
        """The new item: any but the old one (`random`), or one with the fewest training interactions
        (`least_popular`)."""

    config: Config

    def new_items(self, data: Dataset, row: Ints, generator: np.random.Generator) -> Ints:
        """Chooses an item for every row."""
        return NEW_ITEMS[self.config.new_item](data.item_counts, data.item[row], generator)


@EDITS.register("replacement")
class Replacement(PutsIn):
    """Puts a new item in the place of the row's own."""

    done = "replaced"

    @staticmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        """Returns the rows with the new items. A replaced row is the clean one no more: it has no reference list."""
        return replace(rows, item=_with(rows.item, place, item), id=_with(rows.id, place, -1))


@EDITS.register("insertion")
class Insertion(PutsIn):
    """Puts a row with a new item just before the row."""

    done = "inserted"

    @staticmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        """Returns the rows and the inserted ones among them."""
        return replace(
            rows,
            user=np.insert(rows.user, place, rows.user[place]),
            item=np.insert(rows.item, place, item),
            id=np.insert(rows.id, place, -1),
            anchor=np.insert(rows.anchor, place, rows.anchor[place]),
            timestamp=np.insert(rows.timestamp, place, rows.timestamp[place]),
        )


def _with(column: Ints, place: Ints, values: Ints | int) -> Ints:
    column = column.copy()
    column[place] = values
    return column


@NEW_ITEMS.register("random")
def random(counts: Ints, old: Ints, generator: np.random.Generator) -> Ints:
    """Draws items uniformly from the catalogue, but for the old item of the same edit."""
    return _draw(np.arange(1, len(counts)), old, generator)


@NEW_ITEMS.register("least_popular")
def least_popular(counts: Ints, old: Ints, generator: np.random.Generator) -> Ints:
    """Draws items with the fewest training interactions, anew for every edit where several have as few.

    Where a single item has the fewest, an edit of that item takes one of those with the second fewest.

    >>> least_popular(np.array([0, 5, 1, 2]), np.array([1, 2]), np.random.default_rng(0)).tolist()
    [2, 3]
    """
    code = np.arange(1, len(counts))
    fewest = code[counts[1:] == counts[1:].min()]
    if len(fewest) > 1:
        return _draw(fewest, old, generator)
    rest = np.setdiff1d(code, fewest)
    second = rest[counts[rest] == counts[rest].min(initial=np.iinfo(np.int64).max)]
    return np.where(old == fewest[0], _draw(second, np.full_like(old, fewest[0]), generator), fewest[0])


def _draw(pool: Ints, old: Ints, generator: np.random.Generator) -> Ints:
    """Draws one of the sorted `pool` for every edit, uniformly among those that are not its old item.

    >>> _draw(np.array([1, 2, 3]), np.array([2, 2, 2, 2]), np.random.default_rng(0)).tolist()
    [3, 3, 3, 1]
    """
    place = np.searchsorted(pool, old)
    there = pool[np.minimum(place, len(pool) - 1)] == old if len(pool) else np.zeros(len(old), bool)
    inside = (place < len(pool)) & there
    choices = len(pool) - inside
    if len(old) and choices.min() < 1:
        raise DataError("the catalogue has a single item: nothing can take its place; use more data or deletions alone")
    draw = generator.integers(0, choices)
    drawn: Ints = pool[draw + (inside & (draw >= place))]
    return drawn
