"""Checkpoints on Google Cloud Storage and Azure Blob Storage: what the store promises.

Also with several writers, and with requests that fail.
"""

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finest.errors import FinestError, UnavailableError
from finest.training.store import Store
from storage import checkpoint_store, probe
from storage.objects.store import ObjectStore, Version
from tests.integration.storage.test_objects_source import upload
from tests.services.faults import Faulty, Refusal
from tests.services.gcs import Emulator

ROOT = Path(__file__).parents[3]
MEGABYTE = 1 << 20
BUSY = Refusal(503, "ServerBusy", headers={"x-ms-error-code": "ServerBusy"})


def blob(folder: Path, content: bytes) -> Path:
    file = folder / "blob"
    file.write_bytes(content)
    return file


def read(store: Store, name: str, folder: Path) -> bytes | None:
    file = folder / "got"
    file.unlink(missing_ok=True)
    return file.read_bytes() if store.get(name, file) else None


def files(container: str) -> list[Any]:
    """All files that a store has in the container, those of versions that are over too."""
    store: Any = checkpoint_store(container)
    return list(store._place.files())


def below(emulator: Emulator, container: str) -> set[str]:
    """All that a listing of the container shows, markers of folders too."""
    name = container.partition("://")[2]
    there = emulator.filesystem().get_file_info(pafs.FileSelector(name, recursive=True))
    return {info.path.removeprefix(f"{name}/") for info in there}


def test_what_was_put_last_is_got_and_nothing_else_is_left(container: str, tmp_path: Path) -> None:
    store = checkpoint_store(f"{container}/some/prefix")
    assert read(store, "k/clean", tmp_path) is None and store.list("") == []
    for content in (b"old", b"newer", b"newest"):
        store.put("k/clean", blob(tmp_path, content))
    store.put("k/clean-2", Path(os.devnull))
    assert read(store, "k/clean", tmp_path) == b"newest" and read(store, "k/clean-2", tmp_path) == b""
    assert store.list("k/") == ["k/clean", "k/clean-2"] and store.list("k/clean-") == ["k/clean-2"]
    assert store.list("q") == []
    assert len(files(container)) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"blob", "got"}
    store.delete("k/clean-")
    assert store.list("") == ["k/clean"]
    store.delete("k/clean/")  # no name starts with it
    assert store.list("") == ["k/clean"]
    store.delete("")
    store.delete("")
    assert store.list("") == []
    with pytest.raises(FileNotFoundError):
        store.put("k", tmp_path / "missing")


@given(names=st.sets(st.text(st.sampled_from("a/=@-2FD3."), min_size=1), min_size=2))
def test_names_are_told_apart_whatever_they_hold(names: set[str]) -> None:
    versions = [Version(3, "host-1-ab", 5, "0" * 64, name, 5) for name in sorted(names)]
    keys = [version.key for version in versions]
    assert [Version.of(key, 5) for key in keys] == versions
    assert len(set(keys)) == len(keys) and not any("/" in key for key in keys)


def test_what_others_keep_there_stays_and_no_folder_is_left_by_a_name(
    emulator: Emulator, container: str, tmp_path: Path
) -> None:
    store = checkpoint_store(f"{container}/p")
    upload(emulator, container, "p/notes.txt", b"mine")
    before = below(emulator, container)
    for name in ("runs/a/night", "runs/b/night", "probe/c"):
        store.put(name, blob(tmp_path, b"new"))
        assert read(store, name, tmp_path) == b"new"
        store.delete(name)
    assert store.list("") == [] and below(emulator, container) == before


def test_a_store_travels_as_its_uri_to_a_process_that_finds_its_credentials(container: str, tmp_path: Path) -> None:
    store = checkpoint_store(f"{container}/p")
    store.put("a", blob(tmp_path, os.urandom(17 * MEGABYTE)))
    packed = pickle.dumps(store)
    assert len(packed) < 300 and pickle.loads(packed) == store  # noqa: S301 - our own
    (tmp_path / "packed").write_bytes(packed)
    code = (
        "import pickle, sys; from pathlib import Path; "
        "pickle.loads(Path(sys.argv[1]).read_bytes()).get('a', Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "packed"), str(tmp_path / "there")], cwd=ROOT, check=True
    )
    assert (tmp_path / "there").read_bytes() == (tmp_path / "blob").read_bytes()


def test_what_a_killed_writer_left_is_no_blob_and_goes_with_the_name(
    emulator: Emulator, container: str, tmp_path: Path
) -> None:
    store = checkpoint_store(f"{container}/p")
    store.put("clean", blob(tmp_path, b"whole"))
    killed = Version(7, "host-1-ab", 5, "0" * 64, "clean")
    upload(emulator, container, f"p/{killed.key}", b"who")
    upload(emulator, container, "p/other@000000000001-9-00-host", b"")
    assert read(store, "clean", tmp_path) == b"whole" and store.list("") == ["clean"]
    store.put("clean", blob(tmp_path, b"newer"))
    assert read(store, "clean", tmp_path) == b"newer"
    store.delete("")
    assert files(container) == []


def test_what_was_changed_on_the_server_is_dropped_for_the_version_before_it_or_none(
    emulator: Emulator, container: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = checkpoint_store(f"{container}/p")
    upload(emulator, container, f"p/{Version(1, 'host-1-ab', 5, '0' * 64, 'clean').key}", b"wrong")
    assert read(store, "clean", tmp_path) is None
    assert "clean@000000000001" in caplog.text and "is damaged: what was read has sha256" in caplog.text
    assert files(f"{container}/p") == [] and list(tmp_path.iterdir()) == []
    store.put("clean", blob(tmp_path, b"right"))
    upload(emulator, container, f"p/{Version(2, 'host-1-ab', 5, '0' * 64, 'clean').key}", b"wrong")
    assert read(store, "clean", tmp_path) == b"right"


WRITER = """
import pathlib, sys, time
from storage import checkpoint_store
store, file = checkpoint_store(sys.argv[1]), pathlib.Path(sys.argv[2])
for number in range(4):
    file.write_bytes(f"{sys.argv[3]} {number:02d};".encode() * 20_000)
    store.put("clean", file)
    time.sleep(0.1)  # a reader on a busy machine needs time to see it
"""


def test_two_writers_of_one_name_never_leave_a_reader_with_a_part_or_with_nothing(
    container: str, tmp_path: Path
) -> None:
    uri = f"{container}/p"
    store = checkpoint_store(uri)
    store.put("clean", blob(tmp_path, b"first;"))
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, uri, str(tmp_path / name), name], cwd=ROOT) for name in "ab"
    ]
    seen = set()
    while any(process.poll() is None for process in writers):
        content = read(store, "clean", tmp_path)
        assert content is not None
        versions = set(content.split(b";")) - {b""}
        assert len(versions) == 1 and len(content) in (6, 100_000)
        seen |= versions
    assert [process.wait() for process in writers] == [0, 0] and len(seen) > 2
    assert (read(store, "clean", tmp_path) or b"")[:4] in (b"a 03", b"b 03")
    store.delete("clean")
    assert store.list("") == []


def test_a_missing_bucket_is_one_line_for_every_call(emulator: Emulator, container: str, tmp_path: Path) -> None:
    store = checkpoint_store(f"{emulator.scheme}://no-such-place/p")
    for call in (
        lambda: store.list(""),
        lambda: store.get("a", tmp_path / "a"),
        lambda: store.put("a", blob(tmp_path, b"x")),
        lambda: store.delete(""),
        lambda: probe(f"{emulator.scheme}://no-such-place/p"),
    ):
        with pytest.raises(FinestError, match=r"there is no (bucket|container) no-such-place on http://127") as error:
            call()
        assert "\n" not in str(error.value)


def test_a_probe_leaves_nothing(container: str) -> None:
    probe(f"{container}/checkpoints")
    assert files(container) == []


def test_a_store_that_is_away_is_waited_for_with_a_line_a_wait(
    container: str,
    faulty_emulator: Faulty,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("storage.objects.gcs.RETRY_SECONDS", 1)
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "60")
    store = checkpoint_store(f"{container}/p")
    store.put("clean", blob(tmp_path, b"content"))
    faulty_emulator.fault = lambda request: BUSY
    back = threading.Timer(8, lambda: setattr(faulty_emulator, "fault", lambda request: None))
    back.start()
    assert read(store, "clean", tmp_path) == b"content"
    back.join()
    assert "Storage at http://127.0.0.1:" in caplog.text and "asked again in" in caplog.text
    assert "is back after" in caplog.text


def test_a_store_that_stays_away_is_one_line(
    container: str, faulty_emulator: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.objects.gcs.RETRY_SECONDS", 1)
    monkeypatch.setenv("FINEST_PATIENCE_SECONDS", "1")
    faulty_emulator.fault = lambda request: BUSY
    with pytest.raises(UnavailableError, match=r"has been away for .* it answers (UNAVAILABLE|ServerBusy)"):
        checkpoint_store(f"{container}/p").list("")


def test_each_scheme_has_its_store() -> None:
    for uri in ("gs://bucket/p", "abfs://container/p", "abfss://container@account.dfs.core.windows.net/p"):
        assert isinstance(checkpoint_store(uri), ObjectStore)
