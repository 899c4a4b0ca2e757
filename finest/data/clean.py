"""From rows as they were read to rows that can be used: everything unusable is set aside with a reason, nothing disappears."""

from datetime import UTC, datetime, time, timedelta

import ibis
import ibis.expr.types as ir

from finest.data.config import Ingest
from finest.data.order import microseconds, sequence
from finest.data.schema import DUPLICATE
from finest.data.times import iso_8601, micros, whole, within
from finest.data.window import CLOCK_DAYS, PARTITION

UNPARSABLE = "timestamp unparsable"

WHOLE_NUMBER = r"^-?[0-9]{1,18}\z"


def parsed(rows: ir.Table, config: Ingest) -> ir.Table:
    """Rows as an engine read them, and `time` (microseconds), `told` (whether the timestamp's text says a time), and where a column is
    mapped to the sequence, `order`."""
    known = ibis.ifelse(rows.micros.notnull(), rows.micros, whole(rows.text, config.timestamp_unit))
    rows = rows.mutate(micros=known)  # a step of its own, and so the next: computed once, though used often
    rows = rows.mutate(iso=ibis.ifelse(rows.micros.notnull(), ibis.null(str), iso_8601(rows.text)))
    time, told = micros(rows.text, config.timestamp_unit, rows.iso)
    time = ibis.ifelse(rows.micros.notnull(), rows.micros, time)  # not coalesce, and told apart:
    told = ibis.ifelse(rows.micros.notnull(), True, told)  # engines skip the branches that no row takes
    told = ibis.ifelse(rows.text.isnull(), ibis.null(bool), told)
    rows = rows.select("file", "record", "user", "item", "text", "sequence", time=time, told=told)
    if config.columns.sequence is None:
        return rows.drop("sequence")
    return rows.mutate(
        order=ibis.ifelse(rows.sequence.re_search(WHOLE_NUMBER), rows.sequence, ibis.null(str)).cast("int64")
    )


def judged(rows: ir.Table, config: Ingest) -> ir.Table:
    """Parsed rows with the reason why a row cannot be used (null: it can): file, record, user, item, time, text, reason, order."""
    tests = [
        (rows.user.isnull(), "user missing"),
        (rows.item.isnull(), "item missing"),
        (rows.time.isnull() & rows.text.isnull(), "timestamp missing"),
        (rows.text.notnull() & ~rows.told, UNPARSABLE),
        (rows.time.isnull() | ~within(rows.time), "timestamp out of range"),
    ]
    if config.until is not None:
        end = datetime.combine(config.until + timedelta(days=1 + CLOCK_DAYS), time(), UTC)
        tests.append((rows.time >= microseconds(end), "timestamp after the days read"))
    if config.columns.sequence is not None:
        tests += [(rows.sequence.isnull(), "sequence missing"), (rows.order.isnull(), "sequence unparsable")]
    order = sequence(config)
    if config.duplicates == "quarantine":
        usable = ~ibis.or_(*[test for test, _ in tests])
        by = [rows[name] for name in (*order, "file", "record")]
        same = ibis.window(group_by=[rows.user, rows.item, rows.time, usable], order_by=by)
        tests.append((ibis.row_number().over(same) > 0, DUPLICATE))
    reason = ibis.cases(*tests, else_=ibis.null(str))
    text = ibis.ifelse(reason.isnull(), ibis.null(str), rows.text)
    return rows.select("file", "record", "user", "item", "time", *order, text=text, reason=reason)


def quarantined(rows: ir.Table) -> ir.Table:
    """The judged rows that cannot be used: file, record, reason, user, item, timestamp (text)."""
    unusable = rows.filter(rows.reason.notnull())
    shown = ibis.coalesce(unusable.text, unusable.time.cast(str) + " us")
    return unusable.select("file", "record", "reason", "user", "item", timestamp=shown)


def tally(rows: ir.Table, config: Ingest) -> dict[str, ir.IntegerScalar]:
    """Of the judged rows, how many there are, are unusable, and are late where days are bounded."""
    counts = {"rows": rows.count(), "unusable": rows.reason.notnull().sum()}
    return counts if config.since is None and config.until is None else {**counts, "late": _late(rows)}


def _late(rows: ir.Table) -> ir.IntegerScalar:
    """How many of the usable rows are of an earlier day than the partition that they came in."""
    day, _ = micros(rows.file.re_extract(PARTITION, 1), "us")
    return (rows.reason.isnull() & (rows.time < day)).sum()
