"""Counts which items follow each other and which are used by the same users; per item, its nearest neighbours.

Everything that is counted is a whole number, so that engines and numbers of threads do not change a bit of it. What
is made of the numbers is computed here, by numpy.

Shapes: I items.
"""

import tempfile
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
from finest.data.times import DAY
from finest.memory.config import MemoryConfig
from finest.memory.tables import Counts

STEPS = 10
"""Largest number of steps between two items that counts as one following the other."""
UNITS = 2520
"""Units of one step, the least common multiple of 1 to STEPS: a pair d steps apart counts UNITS / d, a whole number."""
PARTNERS = 50
"""Number of a user's last distinct items that are counted as used together: pairs grow with its square."""
MEMORY = "2GB"
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
    columns = {"user": rows.user, "item": rows.item, "place": np.arange(len(rows))}
    columns["weight"] = np.full(len(rows), FULL_WEIGHT) if weight is None else weight
    known = engine.hold("training_rows", pa.table({name: pa.array(column) for name, column in columns.items()}))
    one_step = UNITS * FULL_WEIGHT
    followed = engine.keep("followed", _followed(engine.keep("following", _following(known))))
    totals = np.zeros(items + 1)
    for row in engine.small(followed.group_by("a").agg(units=followed.units.sum())).to_batches():
        totals[row["a"].to_numpy()] = row["units"].to_numpy() / one_step
    a, b, units = _columns(engine.small(_largest(followed, followed.units, neighbours)), "a", "b", "units")
    share = units / one_step / (totals[a] + shrink)

    lately = engine.keep("lately", _lately(known))
    users = np.zeros(items + 1)
    for row in engine.small(lately.group_by("item").agg(users=lately.count())).to_batches():
        users[row["item"].to_numpy()] = row["users"].to_numpy()
    together = engine.keep("together", _together(lately))
    closest = _largest(together, together.users.cast("float64") * together.users / together.others, neighbours)
    c, d, both = _columns(engine.small(closest), "a", "b", "users")

    interactions = np.bincount(rows.item, columns["weight"] / FULL_WEIGHT, minlength=items + 1)
    popularity = (interactions + 1) / (interactions[1:].sum() + items)
    popularity[0] = 0
    return Counts(popularity, _csr(a, b, share, items), _csr(c, d, both / np.sqrt(users[c] * users[d]), items))


def counted(data: Dataset, rows: Rows, config: MemoryConfig, threads: int | None = None) -> Counts:
    """Counts training rows in a database of its own.

    Args:
        data: The data set that they are of, edited or not.
        rows: The rows. Where they are weighted by age, an edited one has the time of its anchor.
        config: How many neighbours are kept, and how rows are weighted.
        threads: Number of threads; one a core where not given.
    """
    weight = None
    if config.half_life_days is not None:
        time = data.timestamp[rows.anchor]
        weight = by_age((time.max() - time) / DAY, config.half_life_days)
    what, files = "counts of the training rows", pafs.LocalFileSystem()
    with tempfile.TemporaryDirectory() as folder, duck.opened(files, Path(folder), what, MEMORY, threads) as engine:
        return count(engine, rows, data.items, config.neighbours, config.shrink, weight)


def by_age(age_days: npt.NDArray[np.float64], half_life_days: float) -> Ints:
    """Returns the weight of rows of an age, which halves every so many days, in units of 1 / FULL_WEIGHT.

    >>> by_age(np.array([0.0, 30.0, 300.0]), 30.0).tolist()
    [1024, 512, 1]
    """
    return np.rint(FULL_WEIGHT * 0.5 ** (age_days / half_life_days)).astype(np.int64)


def _following(rows: ir.Table) -> ir.Table:
    """Returns every row's item with the items of the next STEPS rows of its user, and the units of each pair."""
    later = ibis.window(group_by=rows.user, order_by=rows.place)
    steps = range(1, STEPS + 1)
    return rows.select(
        a=rows.item,
        **{f"item_{step}": rows.item.lead(step).over(later) for step in steps},
        **{f"units_{step}": rows.weight.lead(step).over(later) * (UNITS // step) for step in steps},
    )


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
    return numbered.filter(numbered.number < PARTNERS).select("user", "item")


def _together(lately: ir.Table) -> ir.Table:
    """Returns a, b, users, others: how many users have both items, and how many have b; in both orders."""
    other = lately.view()
    pairs = lately.join(other, [lately.user == other.user, lately.item < other.item]).select(
        low=lately.item, high=other.item
    )
    half = pairs.group_by("low", "high").agg(users=pairs.count())
    both = ibis.union(half.select(a="low", b="high", users="users"), half.select(a="high", b="low", users="users"))
    owners = lately.group_by("item").agg(others=lately.count())
    return both.join(owners, both.b == owners.item).select("a", "b", "users", "others")


def _largest(table: ir.Table, by: ir.NumericColumn, neighbours: int) -> ir.Table:
    """Returns each item's rows with the largest values, of equal ones those of the smaller code."""
    best = ibis.window(group_by=table.a, order_by=[by.desc(), table.b])
    numbered = table.mutate(number=ibis.row_number().over(best))
    return numbered.filter(numbered.number < neighbours).drop("number")


def _columns(table: pa.Table, *names: str) -> list[Ints]:
    order = np.lexsort([table[name].to_numpy() for name in reversed(names[:2])])
    return [table[name].to_numpy().astype(np.int64)[order] for name in names]


def _csr(row: Ints, column: Ints, value: npt.NDArray[np.float64], items: int) -> "sparse.csr_array":
    shape = (items + 1, items + 1)
    return sparse.csr_array((value.astype(np.float32), (row.astype(np.int32), column.astype(np.int32))), shape=shape)
