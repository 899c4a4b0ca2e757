"""A short run of the fuzzer, and that it would say so if something went wrong."""

import os
import time
from pathlib import Path
from random import Random

import pytest

from finest.errors import DataError
from tests.fuzz import pool
from tests.fuzz.__main__ import jobs_of, main
from tests.fuzz.kind import Good, Kind, WrongError, generator
from tests.fuzz.kinds import KINDS as REAL

COUNT = 210


def made(draw: Random, folder: Path, prepared: Path) -> None:
    (folder / "input").write_text(str(draw.random()))


def raises(folder: Path, prepared: Path) -> Good:
    return "equal" if int("x") else "other input"


def lies(folder: Path, prepared: Path) -> Good:
    raise WrongError("it is not what was written")


def rambles(folder: Path, prepared: Path) -> Good:
    raise DataError("a " * 2500)


def dies(folder: Path, prepared: Path) -> Good:
    os._exit(3)


def sleeps(folder: Path, prepared: Path) -> Good:
    time.sleep(600)
    return "equal"


def grows(folder: Path, prepared: Path) -> Good:
    assert b"x" * (1 << 30)
    return "equal"


def refuses(folder: Path, prepared: Path) -> Good:
    raise DataError("no: do this")


ENDS = {
    raises: "exception",
    lies: "wrong",
    rambles: "no line",
    dies: "crash",
    sleeps: "hang",
    grows: "memory",
    refuses: "clean error",
}
KINDS = {read.__name__: Kind(read.__name__, 1, made, read) for read in ENDS}


def test_some_inputs_of_every_kind_end_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--count", str(COUNT), "--seed", "1", "--processes", "1", "--keep", str(tmp_path)])
    said = capsys.readouterr().out
    assert code == 0, said
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in said.splitlines() if line[:1] == "|"}
    assert set(rows) == {"kind", "---", "all", *REAL}
    assert int(rows["all"][1]) == len(jobs_of(list(REAL), COUNT, 1)) == sum(int(rows[name][1]) for name in REAL)
    assert not list(tmp_path.iterdir())


def test_an_input_depends_on_its_kind_and_seed_alone(tmp_path: Path) -> None:
    for kind in ("text-bytes", "settings", "folders"):
        for number in range(2):
            (tmp_path / kind / str(number)).mkdir(parents=True)
            REAL[kind].make(generator(kind, 7), tmp_path / kind / str(number), tmp_path)
        one, other = (
            {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            for folder in sorted((tmp_path / kind).iterdir())
        )
        assert one == other and one


def test_what_goes_wrong_is_said_and_kept_and_the_next_input_is_tried(tmp_path: Path) -> None:
    jobs = [*((name, 1) for name in KINDS), ("lies", 2)]
    ended = list(pool.run(jobs, tmp_path, tmp_path / "kept", 1, seconds=5, most_mb=1000, module=__name__))
    words = {read.__name__: word for read, word in ENDS.items()}
    assert [(one.kind, one.word) for one in ended] == [(name, words[name]) for name, _ in jobs]
    assert len({(tmp_path / "kept" / "lies" / seed / "input" / "input").read_text() for seed in "12"}) == 2
    note = (tmp_path / "kept" / "raises" / "1" / "ended.txt").read_text()
    assert note.startswith("python -m tests.fuzz --only raises --seed 1 --count 1\nexception: Traceback")
    assert "invalid literal for int()" in note and not (tmp_path / "kept" / "refuses").exists()
