"""From clean rows to sorted ones: codes and k-core. Strings stay behind in two small tables."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from finest.data.config import Ingest
from finest.data.engine import Engine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Coded(NamedTuple):
    """Usable rows by number. `users` and `items` have a row each: code (by sorted id), id, n (interactions)."""

    rows: ir.Table
    """user, item (codes), time, and `order` where a column is mapped to it."""
    users: ir.Table
    items: ir.Table


def coded(engine: Engine, clean: ir.Table, config: Ingest) -> Coded:
    """Kept tables of usable rows: user, item, time, order."""

    def codes(column: str) -> ir.Table:
        ids = clean.group_by(id=clean[column]).agg(n=clean.count())
        return engine.keep(
            f"{column}_codes", ids.select("id", "n", code=ibis.row_number().over(order_by=ids.id).cast("int32"))
        )

    users, items = codes("user"), codes("item")
    order = sequence(config)
    rows = clean.join(users, clean.user == users.id).select("item", "time", *order, user_code="code")
    rows = rows.join(items, rows.item == items.id).select("time", *order, user="user_code", item="code")
    return Coded(engine.keep("coded", rows), users, items)


def core(engine: Engine, data: Coded, config: Ingest) -> ir.Table:
    """The k-core: rows whose user and item have enough interactions among the rows that are left.

    A round counts only the rows that the last one took away; the first finds the users, the second the items that are too few, and so on.
    """
    sides = ("user", "item")
    least = {"user": config.min_user_interactions, "item": config.min_item_interactions}
    counts = {"user": data.users.select("n", user="code"), "item": data.items.select("n", item="code")}
    gone: dict[str, ir.Table | None] = {"user": None, "item": None}
    round = idle = 0
    while idle < 2:  # neither side has lost one
        side, other = sides[round % 2], sides[(round + 1) % 2]
        few = engine.keep(f"few_{round}", counts[side].filter(counts[side].n < least[side]).select(side))
        left = counts[side].filter(counts[side].n >= least[side])
        if engine.small(few.agg(n=few.count()))["n"][0].as_py() == 0:
            idle, round = idle + 1, round + 1
            continue
        lost = data.rows.semi_join(few, side)
        if (before := gone[other]) is not None:
            lost = lost.anti_join(before, other)
        lost = lost.group_by(other).agg(lost=lost.count())
        rest = counts[other].left_join(lost, other).select(other, n=counts[other].n - lost.lost.fill_null(0))
        gone[side] = few if gone[side] is None else engine.keep(f"gone_{round}", ibis.union(gone[side], few))
        counts = {side: left, other: engine.keep(f"rest_{round}", rest)}
        idle, round = 0, round + 1
    rows = data.rows
    for side in sides:
        if gone[side] is not None:
            rows = rows.anti_join(gone[side], side)
    return rows


def sequence(config: Ingest) -> list[str]:
    """The column, if any, that orders a user's rows of the same time."""
    return ["order"] if config.columns.sequence is not None else []


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of a time; UTC where it has no zone."""
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1)
