"""From clean rows to histories: codes, k-core, a total order and the split. Strings stay behind in two small tables."""

from datetime import UTC, datetime, timedelta

import ibis
import ibis.expr.types as ir

from finest.data.config import Ingest, Split
from finest.data.engine import DuckDB

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def coded(engine: DuckDB, clean: ir.Table) -> tuple[ir.Table, ir.Table, ir.Table]:
    """Kept tables: rows (user, item: codes by sorted id; time, order, tie), users and items (code, id).

    `tie` orders a user's rows of one time and sequence by a hash of user and item. Item ids or the order in a file would do, too, and
    would teach a model that item 8 follows item 7; a hash of the item alone would repeat one order for every user.
    """

    def codes(column: str) -> ir.Table:
        ids = clean.select(id=clean[column]).distinct()
        return engine.keep(f"{column}_codes", ids.select("id", code=ibis.row_number().over(order_by=ids.id)))

    users, items = codes("user"), codes("item")
    rows = clean.join(users, clean.user == users.id).select("user", "item", "time", "order", user_code="code")
    rows = rows.join(items, rows.item == items.id).select("user", "item", "time", "order", "user_code", item_code="code")
    tie = (rows.user + "\x1f" + rows.item).hexdigest("md5").left(16)
    return engine.keep("coded", rows.select("time", "order", user=rows.user_code, item=rows.item_code, tie=tie)), users, items


def core(engine: DuckDB, rows: ir.Table, config: Ingest) -> tuple[ir.Table, ir.Table]:
    """The k-core: rows whose user and item have enough interactions among the rows that are left; and its users (user, n)."""
    left, round = rows, 0
    while True:
        users = left.group_by("user").agg(n=left.count())
        users = engine.keep(f"users_{round}", users.filter(users.n >= config.min_user_interactions))
        of_users = left.semi_join(users, "user")
        items = of_users.group_by("item").agg(n=of_users.count())
        items = engine.keep(f"items_{round}", items.filter(items.n >= config.min_item_interactions))
        left, round = rows.semi_join(users, "user").semi_join(items, "item"), round + 1
        sizes = engine.small(users.agg(rows=users.n.sum())), engine.small(items.agg(rows=items.n.sum()))
        if sizes[0] == sizes[1]:  # no item was left out: the users' counts hold
            return left, users


def split(rows: ir.Table, users: ir.Table, config: Split) -> ir.Table:
    """Every row with its position in its user's history and whether it is a training row: user, item, time, position, train."""
    exact = ibis.window(group_by=[rows.user, rows.item, rows.time, rows.order])
    twin = ibis.row_number().over(exact)  # identical rows: which is which shows nowhere, but one hash would put them side by side
    tie = ibis.ifelse(twin > 0, (rows.tie + twin.cast(str)).hexdigest("md5").left(16), rows.tie)
    rows = rows.select("user", "item", "time", "order", tie=tie)
    history = ibis.window(group_by=rows.user, order_by=[rows.time, rows.order, rows.tie, rows.item])  # item: should two hashes collide
    rows = rows.select("user", "item", "time", position=ibis.row_number().over(history))
    if config.method == "temporal":
        assert config.cut is not None
        return rows.mutate(train=rows.time < microseconds(config.cut))
    if config.method == "leave_one_out":
        held = ibis.ifelse(users.n > 1, 1, 0)
    else:
        per_mille = round(config.fraction * 1000)  # config allows no finer fraction
        held = ibis.least((users.n * per_mille + 999) // 1000, users.n - 1)
    ends = users.select("user", trained=users.n - held)
    rows = rows.join(ends, "user")
    return rows.select("user", "item", "time", "position", train=rows.position < rows.trained)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of a time; UTC where it has no zone."""
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1)
