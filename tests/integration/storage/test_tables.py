"""Tables of Delta and Iceberg: what counts at the newest version is read, and nothing that was deleted.

They need what the extras `delta` and `iceberg` bring.
"""

import base64
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog.sql import SqlCatalog
from pyroaring import BitMap

from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.errors import DataError
from storage import listing_hash, resolve
from tests.services.s3 import S3

CONFIG = Ingest.model_validate({"evaluation": {"depth": 10, "exclude_seen": False}, "min_user_interactions": 1})
DIGITS = "0123456789"
LOWER = "abcdefghijklmnopqrstuvwxyz"
BASE_85 = DIGITS + LOWER.upper() + LOWER + "!#$%&()*+-;<=>?@^_`{|}~"
ZEROMQ_85 = DIGITS + LOWER + LOWER.upper() + ".-:+=^!/*?&<>()[]{}@%$#"
"""What Delta writes short deletion vectors in; Python has the other one."""


def rows(first: int = 0, users: int = 10) -> pa.Table:
    """30 interactions a user, all of them the first time on 2026-11-20 and a second later each."""
    numbers = [
        (f"u{user}", f"i{(first + user * 7 + place) % 40}", 1_795_132_800 + place)
        for user in range(users)
        for place in range(30)
    ]
    user, item, time = zip(*numbers, strict=True)
    return pa.table({"user_id": user, "item_id": item, "timestamp": time})


def read(uri: Path | str, out: Path, config: Ingest = CONFIG) -> tuple[int, int]:
    """Rows and users of what is read."""
    source = resolve(str(uri))
    manifest = ingest(source.filesystem, source.files, config, out)
    return manifest.source_rows, manifest.users


def refused(uri: Path | str) -> str:
    with pytest.raises(DataError) as error:
        resolve(str(uri))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_rows_that_a_delta_table_has_deleted_or_written_anew_are_not_read(tmp_path: Path) -> None:
    written, table = tmp_path / "t", tmp_path / "a b%20[1]?#"
    write_deltalake(written, rows())
    write_deltalake(written, rows(5), mode="append")
    DeltaTable(written).delete("user_id in ('u0', 'u1')")
    DeltaTable(written).optimize.compact()
    written.rename(table)
    assert len(list(table.glob("*.parquet"))) > len(resolve(str(table)).files) == 1
    assert resolve(str(table)).table == f"Delta table, version {DeltaTable(table.rename(written)).version()}"
    written.rename(table)
    assert read(table, tmp_path / "out") == (2 * 8 * 30, 8)


def test_a_delta_table_is_read_from_a_checkpoint_on_and_its_files_alone_make_the_listing(tmp_path: Path) -> None:
    table = tmp_path / "t"
    write_deltalake(table, rows())
    write_deltalake(table, rows(5), mode="overwrite")
    DeltaTable(table).create_checkpoint()
    before = listing_hash(resolve(str(table)))
    (table / "_delta_log" / "00000000000000000000.json").unlink()
    assert listing_hash(resolve(str(table))) == before
    write_deltalake(table, rows(9), mode="append")
    assert listing_hash(resolve(str(table))) != before
    assert read(table, tmp_path / "out") == (600, 10)


def test_days_of_a_delta_table_are_its_partitions(tmp_path: Path) -> None:
    parts = [rows(day).append_column("day", pa.array([f"2026-11-{day}"] * 300)) for day in (20, 21, 22)]
    for part in parts:
        write_deltalake(tmp_path / "t", part, mode="append", partition_by=["day"])
    config = CONFIG.model_validate(CONFIG.model_dump() | {"since": "2026-11-19", "until": "2026-11-21"})
    assert read(tmp_path / "t", tmp_path / "out", config) == (600, 10)


def test_a_delta_table_on_s3_is_the_same_one(s3_server: S3, bucket: str, tmp_path: Path) -> None:
    table = tmp_path / "t"
    write_deltalake(table, rows())
    write_deltalake(table, rows(5), mode="append")
    DeltaTable(table).delete("user_id = 'u0'")
    for file in table.rglob("*"):
        if file.is_file():
            s3_server.client().upload_file(str(file), bucket, f"t/{file.relative_to(table).as_posix()}")
    assert resolve(f"s3://{bucket}/t").table == "Delta table, version 2"
    assert read(f"s3://{bucket}/t", tmp_path / "out") == (540, 9)


def test_what_is_no_whole_delta_table_is_one_line(tmp_path: Path) -> None:
    table = tmp_path / "lake" / "t"
    write_deltalake(table, rows().append_column("day", pa.array(["2026-11-20"] * 300)), partition_by=["day"])
    assert refused(table.parent).endswith("t is a Delta table; give a table's own folder")
    assert f"lies in the Delta table {table}" in refused(table / "day=2026-11-20")
    (file,) = table.rglob("*.parquet")
    assert f"lies in the Delta table {table}" in refused(file)
    moved = file.rename(tmp_path / "gone.parquet")
    assert refused(table).endswith("the folder holds no files; the log of a Delta table is there, none of its files")
    shutil.copy(moved, file.with_name("other.parquet"))
    assert "1 of 1 files of version 0 of the Delta table are gone, the first is day=2026-11-20/" in refused(table)
    (commit,) = (table / "_delta_log").glob("*.json")
    commit.write_text(commit.read_text()[:-200])
    assert "log cannot be read" in refused(table)
    commit.unlink()
    assert "log cannot be read" in refused(table)


def test_a_log_that_is_nested_without_end_is_one_line_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", rows())
    (commit,) = (tmp_path / "t" / "_delta_log").glob("*.json")
    lines = commit.read_text().splitlines()
    for deep in ('{"a":' * 200_000, "[" * 200_000, "[" * 200_000 + "]" * 200_000):
        commit.write_text("\n".join([*lines, deep]))
        said = refused(tmp_path / "t")
        assert "log cannot be read (its JSON is nested too deeply)" in said and len(said) < 500
    commit.write_text("\n".join([*lines, "[" * 400]))
    assert "log cannot be read" in refused(tmp_path / "t")


def test_columns_of_a_delta_table_under_other_names_are_refused(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", rows())
    (commit,) = (tmp_path / "t" / "_delta_log").glob("*.json")
    commit.write_text(
        commit.read_text().replace('"configuration":{}', '"configuration":{"delta.columnMapping.mode":"name"}')
    )
    assert "delta.columnMapping.mode" in refused(tmp_path / "t")


def test_rows_that_deletion_vectors_take_away_are_refused(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", rows())
    (commit,) = (tmp_path / "t" / "_delta_log").glob("*.json")
    bitmap = struct.pack("<iqi", 1_681_511_377, 1, 0) + BitMap([0, 3]).serialize()
    text = base64.b85encode(bitmap, pad=True).decode().translate(str.maketrans(BASE_85, ZEROMQ_85))
    vector = (
        f'"deletionVector":{{"storageType":"i","pathOrInlineDv":"{text}","sizeInBytes":{len(bitmap)},"cardinality":2}},'
        '"dataChange"'
    )
    commit.write_text(
        commit.read_text()
        .replace('"minReaderVersion":1', '"minReaderVersion":3')
        .replace(
            '"minWriterVersion":2',
            '"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]',
        )
        .replace('"dataChange"', vector, 1)
    )
    assert "1 files of the Delta table hold rows that deletion vectors take away" in refused(tmp_path / "t")


def test_rows_that_an_iceberg_table_has_deleted_are_not_read(tmp_path: Path) -> None:
    catalog = SqlCatalog("c", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/wh")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.clicks", schema=rows().schema)
    table.append(rows())
    table.append(rows(5))
    table.delete("user_id == 'u0'")
    source = resolve(table.metadata_location)
    snapshot = table.current_snapshot()
    assert snapshot and source.table == f"Iceberg table, snapshot {snapshot.snapshot_id}"
    assert read(table.metadata_location, tmp_path / "out") == (540, 9)
    folder = tmp_path / "wh" / "shop" / "clicks"
    assert table.metadata_location.removeprefix("file://") in refused(folder)
    with table.update_schema() as change:
        change.rename_column("item_id", "sku")
    assert "column item_id was renamed" in refused(table.metadata_location)
    Path(source.files[0].path).unlink()
    assert "gone" in refused(source.uri)


def test_without_the_readers_the_extra_is_said(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", rows())
    write(tmp_path / "v1.metadata.json", "{}")
    program = (
        "import sys\n"
        "sys.modules['deltalake'] = sys.modules['pyiceberg'] = None\n"
        "import storage\n"
        "from finest.errors import ConfigError\n"
        "for uri in sys.argv[1:]:\n"
        "    try: storage.resolve(uri)\n"
        "    except ConfigError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "t"), str(tmp_path / "v1.metadata.json")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout.splitlines()
    assert "pip install 'finest[delta]'" in said[0] and "pip install 'finest[iceberg]'" in said[1]


def test_a_hudi_table_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "t" / ".hoodie" / "hoodie.properties", "")
    write(tmp_path / "t" / "a.parquet", "")
    assert "a Hudi table" in refused(tmp_path / "t")


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
