"""Checks of perturbation families and kinds of edits, for the tests of who writes one."""

from typing import Any, get_args

import numpy as np

from finest.data.dataset import Dataset, Ints, Rows
from finest.data.schema import Manifest
from finest.keys import numpy_generator
from finest.perturb.edits import edited
from finest.perturb.registry import Edit, Family, Options

USERS, ITEMS = 30, 40
"""Size of the data that is made up."""
ABOUT: dict[str, Any] = {"depth": 10, "exclude_seen": True, "fingerprint": "0" * 64}
"""The part of its manifest that there is."""


def check_family(family: type[Family], **options: Any) -> None:
    """Checks on made-up data that a perturbation family does what every family must.

    It selects as many rows as it is asked for, all of them training rows and none twice; an equal generator gives equal
    rows, and no other source of chance is used; the data stays as it is; its options survive the way through a
    pipeline.

    >>> from finest.perturb.registry import FAMILIES
    >>> check_family(FAMILIES["casper"], look_back=5)

    Args:
        family: The family.
        options: Options with which it finds rows in 30 histories of 2 to 31 interactions; its defaults where left out.

    Raises:
        AssertionError: It does not; the text says what.
    """
    name, config = family.__name__, _options(family.Config, options)
    for seed in range(3):
        data = _data(seed)
        before = _copy(data)
        training = int(np.count_nonzero(data.train))
        most = len(_selected(family, config, data, training, seed))
        assert most, f"{name} selects none of {training} training rows; check it with other options"
        for count in sorted({1, max(1, most // 2), most, training}):
            row = _selected(family, config, data, count, seed)
            assert np.issubdtype(row.dtype, np.integer), f"{name} must return ids of rows, not {row.dtype}"
            assert len(row) <= count, f"{name} returns {len(row)} rows, not {count}"
            assert len(row) == min(count, most) or not family.exact, f"{name} returns {len(row)} rows, not {count}"
            assert len(np.unique(row)) == len(row), f"{name} returns a row twice"
            assert ((row >= 0) & (row < len(data.train))).all(), f"{name} returns an id that no row has"
            assert data.train[row].all(), f"{name} returns held-out rows: nothing may touch these"
            again = _selected(family, config, data, count, seed)
            assert np.array_equal(np.sort(row), np.sort(again)), f"{name} selects other rows with an equal generator"
        _assert_untouched(name, data, before)


def check_edit(edit: type[Edit], **options: Any) -> None:
    """Checks on made-up data that a kind of edit does what every kind must.

    Its new items are of the catalogue and other than the old ones, its new times are other than the old ones; an equal
    generator gives equal ones. Rows that are not edited stay, with their ids and in their order, and every row belongs
    to a clean row of its own user. What it is given stays as it is, held-out rows too.

    >>> from finest.perturb.registry import EDITS
    >>> check_edit(EDITS["insertion"], new_item="least_popular")

    Args:
        edit: The kind of edit.
        options: Its options; its defaults where left out.

    Raises:
        AssertionError: It does not; the text says what.
    """
    name, config = edit.__name__, _options(edit.Config, options)
    for seed in range(3):
        data = _data(seed)
        before, rows = _copy(data), data.training_rows()
        place = np.sort(numpy_generator("check", seed).choice(len(rows), 25, replace=False))
        item, again = (_chosen(edit, config, data, rows.id[place], seed) for _ in range(2))
        assert np.array_equal(item, again), f"{name} chooses other new items with an equal generator"
        assert item.shape == place.shape, f"{name} must choose an item, or 0, for every one of {len(place)} edits"
        assert ((item >= 0) & (item <= data.items)).all(), f"{name} chooses items outside the catalogue"
        assert (item != rows.item[place]).all(), f"{name} puts in the item that was there"
        time, once_more = (_times(edit, config, data, rows.id[place], seed) for _ in range(2))
        assert np.array_equal(time, once_more), f"{name} chooses other new times with an equal generator"
        assert time.shape == place.shape, f"{name} must choose a time for every one of {len(place)} edits, or for none"
        moves = bool((time != rows.timestamp[place]).any())
        assert not moves or (time != rows.timestamp[place]).all(), f"{name} gives a row the time that it has"
        assert (time >= 0).all(), f"{name} chooses times before 1970"
        nothing = place[:0]
        for some, items, times in ((place, item, time), (nothing, nothing, nothing)):
            _check_rows(name, rows, edited(edit, rows, some, items, times if moves else None), some, moves)
        _assert_untouched(name, data, before)
        assert np.array_equal(rows.item, data.item[rows.id]), f"{name} changes the rows that it is given"
        assert np.array_equal(rows.timestamp, data.timestamp[rows.id]), f"{name} changes the rows that it is given"


def _check_rows(name: str, rows: Rows, after: Rows, place: Ints, moves: bool) -> None:
    columns = vars(after)
    assert {len(column) for column in columns.values()} == {len(after)}, f"{name} returns columns of several lengths"
    for column, values in columns.items():
        assert values.dtype == np.int64, f"{name} returns {column} as {values.dtype}, not int64"
    owner = dict(zip(rows.id.tolist(), rows.user.tolist(), strict=True))
    users = [owner.get(anchor) for anchor in after.anchor.tolist()]
    assert users == after.user.tolist(), f"{name} returns a row whose anchor is no clean row of the same user"
    assert (np.diff(after.anchor) >= 0).all(), f"{name} changes the order of the rows"
    assert (after.item > 0).all(), f"{name} returns a training row without an item"
    clean = after.id >= 0
    assert moves or np.array_equal(after.id[clean], after.anchor[clean]), (
        f"{name} returns a clean row that is not its own anchor"
    )
    before = np.diff(after.timestamp)[np.diff(after.user) == 0]
    assert (before >= 0).all(), f"{name} returns a user's rows out of the order of time"
    kept = np.delete(rows.id, place)
    there = np.isin(after.id, kept)
    assert np.array_equal(after.id[there], kept), f"{name} loses, doubles or moves rows that it does not edit"
    assert np.array_equal(after.item[there], np.delete(rows.item, place)), f"{name} changes rows that it does not edit"


def _options(config: type[Options], options: dict[str, Any]) -> Options:
    """Returns the section of these options, which must survive parameters that hold whole numbers as floats."""
    (name, *_) = get_args(config.model_fields["name"].annotation) or ("checked",)  # a Literal, or any text
    section = config.model_validate({"name": name, **options})
    dumped = {
        key: float(value) if type(value) is int else value for key, value in section.model_dump(mode="json").items()
    }
    assert config.model_validate(dumped) == section, f"{section!r} does not survive the way through a pipeline"
    assert all(word and "/" not in word for word in section.words()), f"{section.words()} cannot be part of a name"
    return section


def _selected(family: type[Family], config: Options, data: Dataset, count: int, seed: int) -> Ints:
    with _Chance(family.__name__):
        return family(config).select(data, count, numpy_generator("check", seed))


def _chosen(edit: type[Edit], config: Options, data: Dataset, row: Ints, seed: int) -> Ints:
    with _Chance(edit.__name__):
        return edit(config).new_items(data, row, numpy_generator("check", seed))


def _times(edit: type[Edit], config: Options, data: Dataset, row: Ints, seed: int) -> Ints:
    with _Chance(edit.__name__):
        found = edit(config).new_timestamps(data, row, numpy_generator("check", seed))
    return data.timestamp[row] if found is None else found


class _Chance:
    """Sees to it that numpy's global generator is not used: it would differ from run to run."""

    def __init__(self, name: str):
        self._name = name

    def __enter__(self) -> None:
        self._before = _drawn()

    def __exit__(self, kind: object, *_: object) -> None:
        assert kind or _drawn() == self._before, f"{self._name} uses numpy's global generator; use the one it is given"


def _drawn() -> tuple[Any, ...]:
    _, state, *rest = np.random.get_state()
    return (np.asarray(state).tobytes(), *rest)


def _copy(data: Dataset) -> dict[str, Any]:
    return {name: value.copy() for name, value in vars(data).items() if isinstance(value, np.ndarray)}


def _assert_untouched(name: str, data: Dataset, before: dict[str, Any]) -> None:
    for column, values in before.items():
        assert np.array_equal(getattr(data, column), values), f"{name} changes the data set's {column}"


def _data(seed: int) -> Dataset:
    """Returns histories of 2 to 31 items, the last tenth held out; a held-out item may be new."""
    generator = numpy_generator("data to check on", seed)
    size = generator.permutation(np.arange(2, 2 + USERS))
    user = np.repeat(np.arange(USERS), size)
    position = np.arange(len(user)) - np.repeat(np.cumsum(size) - size, size)
    train = position < np.repeat(size - np.maximum(1, size // 10), size)
    item = generator.integers(1, ITEMS + 1, len(user))
    item[np.flatnonzero(train)[:ITEMS]] = np.arange(1, ITEMS + 1)  # each occurs in the training rows
    item[~train & (generator.random(len(user)) < 0.2)] = 0
    names = np.array(["", *(f"i{number}" for number in range(1, ITEMS + 1))], dtype=object)
    return Dataset(
        user=user,
        item=item,
        timestamp=position * 1_000_000,
        position=position,
        train=train,
        item_ids=names,
        user_ids=np.array([f"u{number}" for number in range(USERS)], dtype=object),
        target_ids=np.where(item > 0, names[item], "new"),
        manifest=Manifest.model_construct(**ABOUT),
    )
