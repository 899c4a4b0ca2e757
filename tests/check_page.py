"""Writes docs/check.md, what `finest check` says of ten kinds of files: `python -m tests.check_page`."""

import gzip
import io
import os
import random
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from deltalake import write_deltalake
from rich.console import Console

from pipeline.check import examined, show
from pipeline.config import load

PAGE = Path(__file__).parents[1] / "docs" / "check.md"
HEAD = """# Looking at data first

`finest check SOURCE` reads a sample in seconds, starts nothing, and writes nothing but temporary files. It says what
the files are, which columns it takes for user, item and timestamp and why, what the defaults would make of the data,
everything that is in a run's way with the option that mends it, and the config to run with. `finest run` begins with
the same look, in its preflight. `--json` prints it for programs; `--config` and `--set` begin with a config of yours.
The exit code is 1 where a run with the config as given would not begin.

Of a large source, eight files are read, spread evenly by path (by preflight, three), and of each some 8 MB or 200,000
rows. Counts are then those of the sample, which the first line says, and what they suggest is a note and no mistake.
What a run takes is rough: a formula ([cost.py](../finest/data/check/cost.py)) from [benchmarks](benchmarks.md).

What it prints for ten kinds of files, made by `python -m tests.check_page`:
"""
FIRST = 1_700_000_000
"""Time of the first interaction, in seconds since 1970."""


def rows(items: int = 300) -> list[tuple[int, int, int]]:
    """Makes some 2,700 interactions of 60 users, no item twice where there are many, each 397 s after another."""
    chance = random.Random(0)
    found = {(chance.randrange(1, 61), chance.randrange(1, items + 1)): None for _ in range(3000)}
    return [(user, item, FIRST + 397 * number) for number, (user, item) in enumerate(found)]


def sources(folder: Path) -> dict[str, str]:
    """Writes the files, and returns a heading for each by its name in the folder."""
    data = rows()
    (folder / "ratings.dat").write_text("".join(f"{user}::{item}::4::{time}\n" for user, item, time in data))
    (folder / "u.data").write_text("".join(f"{user}\t{item}\t4\t{time}\n" for user, item, time in data))
    lines = [
        f"Müller;k{user};Käse;a{item};{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"
        for user, item, time in data
    ]
    text = "\r\n".join(["Name;customer_id;Artikel;article_id;t_dat", *lines])
    (folder / "bestellungen.csv").write_bytes(text.encode("latin-1"))
    with zipfile.ZipFile(folder / "events.csv.zip", "w") as archive:
        text = "".join(f"{time}000,{user},view,{item},\n" for user, item, time in data)
        archive.writestr("events.csv", "timestamp,visitorid,event,itemid,transactionid\n" + text)
    write_deltalake(folder / "delta", _table(data))
    write_deltalake(folder / "delta", _table(data), mode="overwrite")
    for number in (0, 1, 2, 4, 5):
        day = date(2024, 2, 26) + timedelta(days=number)
        place = folder / "feed" / f"year={day.year}" / f"month={day.month}" / f"day={day.day}"
        place.mkdir(parents=True)
        noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
        part = [(user, item, noon + at) for at, (user, item, _) in enumerate(data[450 * number : 450 * (number + 1)])]
        pq.write_table(_table(part), place / "part-0.parquet")
    (folder / "feed" / "_SUCCESS").touch()
    plays = "".join(f"{user}\t{item % 40}\t{time}\n" for user, item, time in data)
    (folder / "plays.tsv.gz").write_bytes(gzip.compress(f"session_id\ttrack_id\tplayed_at\n{plays}".encode(), mtime=0))
    (folder / "recbole").mkdir()
    text = "".join(f"{user}\t{item}\t4\t{time}\n" for user, item, time in data)
    (folder / "recbole" / "ml.inter").write_text(f"user_id:token\titem_id:token\trating:float\ttimestamp:float\n{text}")
    (folder / "recbole" / "ml.item").write_text("item_id:token\n1\n")
    text = "".join(f"{'' if at % 20 == 5 else user},{item},{time}\n" for at, (user, item, time) in enumerate(data))
    (folder / "dirty.csv").write_text(f"user_id,item_id,timestamp\n{text}")
    for number in range(3):
        place = folder / "days" / "2024" / "02" / f"{number + 5:02d}"
        place.mkdir(parents=True)
        text = "".join(
            f"{user},{item},202402{number + 5:02d}\n" for user, item, _ in data[900 * number : 900 * (number + 1)]
        )
        (place / "clicks.csv").write_text(f"userId,movieId,date\n{text}")
    return {
        "ratings.dat": "MovieLens' ratings.dat",
        "u.data": "MovieLens' u.data",
        "bestellungen.csv": "CSV with semicolons, in latin-1",
        "events.csv.zip": "A zip with one CSV, milliseconds",
        "delta": "A Delta table",
        "feed": "Parquet in year=/month=/day=, a day missing",
        "plays.tsv.gz": "Few items, often repeated",
        "recbole": "A folder of RecBole's",
        "dirty.csv": "Rows that cannot be used",
        "days": "Folders that are days, dates as numbers",
    }


def _table(data: list[tuple[int, int, int]]) -> pa.Table:
    return pa.table(
        {
            "uid": [f"u{user}" for user, _, _ in data],
            "sku": [item for _, item, _ in data],
            "event_time": pa.array([time * 1_000_000 for *_, time in data], pa.timestamp("us", "UTC")),
        }
    )


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Makes a folder the current one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def transcripts() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Returns heading, output and config by source, and leaves nothing behind."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary, inside(Path(temporary)):
        for name, heading in sources(Path()).items():
            out = io.StringIO()
            one = examined(name, load(None))
            show(Console(file=out, width=120, color_system=None), one)
            text = re.sub(r"part-00000-[0-9a-f-]+-c000", "part-00000-...-c000", out.getvalue())
            found[name] = heading, re.sub(r"[0-9.]+ MB", "... MB", text) if name == "delta" else text, one["config"]
    return found


def page() -> str:
    """Returns the page."""
    parts = [HEAD]
    for name, (heading, text, _) in transcripts().items():
        before, line, config = text.rpartition("\n\n")
        assert line and yaml.safe_load(config)
        parts.append(
            f"\n## {heading}\n\n```\n$ finest check {name}\n{before}\n```\n\n```yaml\n{config.rstrip()}\n```\n"
        )
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
