"""Every family and kind of edit does what it must, and the checks see where one does not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from finest.data.dataset import Dataset, Ints, Rows
from finest.perturb.kinds import Replacement
from finest.perturb.registry import EDITS, FAMILIES, NEW_ITEMS, Edit, Family, Options
from finest.testing import check_edit, check_family

OPTIONS: dict[str, dict[str, Any]] = {"casper": {"look_back": 5}}


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_family_does_what_it_must(name: str) -> None:
    check_family(FAMILIES[name], **OPTIONS.get(name, {}))


@pytest.mark.parametrize("name", list(EDITS))
def test_every_kind_of_edit_does_what_it_must(name: str) -> None:
    edit = EDITS[name]
    check_edit(edit)
    for new_item in NEW_ITEMS if "new_item" in edit.Config.model_fields else ():
        check_edit(edit, new_item=new_item)


class Random(Family):
    """A good family, to make bad ones of."""

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        row = np.flatnonzero(data.train)
        return generator.choice(row, min(count, len(row)), replace=False)


class HeldOut(Random):
    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        return generator.choice(len(data.train), min(count, int(data.train.sum())), replace=False)


class OneMore(Random):
    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        return super().select(data, count + 1, generator)


class Twice(Random):
    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        return generator.choice(np.flatnonzero(data.train), min(count, int(data.train.sum())))


class Moody(Random):
    def __init__(self, config: Options):
        super().__init__(config)
        self.chance = np.random.default_rng()

    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        return super().select(data, count, self.chance)


class Global(Random):
    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        return np.random.permutation(np.flatnonzero(data.train))[:count]


class Writes(Random):
    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        data.item[0] = 0
        return super().select(data, count, generator)


class Mask(Random):
    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Any:
        return np.ones(min(count, int(data.train.sum())), dtype=bool)


class Nothing(Random):
    def select(self, data: Dataset, count: int, generator: np.random.Generator) -> Ints:
        return np.zeros(0, np.int64)


class Slashed(Random):
    class Config(Options):
        part: str = "all"


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        (HeldOut, {}, "HeldOut returns held-out rows"),
        (OneMore, {}, "OneMore returns 2 rows, not 1"),
        (Twice, {}, "Twice returns a row twice"),
        (Moody, {}, "Moody selects other rows with an equal generator"),
        (Global, {}, "Global uses numpy's global generator"),
        (Writes, {}, "Writes changes the data set's item"),
        (Mask, {}, "Mask must return ids of rows, not bool"),
        (Nothing, {}, "Nothing selects none of [0-9]+ training rows"),
        (Slashed, {"part": "a/b"}, "cannot be part of a name"),
    ],
)
def test_a_family_that_breaks_the_contract_is_told_how(
    family: type[Family], options: dict[str, Any], said: str
) -> None:
    check_family(Random)
    with pytest.raises(AssertionError, match=said):
        check_family(family, **options)


class SameItem(Replacement):
    def new_items(self, data: Dataset, row: Ints, generator: np.random.Generator) -> Ints:
        return data.item[row]


class Outside(Replacement):
    def new_items(self, data: Dataset, row: Ints, generator: np.random.Generator) -> Ints:
        return np.full_like(row, data.items + 1)


class InPlace(Replacement):
    @staticmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        rows.item[place] = item
        return rows


class NoAnchor(Edit):
    @staticmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        anchor = rows.anchor.copy()
        anchor[place] = -1
        return replace(rows, anchor=anchor)


class Neighbour(Edit):
    @staticmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        gone = np.union1d(place, np.minimum(place + 1, len(rows) - 1))
        return Rows(*(np.delete(column, gone) for column in vars(rows).values()))


class Backwards(Edit):
    @staticmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        return Rows(*(column[::-1] for column in vars(rows).values()))


class Emptied(Edit):
    @staticmethod
    def apply(rows: Rows, place: Ints, item: Ints) -> Rows:
        emptied = rows.item.copy()
        emptied[place] = 0
        return replace(rows, item=emptied)


class Part(Replacement):
    def new_items(self, data: Dataset, row: Ints, generator: np.random.Generator) -> Ints:
        return super().new_items(data, row, generator)[:-1]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (SameItem, "SameItem puts in the item that was there"),
        (Outside, "Outside chooses items outside the catalogue"),
        (InPlace, "InPlace changes the rows that it is given"),
        (NoAnchor, "NoAnchor returns a row whose anchor is no clean row of the same user"),
        (Neighbour, "Neighbour loses, doubles or moves rows that it does not edit"),
        (Backwards, "Backwards changes the order of the rows"),
        (Emptied, "Emptied returns a training row without an item"),
        (Part, "Part must choose an item, or 0, for every one of 25 edits"),
    ],
)
def test_a_kind_of_edit_that_breaks_the_contract_is_told_how(edit: type[Edit], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_edit(edit)
