"""From rows as they were read to rows that can be used: others are set aside with a reason, nothing disappears."""

from datetime import UTC, datetime, time, timedelta

import ibis
import ibis.expr.types as ir

from finest.data.codes import sequence_columns
from finest.data.config import Ingest
from finest.data.schema import DUPLICATE
from finest.data.times import iso_8601, micros, microseconds, whole, within
from finest.data.window import CLOCK_DAYS, PARTITION

UNPARSABLE = "timestamp unparsable"
"""The quarantine's reason for a timestamp that is neither a plain decimal number nor an ISO 8601 time."""

WHOLE_NUMBER = r"^-?[0-9]{1,18}\z"
"""What a sequence must look like: a whole number that 64 bits hold."""


def parsed(rows: ir.Table, config: Ingest) -> ir.Table:
    """Parses timestamps and the sequence.

    Args:
        rows: Rows as an engine has read them.
        config: Says in which unit numeric timestamps are, and whether a column is mapped to the sequence.

    Returns:
        file, record, user, item, text; `time` (microseconds); `has_time` (whether the timestamp's text says a time;
        null without a text); `sequence` and `sequence_number` where a column is mapped to it; the segments.
    """
    known = ibis.ifelse(rows.micros.notnull(), rows.micros, whole(rows.text, config.timestamp_unit))
    rows = rows.mutate(micros=known)  # a step of its own, and so the next: computed once, though used often
    rows = rows.mutate(iso=ibis.ifelse(rows.micros.notnull(), ibis.null(str), iso_8601(rows.text)))
    time, has_time = micros(rows.text, config.timestamp_unit, rows.iso)
    time = ibis.ifelse(rows.micros.notnull(), rows.micros, time)  # not coalesce, and in a column of its own:
    has_time = ibis.ifelse(rows.micros.notnull(), True, has_time)  # engines skip the branches that no row takes
    has_time = ibis.ifelse(rows.text.isnull(), ibis.null(bool), has_time)
    segments = config.columns.segment_roles
    rows = rows.select("file", "record", "user", "item", "text", "sequence", *segments, time=time, has_time=has_time)
    if config.columns.sequence is None:
        return rows.drop("sequence")
    number = ibis.ifelse(rows.sequence.re_search(WHOLE_NUMBER), rows.sequence, ibis.null(str)).cast("int64")
    return rows.mutate(sequence_number=number)


def judged(rows: ir.Table, config: Ingest) -> ir.Table:
    """Finds the reason why a row cannot be used.

    Args:
        rows: Parsed rows.
        config: Says which days are read, and what becomes of duplicates.

    Returns:
        file, record, user, item, time, text, reason (null: the row can be used), `sequence_number` where there is one,
        and the segments.
    """
    tests = [
        (rows.user.isnull(), "user missing"),
        (rows.item.isnull(), "item missing"),
        (rows.time.isnull() & rows.text.isnull(), "timestamp missing"),
        (rows.text.notnull() & ~rows.has_time, UNPARSABLE),
        (rows.time.isnull() | ~within(rows.time), "timestamp out of range"),
    ]
    if config.until is not None:
        end = datetime.combine(config.until + timedelta(days=1 + CLOCK_DAYS), time(), UTC)
        tests.append((rows.time >= microseconds(end), "timestamp after the days read"))
    if config.columns.sequence is not None:
        tests += [(rows.sequence.isnull(), "sequence missing"), (rows.sequence_number.isnull(), "sequence unparsable")]
    sequence = sequence_columns(config)
    if config.quarantines_duplicates:
        usable = ~ibis.or_(*[test for test, _ in tests])
        by = [rows[name] for name in (*sequence, "file", "record")]
        same = ibis.window(group_by=[rows.user, rows.item, rows.time, usable], order_by=by)
        tests.append((ibis.row_number().over(same) > 0, DUPLICATE))
    reason = ibis.cases(*tests, else_=ibis.null(str))
    text = ibis.ifelse(reason.isnull(), ibis.null(str), rows.text)
    kept = *sequence, *config.columns.segment_roles
    return rows.select("file", "record", "user", "item", "time", *kept, text=text, reason=reason)


def quarantined(rows: ir.Table) -> ir.Table:
    """Returns the judged rows that cannot be used: file, record, reason, user, item, timestamp (text)."""
    unusable = rows.filter(rows.reason.notnull())
    shown = ibis.coalesce(unusable.text, unusable.time.cast(str) + " us")
    return unusable.select("file", "record", "reason", "user", "item", timestamp=shown)


def tally(rows: ir.Table, config: Ingest) -> dict[str, ir.IntegerScalar]:
    """Counts the judged rows: all `rows`, the `unusable` ones and, where days are bounded, the `late` ones."""
    counts = {"rows": rows.count(), "unusable": rows.reason.notnull().sum()}
    return counts if config.since is None and config.until is None else {**counts, "late": _late(rows)}


def _late(rows: ir.Table) -> ir.IntegerScalar:
    """Counts the usable rows of an earlier day than the partition that they came in."""
    day, _ = micros(rows.file.re_extract(PARTITION, 1), "us")
    return (rows.reason.isnull() & (rows.time < day)).sum()
