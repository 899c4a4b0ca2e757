"""From rows as they were read to rows that can be used: others are set aside with a reason, nothing disappears."""

from datetime import UTC, datetime, time

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from finest.data.codes import sequence_columns
from finest.data.config import SEGMENT, Ingest
from finest.data.epoch import microseconds
from finest.data.forms import Form, TimestampUnit
from finest.data.layout import FAULT
from finest.data.schema import DUPLICATE
from finest.data.source import SourceFile
from finest.data.times import iso_8601, micros, plain, whole, within, written
from finest.data.window import CLOCK_DAYS, partition_days
from finest.durations import day_after

UNPARSABLE = "timestamp unparsable"
"""The quarantine's reason for a timestamp that is neither a plain decimal number nor a time in ISO 8601 or the form."""

NUL = "with a NUL character"
"""The quarantine's reason, behind user or item, for an id that later steps would cut."""
LONG = "longer than ingest.max_id_length"
"""Likewise, for one that is no id."""
LIKE_NULL = (
    "NULL",
    "null",
    "None",
    "none",
    "nan",
    "NaN",
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "\\N",
    "(null)",
    "nil",
    "undefined",
)
"""What programs write where there is nothing."""
LIKE_NULL_SHARE = 0.01
"""Share of the rows from which on such an id is told."""

WHOLE_NUMBER = r"^-?[0-9]{1,18}\z"
"""What a sequence must look like: a whole number that 64 bits hold."""


def parsed(rows: ir.Table, config: Ingest, unit: TimestampUnit) -> ir.Table:
    """Parses timestamps and the sequence.

    Args:
        rows: Rows as an engine has read them.
        config: Says what stands for nothing, and whether a column is mapped to the sequence.
        unit: Unit of numeric timestamps, or the form of all.

    Returns:
        file, record, user, item, text; `time` (microseconds); `has_time` (whether the timestamp's text says a time;
        null without a text); `sequence` and `sequence_number` where a column is mapped to it; the segments; FAULT where
        the rows have it.
    """
    faults = [FAULT] if FAULT in rows.columns else []
    if config.null_tokens:
        rows = _without(rows, config.null_tokens)
    nothing = ibis.null(str)
    if isinstance(unit, Form):
        rows = rows.mutate(written=written(rows.text, unit))
        rows = rows.mutate(iso=iso_8601(rows.written), number=nothing)
    else:
        known = ibis.ifelse(rows.micros.notnull(), rows.micros, whole(rows.text, unit))
        rows = rows.mutate(micros=known)  # a step of its own, and so the next: computed once, though used often
        rows = rows.mutate(
            iso=ibis.ifelse(rows.micros.notnull(), nothing, iso_8601(rows.text)),
            number=ibis.ifelse(rows.micros.notnull(), nothing, plain(rows.text)),
        )
    time, has_time = micros(rows.text, "s" if isinstance(unit, Form) else unit, rows.iso, rows.number)
    time = ibis.ifelse(rows.micros.notnull(), rows.micros, time)  # not coalesce, and in a column of its own:
    has_time = ibis.ifelse(rows.micros.notnull(), True, has_time)  # engines skip the branches that no row takes
    has_time = ibis.ifelse(rows.text.isnull(), ibis.null(bool), has_time)
    segments = config.columns.segment_roles
    kept = "file", "record", "user", "item", "text", "sequence", *segments, *faults
    rows = rows.select(*kept, time=time, has_time=has_time)
    if config.columns.sequence is None:
        return rows.drop("sequence")
    number = ibis.ifelse(rows.sequence.re_search(WHOLE_NUMBER), rows.sequence, ibis.null(str)).cast("int64")
    return rows.mutate(sequence_number=number)


def _without(rows: ir.Table, tokens: list[str]) -> ir.Table:
    """Makes nulls of the texts that stand for nothing."""
    named = [name for name in rows.columns if name in ("user", "item", "sequence", "text") or name.startswith(SEGMENT)]
    kept = {name: ibis.ifelse(rows[name].isin(tokens), ibis.null(str), rows[name]) for name in named}
    return rows.mutate(**kept, micros=ibis.ifelse(rows.text.isin(tokens), ibis.null("int64"), rows.micros))


def judged(rows: ir.Table, config: Ingest, carried: bool = True) -> ir.Table:
    """Finds the reason why a row cannot be used.

    Args:
        rows: Parsed rows.
        config: Says which days are read, and what becomes of duplicates.
        carried: Whether all ids can be: `uncarried` finds none that cannot. Looking at each row takes long.

    Returns:
        file, record, user, item, time, text, reason (null: the row can be used), `sequence_number` where there is one,
        and the segments.
    """
    tests = [(rows[FAULT].notnull(), rows[FAULT])] if FAULT in rows.columns else []
    tests += [
        (rows.user.isnull(), "user missing"),
        (rows.item.isnull(), "item missing"),
        (rows.time.isnull() & rows.text.isnull(), "timestamp missing"),
        (rows.text.notnull() & ~rows.has_time, UNPARSABLE),
        (rows.time.isnull() | ~within(rows.time), "timestamp out of range"),
    ]
    if not carried:
        for role, id in {"user": rows.user, "item": rows.item}.items():
            tests.append((id.re_search(r"\x00"), f"{role} {NUL}"))
            tests.append((id.length() > config.max_id_length, f"{role} {LONG}"))
    if config.until is not None:
        end = datetime.combine(day_after(config.until, 1 + CLOCK_DAYS), time(), UTC)
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


def uncarried(ids: pa.Array, config: Ingest) -> bool:
    """Tells whether there are ids that cannot be carried to the end: numpy and MLflow end a text at a NUL."""
    return bool(
        pc.any(pc.match_substring(ids, "\0")).as_py()
        or pc.any(pc.greater(pc.utf8_length(ids), config.max_id_length)).as_py()
    )


def looks_null(codes: pa.Table, role: str) -> str | None:
    """Returns a warning where one id looks as if it stood for none and has many rows; None otherwise.

    Args:
        codes: The ids: id, n.
        role: Whose ids these are.
    """
    rows = pc.sum(codes["n"]).as_py() or 0
    for token in LIKE_NULL:
        found = pc.sum(pc.filter(codes["n"], pc.equal(codes["id"], token))).as_py() or 0
        if found and found >= LIKE_NULL_SHARE * rows:
            return (
                f"{found / rows:.1%} of the rows have the {role} {token!r}, which looks like none:"
                f" ingest.null_tokens=[{token!r}] sets them aside"
            )
    return None


def quarantined(rows: ir.Table) -> ir.Table:
    """Returns the judged rows that cannot be used: file, record, reason, user, item, timestamp (text)."""
    unusable = rows.filter(rows.reason.notnull())
    shown = ibis.coalesce(unusable.text, unusable.time.cast(str) + " us")
    return unusable.select("file", "record", "reason", "user", "item", timestamp=shown)


def tally(rows: ir.Table) -> dict[str, ir.IntegerScalar]:
    """Counts the judged rows: all `rows` and the `unusable` ones."""
    return {"rows": rows.count(), "unusable": rows.reason.notnull().sum()}


def starts(files: list[SourceFile], config: Ingest) -> pa.Table:
    """Returns the day that each file's partition begins with: its path, and `start`, microseconds since 1970 (UTC)."""
    found = {path: day for path, day in partition_days(files, config).items() if day is not None}
    times = [microseconds(datetime.combine(day, time(), UTC)) for day in found.values()]
    return pa.table({"path": pa.array(found, pa.string()), "start": pa.array(times, pa.int64())})


def late(rows: ir.Table, starts: ir.Table) -> ir.Table:
    """Counts the usable rows of an earlier day than the partition that they came in: one row, `late`."""
    joined = rows.select("time", "reason", path=rows.file.cast(str)).inner_join(starts, "path")
    before = joined.filter(joined.reason.isnull() & (joined.time < joined.start))
    return before.agg(late=before.count())
