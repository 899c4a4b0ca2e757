"""Atomic writes: old or new, whole, whoever is killed and whoever else writes."""

import errno
import fcntl
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from finest import atomic

FORK = multiprocessing.get_context("fork")


def killed(work: Callable[[], None]) -> None:
    """Runs `work`, which kills its own process, in a process."""
    process = FORK.Process(target=work)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_is_written_with_its_ending_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lists.parquet"
    for text in ("old", "new"):
        with atomic.file(path) as partial:
            assert partial.suffix == ".parquet" and not partial.exists()
            partial.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert names(tmp_path) == ["new", "new/lists.parquet"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def test_an_error_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(ValueError, match="in the middle"), atomic.file(tmp_path / "a") as partial:
        partial.write_text("half")
        raise ValueError("in the middle")
    with pytest.raises(ValueError, match="in the middle"), atomic.folder(tmp_path / "b") as partial:
        (partial / "part").write_text("half")
        raise ValueError("in the middle")
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]


def test_a_folder_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()  # an empty one may be there
    with atomic.folder(tmp_path / "out") as partial:
        (partial / "deep").mkdir()
        (partial / "deep" / "a").write_text("content")
        assert names(tmp_path / "out") == []
    assert names(tmp_path) == ["out", "out/deep", "out/deep/a"]


def test_a_folder_that_holds_something_is_replaced_only_if_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with pytest.raises(OSError, match="not empty"), atomic.folder(tmp_path / "out") as partial:
        (partial / "new").touch()
    assert names(tmp_path) == ["out", "out/old"]
    with atomic.folder(tmp_path / "out", replace=True) as partial:
        (partial / "new").touch()
    assert names(tmp_path) == ["out", "out/new"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_writer_leaves_the_old_content_and_the_next_one_tidies_up(tmp_path: Path, kind: str) -> None:
    def write(text: str, die: bool = False) -> None:
        if kind == "file":
            with atomic.file(tmp_path / "a") as partial:
                partial.write_text(text)
                if die:
                    os.kill(os.getpid(), signal.SIGKILL)
        else:
            with atomic.folder(tmp_path / "a", replace=True) as partial:
                (partial / "text").write_text(text)
                if die:
                    os.kill(os.getpid(), signal.SIGKILL)

    def content() -> str:
        return (tmp_path / "a" / "text" if kind == "folder" else tmp_path / "a").read_text()

    write("old")
    killed(lambda: write("half", die=True))
    assert content() == "old" and len(list(tmp_path.iterdir())) == 2  # and what it left
    write("new")
    assert content() == "new" and [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_writer_left_that_died_before_it_had_its_lock_goes_too(tmp_path: Path) -> None:
    (tmp_path / f"a{atomic.PARTIAL}0").mkdir()
    (tmp_path / f"b{atomic.PARTIAL}0").mkdir()  # of another name: not this writer's to judge
    with atomic.file(tmp_path / "a") as partial:
        partial.touch()
    assert names(tmp_path) == ["a", f"b{atomic.PARTIAL}0"]


@pytest.mark.parametrize("replace", [False, True])
def test_writers_at_once_do_not_disturb_each_other(tmp_path: Path, replace: bool) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            if replace:
                with atomic.folder(tmp_path / "a", replace=True) as partial:
                    for name in "xyz":
                        (partial / name).write_text(str(number))
            else:
                with atomic.file(tmp_path / "a") as partial:
                    partial.write_text(str(number) * 1000)

    processes = [FORK.Process(target=write, args=(number,)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    parts = [path.read_text() for path in (tmp_path / "a").iterdir()] if replace else [(tmp_path / "a").read_text()]
    assert len(set("".join(parts))) == 1 and len(parts) == (3 if replace else 1)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_content_and_name_are_on_disk_before_the_block_ends(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, real = [], os.fsync

    def fsync(place: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{place}").readlink()))
        real(place)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "a"
    if kind == "file":
        with atomic.file(path) as partial:
            partial.touch()
        assert synced == [str(partial), str(tmp_path)]
    else:
        with atomic.folder(path) as partial:
            (partial / "text").touch()
        assert synced == [str(partial / "text"), str(partial), str(tmp_path)]


def test_on_a_file_system_without_locks_files_are_written_and_nobody_is_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with atomic.file(tmp_path / "a") as one, atomic.file(tmp_path / "a") as other:
        other.write_text("other")
        one.write_text("one")
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_text() == "one"


def test_what_a_killed_user_of_a_temporary_folder_left_goes_with_the_next_one_and_a_living_ones_stays(
    tmp_path: Path,
) -> None:
    def dies() -> None:
        with atomic.temporary(tmp_path / "ingest", 0o700) as folder:
            (folder / "rows").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    killed(dies)
    assert any(name.endswith("/rows") for name in names(tmp_path))
    with atomic.temporary(tmp_path / "ingest", 0o777) as one:
        (one / "kept").touch()
        with atomic.temporary(tmp_path / "ingest", 0o755) as other:
            assert one.stat().st_mode & 0o777 == 0o777 and other.stat().st_mode & 0o777 == 0o755
            assert one.parent.stat().st_mode & 0o777 == 0o755 and one.parent != other.parent
            assert [path.name for path in tmp_path.rglob("*") if path.is_file()].count("kept") == 1
            assert not any(name.endswith("/rows") for name in names(tmp_path))
        assert (one / "kept").exists()
    assert names(tmp_path) == []
