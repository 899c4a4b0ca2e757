"""Feeds: folders that say days, and tables of Delta and Iceberg, whose logs are damaged."""

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz import mutate
from tests.fuzz.kind import Kind
from tests.fuzz.parquets import plain_table
from tests.fuzz.sources import describe, known_fingerprint, plain_rows, prepare, read, sometimes_checked
from tests.fuzz.texts import NAMES, as_texts, text_of

ODD_KEYS = (
    "dt",
    "day",
    "date",
    "year",
    "ds",
    "DT",
    "event_date",
    "user_id",
    "",
    "a b",
    "=",
    "d=t",
    "\u00e4",
    "timestamp",
)
ODD_DAYS = (
    "2026-11-20",
    "2026-11-21",
    "20261122",
    "2026_11_23",
    "2026-11-24-05",
    "2026/11/25",
    "2026-02-30",
    "2026-13-01",
    "0000-00-00",
    "9999-12-31",
    "1969-12-31",
    "__HIVE_DEFAULT_PARTITION__",
    "null",
    "2026-11-2",
    "%20",
    "2026-11-26%2000%3A00%3A00",
    "x",
    "",
    "\u0663",
)
FORMATS = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y/%m/%d",
    "y=%Y/m=%m/d=%d",
    "%Y-%j",
    "%Y",
    "%%",
    "%Y%Y",
    "",
    "%d.%m.%Y",
    "(",
    "%Y-%m-%d %H:%M:%S",
)


def make_folders(draw: Random, folder: Path, prepared: Path) -> None:
    feed, rows = folder / "feed", plain_rows()
    parts = draw.randrange(1, 6)
    for number in range(parts):
        key, day = draw.choice(ODD_KEYS), draw.choice(ODD_DAYS)
        level = draw.choice(
            (f"{key}={day}", f"{key}={day}", day, key, f"year=2026/month={draw.randrange(14)}/day={draw.randrange(33)}")
        )
        place = feed / (level.strip("/") or "x")
        if draw.random() < 0.2:
            place /= draw.choice(("part=0", "_temporary", ".hidden", "_SUCCESS", "hour=05", "a b"))
        _put(draw, place, number, rows[number::parts])
    for _ in range(draw.choice((0, 0, 1, 2))):
        _odd_entry(draw, feed)
    config: dict[str, Any] = {}
    if draw.random() < 0.5:
        bound = ("2026-11-20", "2026-11-22", "1999-01-01", "9999-12-31")
        config |= {name: draw.choice(bound) for name in draw.sample(("since", "until"), draw.choice((1, 2)))}
    if draw.random() < 0.4:
        config["partition"] = {"key": draw.choice(("dt", "day", "x", "")), "format": draw.choice(FORMATS)}
        if draw.random() < 0.5:
            del config["partition"][draw.choice(("key", "format"))]
    if draw.random() < 0.2:
        config["max_missing_days"] = draw.choice((0, 1, 100))
    describe(folder, "feed", config, **sometimes_checked(draw))


def _put(draw: Random, place: Path, number: int, rows: list[tuple[str, str, int]]) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
        if draw.random() < 0.5:
            (place / f"{number}.csv").write_text(text_of([list(NAMES), *as_texts(rows)]))
        else:
            users, items, times = zip(*rows, strict=True)
            pq.write_table(pa.table(dict(zip(NAMES, (users, items, times), strict=True))), place / f"{number}.parquet")
    except OSError:  # a name that there is already as a file
        (place.parents[1] / f"{number}.csv").write_text(text_of([list(NAMES), *as_texts(rows)]))


def _odd_entry(draw: Random, feed: Path) -> None:
    feed.mkdir(exist_ok=True)
    name = draw.choice(
        (
            "_SUCCESS",
            ".crc",
            "README.md",
            "a.json",
            "empty.csv",
            "empty.parquet",
            "data",
            "x.csv.gz",
            "\n.csv",
            "[a]*?.csv",
            "_delta_log",
            "t.metadata.json",
            "a.orc",
            "a.avro",
        )
    )
    what = draw.randrange(5)
    target = feed / name
    if target.exists() or target.is_symlink():
        return
    if what == 0:
        target.mkdir()
    elif what == 1:
        target.symlink_to(draw.choice((feed, feed / "nowhere", feed.parent)))
    else:
        target.write_bytes(
            draw.choice((b"", b"{}", b"PAR1", b"user_id,item_id,timestamp\nu,i,1\n", draw.randbytes(50)))
        )


def prepare_tables(folder: Path) -> None:
    from deltalake import write_deltalake
    from pyiceberg.catalog.sql import SqlCatalog

    prepare(folder)
    half = plain_table().num_rows // 2
    write_deltalake(folder / "delta", plain_table().slice(0, half))
    write_deltalake(folder / "delta", plain_table().slice(half), mode="append")
    catalog = SqlCatalog("c", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/wh")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.clicks", schema=plain_table().schema)
    table.append(plain_table())
    (folder / "iceberg.json").write_text(json.dumps(table.metadata_location.removeprefix("file://")))


def make_delta(draw: Random, folder: Path, prepared: Path) -> None:
    shutil.copytree(prepared / "delta", folder / "table")
    files = sorted(path for path in (folder / "table").rglob("*") if path.is_file())
    logs = [path for path in files if path.suffix == ".json"]
    _damaged(draw, draw.choice(logs if draw.random() < 0.8 else files))
    describe(folder, "table", {}, whole=known_fingerprint(prepared), **sometimes_checked(draw))


def make_iceberg(draw: Random, folder: Path, prepared: Path) -> None:
    original = Path(json.loads((prepared / "iceberg.json").read_text()))
    moved = folder / "clicks"
    shutil.copytree(original.parents[1], moved)
    metadata = moved / "metadata" / original.name
    metadata.write_text(metadata.read_text().replace(str(original.parents[1]), str(moved)))
    files = sorted(path for path in moved.rglob("*") if path.is_file())
    _damaged(draw, metadata if draw.random() < 0.8 else draw.choice(files))
    describe(
        folder, f"clicks/metadata/{original.name}", {}, whole=known_fingerprint(prepared), **sometimes_checked(draw)
    )


def _damaged(draw: Random, file: Path) -> None:
    content = file.read_bytes()
    if file.suffix == ".json" and draw.random() < 0.6:
        lines = content.decode().strip().split("\n")
        place = draw.randrange(len(lines))
        lines[place] = (
            mutate.of_json(draw, json.loads(lines[place]))
            if len(lines) > 1
            else mutate.of_json(draw, json.loads(content))
        )
        file.write_text("\n".join(lines), errors="surrogatepass")
    elif draw.random() < 0.1:
        file.unlink()
    else:
        file.write_bytes(mutate.of_bytes(draw, content))


KINDS = (
    Kind("folders", 350, make_folders, read),
    Kind("delta", 200, make_delta, read, prepare_tables),
    Kind("iceberg", 200, make_iceberg, read, prepare_tables),
)
