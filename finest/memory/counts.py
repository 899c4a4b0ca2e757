"""Counts which items follow each other and which are used by the same users; per item, its nearest neighbours.

Everything that is counted is a whole number, so that engines and numbers of threads do not change a bit of it. What
is made of the numbers is computed here, by numpy.

Shapes: I items.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.fs as pafs
from scipy import sparse

from finest.data import duck
from finest.data.dataset import Dataset, Ints, Rows
from finest.data.engine import Engine
from finest.data.epoch import DAY
from finest.memory.config import MemoryConfig
from finest.memory.tables import Counts

STEPS = 10
"""Largest number of steps between two items that counts as one following the other."""
UNITS = 2520
"""Units of one step, the least common multiple of 1 to STEPS: a pair d steps apart counts UNITS / d, a whole number."""
PARTNERS = 50
"""Number of a user's last distinct items that are counted as used together: pairs grow with its square."""
PAIRS = 2**23
"""Largest number of pairs that are sorted at a time, but for an item that has more by itself."""
MEMORY = "1GB"
"""What DuckDB may use before it goes to disk."""
FULL_WEIGHT = 1024
"""Weight of a row of age 0, where rows are weighted by age: weights are whole numbers too."""


def count(
    engine: Engine,
    rows: Rows,
    items: int,
    neighbours: int,
    shrink: float,
    weight: Ints | None = None,
) -> Counts:
    """Counts training rows.

    Args:
        engine: What counts.
        rows: Training rows, sorted by user, then by position.
        items: Number of items of the catalogue, I.
        neighbours: Number of an item's neighbours that are kept, N.
        shrink: Number of steps that are added to every item's total, so that what was seen seldom weighs little.
        weight: [number of rows] weight of each row in units of 1 / FULL_WEIGHT, such as `by_age` gives; all alike where
            not given. A pair has the weight of its later row.
    """
    if weight is None:
        weight = np.full(len(rows), FULL_WEIGHT)
    known = _held(engine, rows, weight)
    occurrences = np.bincount(rows.item, minlength=items + 1)
    interactions = np.bincount(rows.item, weight / FULL_WEIGHT, minlength=items + 1)
    popularity = (interactions + 1) / (interactions[1:].sum() + items)
    popularity[0] = 0

    following = engine.keep("following", _following(known))
    totals = np.zeros(items + 1)
    for row in engine.small(_totals(following)).to_batches():
        totals[row["a"].to_numpy()] = row["units"].to_numpy() / (UNITS * FULL_WEIGHT)
    gathered = _Table(items)
    for part in _parts(STEPS * occurrences):
        followed = _followed(following.filter(following.a >= part.start, following.a < part.stop))
        a, b, units = _columns(engine.small(_largest(followed, followed.units, neighbours)), "a", "b", "units")
        gathered.add(a, b, units / (UNITS * FULL_WEIGHT) / (totals[a] + shrink))
    follows = gathered.csr()

    return Counts(popularity, follows, _cosines(engine, known, items, neighbours))


def _cosines(engine: Engine, known: ir.Table, items: int, neighbours: int) -> "sparse.csr_array":
    """Returns the cosine of the users of every item and of those that share most with it [I + 1, I + 1]."""
    lately = engine.keep("lately", _lately(known))
    users = np.zeros(items + 1, np.int64)
    for row in engine.small(lately.group_by("item").agg(users=lately.count())).to_batches():
        users[row["item"].to_numpy()] = row["users"].to_numpy()
    gathered = _Table(items)
    for part in _parts(PARTNERS * users):
        together = _together(lately.filter(lately.item >= part.start, lately.item < part.stop), lately)
        closest = _largest(together, together.users.cast("float64") * together.users / together.others, neighbours)
        a, b, both = _columns(engine.small(closest), "a", "b", "users")
        gathered.add(a, b, both / np.sqrt(users[a].astype(np.float64) * users[b]))
    return gathered.csr()


def used_together(data: Dataset, neighbours: int, threads: int | None = None) -> "sparse.csr_array":
    """Returns, for every item, the items that are most used by the same users in the training rows [I + 1, I + 1].

    Args:
        data: The data set.
        neighbours: Largest number of items for each item, of those that share a user with it.
        threads: Number of threads; one a core where not given.

    Returns:
        Cosines of the two items' users, of each user's last PARTNERS distinct items; 0 for any other pair.
    """
    rows = data.training_rows()
    with _opened(threads) as engine:
        return _cosines(engine, _held(engine, rows, np.full(len(rows), FULL_WEIGHT)), data.items, neighbours)


def counted(data: Dataset, rows: Rows, config: MemoryConfig, threads: int | None = None) -> Counts:
    """Counts training rows in a database of its own.

    Args:
        data: The data set that they are of, edited or not.
        rows: The rows.
        config: How many neighbours are kept, and how rows are weighted.
        threads: Number of threads; one a core where not given.
    """
    weight = None
    if config.half_life_days is not None:
        weight = by_age((rows.timestamp.max() - rows.timestamp) / DAY, config.half_life_days)
    with _opened(threads) as engine:
        return count(engine, rows, data.items, config.neighbours, config.shrink, weight)


@contextmanager
def _opened(threads: int | None) -> Iterator[Engine]:
    """Opens a database, which is gone afterwards."""
    what, files = "counts of the training rows", pafs.LocalFileSystem()
    with tempfile.TemporaryDirectory() as folder, duck.opened(files, Path(folder), what, MEMORY, threads) as engine:
        yield engine


def _held(engine: Engine, rows: Rows, weight: Ints) -> ir.Table:
    """Returns training rows as the engine has them."""
    columns = {"user": rows.user, "item": rows.item, "place": np.arange(len(rows)), "weight": weight}
    return engine.hold("training_rows", pa.table({name: pa.array(column) for name, column in columns.items()}))


def by_age(age_days: npt.NDArray[np.float64], half_life_days: float) -> Ints:
    """Returns the weight of rows of an age, which halves every so many days, in units of 1 / FULL_WEIGHT.

    >>> by_age(np.array([0.0, 30.0, 300.0]), 30.0).tolist()
    [1024, 512, 1]
    """
    return np.rint(FULL_WEIGHT * 0.5 ** (age_days / half_life_days)).astype(np.int64)


def _parts(pairs: Ints) -> list[range]:
    """Returns ranges of items with about PAIRS pairs each, of the pairs that every item may have [I + 1].

    >>> PAIRS
    8388608
    >>> _parts(np.array([0, PAIRS // 2, PAIRS // 2, 2 * PAIRS, 7, 7]))
    [range(0, 3), range(3, 4), range(4, 6)]
    """
    number = np.maximum(np.cumsum(pairs) - 1, 0) // PAIRS
    first = np.flatnonzero(np.diff(number)) + 1
    return [range(start, stop) for start, stop in pairwise([0, *first.tolist(), len(pairs)])]


class _Table:
    """Gathers a table of one value for pairs of items, row by row, in compressed rows."""

    def __init__(self, items: int):
        self._size = items + 1
        self._parts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]] = []
        self._entries = np.zeros(items + 1, np.int64)

    def add(self, row: Ints, column: Ints, value: npt.NDArray[np.float64]) -> None:
        """Adds entries, in order, behind those that are there."""
        self._entries += np.bincount(row, minlength=self._size)
        self._parts.append((column.astype(np.int32), value.astype(np.float32)))

    def csr(self) -> "sparse.csr_array":
        """Returns the table."""
        start = np.concatenate([[0], np.cumsum(self._entries)])
        start = start.astype(sparse.get_index_dtype(maxval=int(start[-1])))
        column, value = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        return sparse.csr_array((value, column, start), shape=(self._size, self._size))


def _following(rows: ir.Table) -> ir.Table:
    """Returns every row's item with the items of the next STEPS rows of its user, and the units of each pair."""
    later = ibis.window(group_by=rows.user, order_by=rows.place)
    item, weight = rows.item.cast("int32"), rows.weight.cast("int32")
    steps = range(1, STEPS + 1)
    return rows.select(
        a=item,
        **{f"item_{step}": item.lead(step).over(later) for step in steps},
        **{f"units_{step}": weight.lead(step).over(later) * (UNITS // step) for step in steps},
    )


def _totals(following: ir.Table) -> ir.Table:
    """Returns a, units: how often anything followed item a."""
    units = [following[f"units_{step}"].fill_null(0).cast("int64") for step in range(1, STEPS + 1)]
    return following.group_by("a").agg(units=sum(units[1:], units[0]).sum().cast("int64"))


def _followed(following: ir.Table) -> ir.Table:
    """Returns a, b, units: how often item b followed item a, in units of 1 / UNITS of a step of weight 1."""
    steps = range(1, STEPS + 1)
    pairs = ibis.union(
        *[following.select("a", b=following[f"item_{step}"], units=following[f"units_{step}"]) for step in steps]
    )
    pairs = pairs.filter(pairs.b.notnull())
    return pairs.group_by("a", "b").agg(units=pairs.units.sum().cast("int64"))


def _lately(rows: ir.Table) -> ir.Table:
    """Returns user, item: each user's last PARTNERS distinct items."""
    distinct = rows.group_by("user", "item").agg(last=rows.place.max())
    newest = ibis.window(group_by=distinct.user, order_by=distinct["last"].desc())
    numbered = distinct.mutate(number=ibis.row_number().over(newest))
    return numbered.filter(numbered.number < PARTNERS).select("user", item=numbered.item.cast("int32"))


def _together(some: ir.Table, lately: ir.Table) -> ir.Table:
    """Returns a, b, users, others: how many users have both items, and how many have b; for some rows of a."""
    other = lately.view()
    pairs = some.join(other, [some.user == other.user, some.item != other.item]).select(a=some.item, b=other.item)
    both = pairs.group_by("a", "b").agg(users=pairs.count())
    owners = lately.group_by("item").agg(others=lately.count())
    return both.join(owners, both.b == owners.item).select("a", "b", "users", "others")


def _largest(table: ir.Table, by: ir.NumericColumn, neighbours: int) -> ir.Table:
    """Returns each item's rows with the largest values, of equal ones those of the smaller code."""
    best = ibis.window(group_by=table.a, order_by=[by.desc(), table.b])
    numbered = table.mutate(number=ibis.row_number().over(best))
    return numbered.filter(numbered.number < neighbours).drop("number")


def _columns(table: pa.Table, *names: str) -> list[Ints]:
    """Returns columns, sorted by the first two, which are codes of items."""
    columns = [table[name].to_numpy().astype(np.int64) for name in names]
    order = np.argsort((columns[0] << 32) + columns[1])
    return [column[order] for column in columns]
