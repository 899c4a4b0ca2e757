"""The store of checkpoints in a folder."""

import logging
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from finest.errors import ConfigError
from storage import FolderStore, checkpoint_store, probe


def blob(tmp_path: Path, content: str) -> Path:
    file = tmp_path / "blob"
    file.write_text(content)
    return file


def test_what_is_put_can_be_got_listed_replaced_and_deleted(tmp_path: Path) -> None:
    store = pickle.loads(pickle.dumps(checkpoint_store((tmp_path / "store").as_uri())))  # noqa: S301
    for name, content in [
        ("k/clean/epoch-1", "old"),
        ("k/clean/epoch-1", "new"),
        ("k/seed/epoch-1", "s"),
        ("other", "o"),
    ]:
        store.put(name, blob(tmp_path, content))
    assert store.list("") == ["k/clean/epoch-1", "k/seed/epoch-1", "other"]
    assert store.list("k/cl") == ["k/clean/epoch-1"]
    target = tmp_path / "target"
    assert store.get("k/clean/epoch-1", target) and target.read_text() == "new"
    store.delete("k/clean")
    assert store.list("") == ["k/seed/epoch-1", "other"] and not (tmp_path / "store/k/clean").exists()
    store.delete("k/clean")
    assert not store.get("k/clean/epoch-1", tmp_path / "never") and not (tmp_path / "never").exists()


def test_a_store_that_was_never_written_is_empty(tmp_path: Path) -> None:
    store = checkpoint_store(tmp_path / "none")
    assert store.list("") == [] and not store.get("a", tmp_path / "a")
    store.delete("")


def test_a_put_that_fails_leaves_the_old_blob_and_no_part(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("a", blob(tmp_path, "old"))
    with pytest.raises(FileNotFoundError):
        store.put("a", tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        store.put("a", tmp_path)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["a"] and (
        tmp_path / "store/a"
    ).read_text() == "old"


def test_what_a_killed_writer_left_is_no_blob_and_goes_with_the_name(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    store.put("k/a", blob(tmp_path, "a"))
    (tmp_path / "store/k/a.partial-1").write_text("half")
    assert store.list("") == ["k/a"]
    store.delete("k/")
    assert list((tmp_path / "store").iterdir()) == []


def test_readers_never_see_a_part_of_a_blob(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"s" * 1000)
    large.write_bytes(b"l" * 3_000_000)
    store.put("a", small)
    seen, done = set(), threading.Event()

    def write() -> None:
        for file in [large, small] * 10:
            store.put("a", file)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert store.get("a", tmp_path / "copy")
        seen.add((tmp_path / "copy").stat().st_size)
    writer.join()
    assert seen <= {1000, 3_000_000}


HOLDER = """
import sys, time
from pathlib import Path
from storage import checkpoint_store, probe
with checkpoint_store(Path(sys.argv[1])).lock("k/clean"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_waits_for_the_other_process_and_survives_its_death(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = checkpoint_store(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    entered = threading.Event()

    def enter() -> None:
        with store.lock("k/clean"):
            entered.set()

    with caplog.at_level(logging.INFO):
        waiter = threading.Thread(target=enter)
        waiter.start()
        with store.lock("k/seed"):  # another name is free
            assert not entered.wait(0.5)
        holder.kill()
        assert entered.wait(10)
        waiter.join()
    holder.wait()
    assert [record.message for record in caplog.records if "waiting" in record.message] == [
        f"waiting for another process to release {tmp_path / 'locks' / 'k.clean'}"
    ]
    store.delete("")
    assert store.list("") == [] and (tmp_path / "locks/k.clean").exists()


def test_an_unknown_scheme_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="gopher://"):
        checkpoint_store("gopher://bucket/prefix")


def test_a_probe_leaves_nothing_and_fails_where_a_run_would(tmp_path: Path) -> None:
    probe(tmp_path / "checkpoints")
    assert list((tmp_path / "checkpoints").rglob("*")) == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        probe(tmp_path / "file" / "checkpoints")
    with pytest.raises(ConfigError, match="`checkpoints`"):
        probe("")
