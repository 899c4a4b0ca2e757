"""How often `ingest.expect` refuses nights that are as they should be, and nights whose feed went wrong.

`python -m benchmarks.wrong_data grocery.parquet foursquare.parquet@60 ml-100k made` takes Parquet files with user_id,
item_id and timestamp (whole numbers of so many seconds each, after @), the sample, and a made-up feed with weekends and
a holiday. Each is cut into nights at midnight, once as a window of 28 days and once as all rows so far. From the 40th
day on, a night is described, and held against those before it with the default bounds; and so is every eighth of the
first sixty as each wrong feed would have it.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from components import source
from finest.data.codes import Coded
from finest.data.compared import Compared, NightData
from finest.data.describe import describe
from finest.data.duck import DuckDB
from finest.data.epoch import DAY
from finest.data.expect import Expect
from finest.data.unusual import Earlier, compare
from tests import nights as feed

WINDOW, FIRST, MOST = 28, 40, 300
"""Days of a window; number of days before the first night; number of nights at most."""
TRIED, EVERY = 60, 8
"""Of how many nights which ones are spoilt."""
HOLIDAY, WEEKEND = 0.45, 0.6
"""Share of the users who come on a holiday, and on Saturdays and Sundays, in the made-up feed."""


class Rows(NamedTuple):
    """Holds interactions: user, item (codes), time (microseconds)."""

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray

    def only(self, chosen: np.ndarray) -> "Rows":
        """Returns some of them."""
        return Rows(self.user[chosen], self.item[chosen], self.time[chosen])

    def with_more(self, more: "Rows") -> "Rows":
        """Returns them and others."""
        return Rows(*(np.concatenate(pair) for pair in zip(self, more, strict=True)))


def read(name: str) -> Rows:
    """Returns the rows of a data set."""
    if name == "made":
        return made()
    path, _, seconds = name.partition("@")
    if path == "ml-100k":
        (file,) = source.resolve(path).files
        table = pacsv.read_csv(file.path, parse_options=pacsv.ParseOptions(delimiter="\t"))
        table = table.rename_columns([column.partition(":")[0] for column in table.column_names])
    else:
        table = pq.read_table(path)
    return rows_of(table, int(seconds or 1))


def rows_of(table: pa.Table, seconds: int) -> Rows:
    """Returns a table's rows, whose timestamps are whole numbers of so many seconds."""
    user, item = (
        np.unique(np.asarray(table[name].to_pylist()), return_inverse=True)[1] for name in ("user_id", "item_id")
    )
    return Rows(user, item, table["timestamp"].to_numpy().astype(np.int64) * seconds * 1_000_000)


def made() -> Rows:
    """Returns 90 days of a made-up feed, of which the 61st is a holiday."""
    random, parts = np.random.default_rng(1), list[pa.Table]()
    for number, (day, rows) in enumerate(feed.days(date(2026, 3, 2), 90, users=300, items=400, seed=1)):
        share = (WEEKEND if day.weekday() >= 5 else 1.0) * (HOLIDAY if number == 60 else 1.0)
        users = np.asarray(rows["user_id"].to_pylist())
        there = [user for user in np.unique(users) if random.random() < share]
        parts.append(rows.filter(pa.array(np.isin(users, there))))
    return rows_of(pa.concat_tables(parts), 1)


def described(rows: Rows, day: int, window: int | None) -> NightData:
    """Returns the description of a night's rows: of the night that begins with that day since 1970."""
    until = date(1970, 1, 1) + timedelta(days=day - 1)
    bounds = (until - timedelta(days=window - 1), until) if window else (None, None)
    user, item = (np.unique(codes, return_inverse=True)[1].astype(np.int32) for codes in (rows.user, rows.item))
    with tempfile.TemporaryDirectory() as folder, DuckDB(pafs.LocalFileSystem(), Path(folder), "1GB", 1) as engine:
        coded = engine.hold("coded", pa.table({"user": user, "item": item, "time": rows.time}))
        ids = [pa.table({"n": np.bincount(codes)}) for codes in (user, item)]
        found = describe(engine, Coded(coded, coded, coded), *ids, *bounds)
    return NightData(fingerprint=f"{day}", description=found)


def seen(rows: Rows, day: int, window: int | None) -> Rows:
    """Returns what the night of that day reads."""
    return rows.only((rows.time < day * DAY) & (rows.time >= (day - window if window else 0) * DAY))


def moment(day: int) -> datetime:
    """Returns when the night of that day is."""
    return datetime(1970, 1, 1, 2, tzinfo=UTC) + timedelta(days=day)


def thinned(rows: Rows, of: np.ndarray | None = None) -> Rows:
    """Returns the rows without a random half of them, or of some of them."""
    lost = np.random.default_rng(len(rows.time)).random(len(rows.time)) < 0.5
    return rows.only(~lost if of is None else ~(of & lost))


def by_one_user(rows: Rows, of: np.ndarray) -> Rows:
    """Returns the rows with a third of some of them by one user."""
    taken = np.random.default_rng(len(rows.time)).random(len(rows.time)) < 1 / 3
    return rows._replace(user=np.where(of & taken, rows.user[0], rows.user))


def again(rows: Rows, newest: int, shift: int) -> Rows:
    """Returns the rows with those of a week before in place of the newest day's, so many days later than they were."""
    old = rows.only((rows.time >= newest - 7 * DAY) & (rows.time < newest - 6 * DAY))
    return rows.only(rows.time < newest).with_more(old._replace(time=old.time + shift * DAY))


WRONG: dict[str, Callable[[Rows, int], Rows]] = {
    "half the rows missing, at random": lambda rows, newest: thinned(rows),
    "half the users missing": lambda rows, newest: rows.only(rows.user % 2 == 0),
    "the newest half missing": lambda rows, newest: rows.only(rows.time < np.median(rows.time)),
    "one user with a third of the rows": lambda rows, newest: by_one_user(rows, rows.time >= 0),
    "all timestamps equal": lambda rows, newest: rows._replace(time=np.full_like(rows.time, rows.time.max())),
    "last week's feed again": lambda rows, newest: rows.only(rows.time < newest - 6 * DAY),
    "everything twice": lambda rows, newest: rows.with_more(rows),
    "the newest day: half missing, at random": lambda rows, newest: thinned(rows, rows.time >= newest),
    "the newest day: half the users missing": lambda rows, newest: rows.only(
        (rows.time < newest) | (rows.user % 2 == 0)
    ),
    "the newest day: cut off at noon": lambda rows, newest: rows.only(rows.time < newest + DAY // 2),
    "the newest day: one user with a third": lambda rows, newest: by_one_user(rows, rows.time >= newest),
    "the newest day: all timestamps equal": lambda rows, newest: rows._replace(
        time=np.where(rows.time >= newest, newest + DAY // 2, rows.time)
    ),
    "the newest day: last week's, with its old times": lambda rows, newest: again(rows, newest, 0),
    "the newest day: last week's, with new times": lambda rows, newest: again(rows, newest, 7),
}
"""Feeds that went wrong: what becomes of a night's rows, the newest of which are of the day that begins at a time."""


def noted(found: Compared) -> bool:
    """Tells whether anything is unusual, beyond bounds or not."""
    return any(one.status in ("unusual", "refused") for one in found.found)


def main() -> None:
    """Prints both tables as Markdown."""
    sets = {Path(name).stem.partition(".")[0]: read(name) for name in sys.argv[1:]}
    counts: dict[str, dict[str, list[bool]]] = {what: {} for what in WRONG}
    notes: dict[str, dict[str, list[bool]]] = {what: {} for what in WRONG}
    print("| data | read | nights | refused | with a note |\n|---|---|---|---|---|")
    for name, rows in sets.items():
        for window in (WINDOW, None):
            past = list(good(rows, window))
            found = [compare(one.data, one.as_of, past[:at], Expect()) for at, one in enumerate(past)][1:]
            read_as = f"{window} days" if window else "all so far"
            beyond, said = sum(bool(one.refused) for one in found), sum(map(noted, found))
            print(f"| {name} | {read_as} | {len(found)} | {beyond} | {said} |", flush=True)
            for at in range(4, min(TRIED, len(past)), EVERY):
                day = (past[at].as_of - moment(0)).days
                for what, spoil in WRONG.items():
                    spoilt = spoil(seen(rows, day, window), (day - 1) * DAY)
                    if len(spoilt.time):
                        tonight = described(spoilt, day, window).model_copy(update={"fingerprint": "spoilt"})
                        one = compare(tonight, past[at].as_of, past[:at], Expect())
                        counts[what].setdefault(name, []).append(bool(one.refused))
                        notes[what].setdefault(name, []).append(noted(one))
    print(f"\n| what went wrong | {' | '.join(sets)} |\n|---|{'---|' * len(sets)}")
    for what in WRONG:
        cells = []
        for name in sets:
            refused, told = counts[what][name], notes[what][name]
            cells.append(f"{sum(refused)} + {sum(told) - sum(refused)} of {len(refused)}")
        print(f"| {what} | {' | '.join(cells)} |")


def good(rows: Rows, window: int | None) -> Iterator[Earlier]:
    """Yields the nights as they were."""
    first = int(rows.time.min() // DAY)
    last = min(int(rows.time.max() // DAY), first + FIRST + MOST)
    for day in range(first + FIRST, last + 1):
        there = seen(rows, day, window)
        if len(there.time):
            yield Earlier(moment(day), described(there, day, window))


if __name__ == "__main__":
    main()
