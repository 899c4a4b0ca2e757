"""Files that are not this machine's: any other pyarrow file system, here a folder that is one by another name."""

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from finest.data import schema
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.data.remote import Remote, SharedFile
from finest.data.source import SourceFile
from tests.builders import write_walks

CONFIG = Ingest.model_validate({"evaluation": {"depth": 20, "exclude_seen": False}})


def elsewhere(folder: Path) -> tuple[pafs.FileSystem, list[SourceFile]]:
    files = [SourceFile(path.name, path.stat().st_size, "") for path in sorted(folder.iterdir())]
    return pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem()), files


def test_compressed_and_plain_text_and_parquet_make_the_data_set_that_local_files_make(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_walks(folder / "[a]*.csv", users=20, items=60)
    with pa.CompressedOutputStream(str(folder / "b.csv.gz"), "gzip") as packed:
        packed.write(write_walks(tmp_path / "b.csv", users=20, items=60, seed=1).read_bytes() + b"broken\n")
    more = {"user_id": ["u"] * 9, "item_id": [f"i{n}" for n in range(9)], "timestamp": list(range(9))}
    pq.write_table(pa.table(more), folder / "c.parquet")
    local = [
        SourceFile(str(path), path.stat().st_size, "") for path in sorted(folder.iterdir()) if "*" not in path.name
    ]
    plain = tmp_path / "a.csv"
    plain.write_bytes((folder / "[a]*.csv").read_bytes())
    here = ingest(
        pafs.LocalFileSystem(), [*local, SourceFile(str(plain), plain.stat().st_size, "")], CONFIG, tmp_path / "here"
    )
    there = ingest(*elsewhere(folder), CONFIG, tmp_path / "there")
    assert there == here and there.quarantined_rows == 1
    assert pq.read_table(tmp_path / "there" / schema.QUARANTINE)["file"].to_pylist() == ["b.csv.gz"]


def test_threads_that_share_a_handle_each_read_where_they_have_sought() -> None:
    file = SharedFile(pa.BufferReader(bytes(range(200))))
    both, got = threading.Barrier(2), {}

    def read(offset: int) -> None:
        file.seek(offset)
        both.wait(10)
        got[offset] = file.read(3)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in (10, 150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {10: bytes([10, 11, 12]), 150: bytes([150, 151, 152])}


def test_reads_without_a_seek_go_on_whichever_thread_they_are_of() -> None:
    file, got = SharedFile(pa.BufferReader(b"abcdefgh")), []
    file.seek(2)
    got.append(file.read(2))
    other = threading.Thread(target=lambda: got.append(file.read(3)))
    other.start()
    other.join()
    got.append(file.read(9))
    assert got == [b"cd", b"efg", b"h"]


def test_the_listing_is_not_asked_for_again(tmp_path: Path) -> None:
    remote = Remote(pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()), [SourceFile("listed", 7, "")])
    assert remote.exists("source://listed") and not remote.exists("source://not-listed")
    assert remote.size("source://listed") == 7 and remote.glob("source://listed") == ["source://listed"]
