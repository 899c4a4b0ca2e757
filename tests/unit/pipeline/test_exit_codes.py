"""What the table of exit codes in docs/operations.md says is what commands end with."""

import re
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer

from finest.errors import ConfigError, FinestError, OutOfMemoryError
from finest.gate.verdict import Word
from pipeline import cli, ending, options
from pipeline import state as states
from tests.unit.gate.made_up_run import made_up

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs" / "operations.md").read_text().split("### Exit codes")[1].split("\n\n")[1]
TABLE = {int(row.split("|")[1]): row.split("|")[2:5] for row in SECTION.splitlines() if re.match(r"\| [0-9]", row)}


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["finest", *arguments])
    return cli.main()


def test_the_table_has_a_row_for_every_code_and_no_other() -> None:
    classes, codes = [FinestError], set()
    while classes:
        one = classes.pop()
        codes.add(one.exit_code)
        classes += one.__subclasses__()
    assert OutOfMemoryError.exit_code == 1 and ConfigError.exit_code == 2
    assert set(TABLE) == codes | set(ending.EXIT_CODES.values()) | {ending.AWAITING} == {0, 1, 2, 3, 4, 5}
    assert set(ending.EXIT_CODES) == set(get_args(Word))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pass", "passed"),
        ("skipped", "skipped"),
        ("fail", "refused"),
        ("suspicious", "suspicious"),
        ("broken", "the gate failed its own test"),
    ],
)
def test_every_verdict_ends_in_the_row_that_names_it(word: str, said: str) -> None:
    rows = [code for code, row in TABLE.items() if re.search(rf"\b{said}\b", row[0])]
    assert rows[0] == ending.EXIT_CODES[word]


def test_gate_ends_as_its_column_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lists, rules = tmp_path / "lists", ("--set", "gate.rules=[sanity]", "--set", "gate.self_test=false")
    made_up().write(lists)
    assert called(monkeypatch, "gate", "--lists", str(lists), *rules) == 0
    assert called(monkeypatch, "gate", "--lists", str(lists), *rules, "--set", "gate.min_users=101") == 3
    for wrong in (["--lists", str(tmp_path / "nowhere")], ["--lists", str(lists), "--set", "gate.x=1"], ["--lost"]):
        assert called(monkeypatch, "gate", *wrong) == 2
    damaged = next(lists.rglob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert called(monkeypatch, "gate", "--lists", str(lists), *rules) == 1
    assert "interrupted" not in capsys.readouterr().err


def test_ctrl_c_in_any_command_is_one_line_and_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(states, "existing", interrupt)
    assert called(monkeypatch, "runs", "list", "--state", str(tmp_path)) == 4
    said = capsys.readouterr()
    assert said.out == "" and said.err.strip() == "error: interrupted"
    assert not (tmp_path / "error.log").exists()


@pytest.mark.parametrize(("answer", "code"), [(False, 4), (typer.Abort(), 4)])
def test_no_and_ctrl_c_at_a_question_are_4(
    answer: bool | Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(*_: object) -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(typer, "confirm", asked)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)

    def ask() -> None:
        options.confirm("Roll back?", False, "nothing was moved")

    monkeypatch.setattr(cli, "app", lambda **_: ask())
    assert called(monkeypatch, "models", "rollback") == code
    assert capsys.readouterr().err in ("error: nothing was moved\n", "error: interrupted\n")
