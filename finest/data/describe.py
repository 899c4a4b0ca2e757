"""Describes rows on the engine that has read them, so that their number does not matter; times of day are UTC."""

from datetime import UTC, date, datetime, time, timedelta

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finest.data.codes import Coded
from finest.data.description import DAYS, Description
from finest.data.engine import Engine
from finest.data.epoch import DAY, HOUR, microseconds
from finest.durations import day_after

BEFORE = 28
"""Number of days that the last one is held against."""
ECHO = 7
"""Number of days back that rows are looked for which came again."""
LIVELY, LIVELY_ROWS = 0.1, 10
"""Share of the usual rows, and number of rows, that an hour's day must have for it to be the last one, and the hour its
share of them: a few rows from a clock that is ahead are none."""
CROWDED = 0.01
"""Share of the rows that an hour must have to be looked at for a time that many rows share."""


def describe(
    engine: Engine, data: Coded, users: pa.Table, items: pa.Table, since: date | None = None, until: date | None = None
) -> Description:
    """Describes coded rows, of which there is at least one.

    Args:
        engine: What has them.
        data: The rows: user, item, time (microseconds).
        users: Users: n, the rows of each.
        items: Items likewise.
        since: First day that was read; None: no bound.
        until: Last day that was read and delivered; None: told from the rows.
    """
    rows = data.rows
    hours = rows.group_by(hour=rows.time - rows.time % HOUR).agg(n=rows.count())
    found = engine.small(hours.order_by("hour"))
    hour_H, rows_H = (found[name].to_numpy().astype(np.int64) for name in ("hour", "n"))
    total = int(rows_H.sum())
    newest = _newest(hour_H, rows_H)
    end = newest if until is None else _midnight(day_after(until))
    crowded = hour_H[rows_H >= CROWDED * total]
    measures = {
        "rows": float(total),
        "users": float(len(users)),
        "items": float(len(items)),
        "user_share": pc.max(users["n"]).as_py() / total,
        "item_share": pc.max(items["n"]).as_py() / total,
        "same_time": 0.0,
        "gap_days": float(_gaps(hour_H, end)),
        "later_rows": float(rows_H[hour_H >= end].sum()),
    }
    if len(crowded):
        held = engine.hold("crowded_hours", pa.table({"hour": crowded}))
        timed = rows.select("time", hour=rows.time - rows.time % HOUR).semi_join(held, "hour")
        measures["same_time"] = _most(engine, timed, "time") / total
    measures |= _of_week(engine, rows, end)
    if (moved := _moved(hour_H, rows_H, end)) is not None:
        measures["day_hours"] = moved
    bounded = since is not None and until is not None
    return Description(
        first=int(hour_H[0]),
        end=end,
        newest=newest,
        window_days=(until - since).days + 1 if bounded and since and until else None,
        days=_days(hour_H, rows_H, end),
        measures={name: round(value, 6) for name, value in measures.items()},
    )


def _of_week(engine: Engine, rows: ir.Table, end: int) -> dict[str, float]:
    """Returns what is measured on the rows of the last days alone."""
    week = rows.filter((rows.time >= end - (ECHO + 1) * DAY) & (rows.time < end))
    kinds = engine.keep("kinds_of_week", week.group_by("user", "item", "time").agg(n=week.count()))
    day, before = kinds.filter(kinds.time >= end - DAY), kinds.filter(kinds.time < end - DAY)
    (of_week,) = engine.small(kinds.agg(rows=kinds.n.sum(), kinds=kinds.count())).to_pylist()
    count = engine.small(day.agg(rows=day.n.sum()))["rows"][0].as_py() or 0
    measures = {"day_rows": float(count)}
    if of_week["rows"]:
        measures["repeated"] = 1 - of_week["kinds"] / of_week["rows"]
    if count:
        for role in ("user", "item"):
            each = day.group_by(role).agg(n=day.n.sum())
            (found,) = engine.small(each.agg(ids=each.count(), most=each.n.max())).to_pylist()
            measures |= {f"day_{role}s": float(found["ids"]), f"day_{role}_share": found["most"] / count}
        measures["day_rows_a_user"] = count / measures["day_users"]
        each = day.group_by("time").agg(n=day.n.sum())
        measures["day_same_time"] = engine.small(each.agg(most=each.n.max()))["most"][0].as_py() / count
        measures["echoed"] = _echoed(engine, day, before) / count
    return measures


def _echoed(engine: Engine, day: ir.Table, before: ir.Table) -> int:
    """Counts the rows of a day that came the same number of whole days before: of all numbers the most."""
    earlier = before.select("user", "item", then=before.time, clock=before.time % DAY)
    both = day.mutate(clock=day.time % DAY).inner_join(earlier, ["user", "item", "clock"])
    lags = both.select("n", lag=both.time - both.then)
    lags = lags.group_by("lag").agg(n=lags.n.sum())
    return engine.small(lags.agg(most=lags.n.max()))["most"][0].as_py() or 0


def _most(engine: Engine, rows: ir.Table, column: str) -> int:
    """Returns the number of rows of the value that has most."""
    each = rows.group_by(column).agg(n=rows.count())
    return engine.small(each.agg(most=each.n.max()))["most"][0].as_py() or 0


def _newest(hour_H: np.ndarray, rows_H: np.ndarray) -> int:
    """Returns the end of the last hour that has its share of rows, and the day behind it, too."""
    day_D = _sums(hour_H // DAY, rows_H)[1]
    order = np.argsort(day_D)
    usual = int(day_D[order][np.searchsorted(np.cumsum(day_D[order]), day_D.sum() / 2)])  # a row's day, half-way
    total_H = np.cumsum(rows_H)
    before_H = np.searchsorted(hour_H, hour_H - DAY, side="right")
    trailing_H = total_H - np.where(before_H > 0, total_H[before_H - 1], 0)
    least = min(max(LIVELY * usual, LIVELY_ROWS), usual / 2)
    lively_H = (rows_H >= least / 24) & (trailing_H >= least)
    return int(hour_H[np.flatnonzero(lively_H)[-1]]) + HOUR


def _moved(hour_H: np.ndarray, rows_H: np.ndarray, end: int) -> float | None:
    """Returns how far times of day have moved: half the sum of the differences of the hours' shares, 0 to 1."""

    def profile(first: int, last: int) -> np.ndarray | None:
        chosen = (hour_H >= first) & (hour_H < last)
        counts = np.bincount(hour_H[chosen] // HOUR % 24, weights=rows_H[chosen], minlength=24)
        return counts / counts.sum() if counts.sum() else None

    last, before = profile(end - DAY, end), profile(end - (BEFORE + 1) * DAY, end - DAY)
    return None if last is None or before is None else float(np.abs(last - before).sum() / 2)


def _gaps(hour_H: np.ndarray, end: int) -> int:
    """Counts the days without a row from the first row on, of the last ones before `end`."""
    last = (end - 1) // DAY
    first = max(int(hour_H[0]) // DAY, last - BEFORE + 1)
    there = np.unique(hour_H[(hour_H // DAY >= first) & (hour_H < end)] // DAY)
    return max(last - first + 1, 0) - len(there)


def _days(hour_H: np.ndarray, rows_H: np.ndarray, end: int) -> dict[str, int]:
    days, rows = _sums(hour_H[hour_H < end] // DAY, rows_H[hour_H < end])
    recent = days > (end - 1) // DAY - DAYS
    epoch = date(1970, 1, 1)
    return {
        str(epoch + timedelta(days=int(day))): int(count) for day, count in zip(days[recent], rows[recent], strict=True)
    }


def _sums(keys: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sorted keys, each once, and the sum of their rows."""
    each, place = np.unique(keys, return_inverse=True)
    return each, np.bincount(place, weights=rows, minlength=len(each)).astype(np.int64)


def _midnight(day: date) -> int:
    return microseconds(datetime.combine(day, time(), UTC))
