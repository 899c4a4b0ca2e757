"""From clean rows to numbered ones: codes of users and items, and the k-core. Strings stay behind in small tables."""

from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from finest.data.config import Ingest
from finest.data.engine import Engine


class Coded(NamedTuple):
    """Holds usable rows by number. `users` and `items` have a row each: code (by sorted id), id, n (interactions)."""

    rows: ir.Table
    """user, item (codes), time, and `sequence_number` where a column is mapped to the sequence."""
    users: ir.Table
    items: ir.Table


def coded(engine: Engine, clean: ir.Table, config: Ingest, suffix: str = "") -> Coded:
    """Gives every user and every item a number, by sorted id from 0, and puts the numbers in the place of the ids.

    Args:
        engine: What keeps the tables.
        clean: Usable rows: user, item, time, and `sequence_number` where there is one.
        config: Says whether there is one.
        suffix: What the tables' names end in.
    """

    def codes(column: str) -> ir.Table:
        ids = clean.group_by(id=clean[column]).agg(n=clean.count())
        return engine.keep(
            f"{column}_codes{suffix}", ids.select("id", "n", code=ibis.row_number().over(order_by=ids.id).cast("int32"))
        )

    users, items = codes("user"), codes("item")
    sequence = sequence_columns(config)
    rows = clean.join(users, clean.user == users.id).select("item", "time", *sequence, user_code="code")
    rows = rows.join(items, rows.item == items.id).select("time", *sequence, user="user_code", item="code")
    return Coded(engine.keep(f"coded{suffix}", rows), users, items)


def core(engine: Engine, data: Coded, config: Ingest) -> ir.Table:
    """Returns the k-core: rows whose user and item have enough interactions among the rows that are left.

    A round counts only the rows that the last one took away; the first finds the users, the second the items that have
    too few, and so on, until neither side has lost one. With `min_user_interactions` 2 and `min_item_interactions` 2,
    of the rows

        ann a, ann b, bob a, bob c, eve c

    the first round finds eve, who has one row; the second finds b, which has one, and c, whose other row went with eve;
    the third finds ann and bob, who have one left each. Nothing remains.
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


def sequence_columns(config: Ingest) -> list[str]:
    """Returns the name of the column, if any, that sorts a user's rows of the same time."""
    return ["sequence_number"] if config.columns.sequence is not None else []
