import errno
from pathlib import Path

import pytest

from components import events
from components.step import watched
from finest.causes import disk_full, shortage
from finest.errors import ConfigError, DataError, FinestError


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(events.VARIABLE, str(tmp_path / "events.jsonl"))
    return tmp_path / "events.jsonl"


def test_a_step_tells_when_it_starts_and_ends(heard: Path) -> None:
    with watched("ingest"):
        pass
    start, finish = events.read(heard)[0]
    assert (start.kind, finish.kind, finish.done) == ("start", "finish", 1.0)
    assert finish.cpu > 0


@pytest.mark.parametrize(
    ("error", "exit_code"), [(DataError("a.csv: no column item_id"), 1), (ConfigError("gate.rules: unknown"), 2)]
)
def test_an_error_made_for_users_reaches_the_terminal_in_its_words(
    heard: Path, error: FinestError, exit_code: int
) -> None:
    with pytest.raises(FinestError), watched("ingest"):
        raise error
    failure = events.read(heard)[0][-1]
    assert (failure.kind, failure.text, failure.exit_code) == ("failure", str(error), exit_code)


def test_any_other_error_is_one_line_with_its_type(heard: Path) -> None:
    with pytest.raises(ZeroDivisionError), watched("gate"):
        print(1 // 0)
    assert events.read(heard)[0][-1].text == "ZeroDivisionError: integer division or modulo by zero"


def test_a_full_disk_is_named_as_such(heard: Path) -> None:
    with (
        pytest.raises(FinestError, match="ingest: the disk is full"),
        watched("ingest"),
        Path("/dev/full").open("wb", buffering=0) as file,
    ):
        file.write(b"x")
    assert "the disk is full" in events.read(heard)[0][-1].text


def test_a_full_disk_is_found_behind_another_error() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ValueError("cannot write Parquet") from error
    except ValueError as outer:
        assert disk_full(outer)
        assert str(shortage(outer).error).endswith("No space left on device")  # type: ignore[union-attr]
    assert disk_full(RuntimeError("database or disk is full"))
    assert not disk_full(OSError(errno.EACCES, "Permission denied"))


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "memory"),
        (ImportError("/lib/a.so: failed to map segment from shared object"), "memory"),
        (ImportError("/lib/a.so: failed to map segment from shared object: Operation not permitted"), None),
        (RuntimeError("ArrowMemoryError: malloc of size 64 failed"), "memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"), "memory"),
        (RuntimeError("OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB."), "GPU memory"),
        (ValueError("no column of the name out_of"), None),
    ],
)
def test_what_the_machine_has_too_little_of_is_told_by_what_libraries_say(error: Exception, short: str | None) -> None:
    found = shortage(error)
    assert (found and found.of) == short


def test_a_step_that_is_short_of_memory_says_which_key_gives_it_more(heard: Path) -> None:
    line = "gate: not enough memory .MemoryError.; end what else needs it .*, or raise placement.data_memory"
    with pytest.raises(FinestError, match=line), watched("gate"):
        raise MemoryError
    assert "placement.data_memory" in events.read(heard)[0][-1].text
