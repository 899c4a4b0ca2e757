"""What the command line says of itself."""

import re
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from finest import __version__
from pipeline import cli


def commands(command: Any, name: str = "finest") -> Iterator[tuple[str, Any]]:
    """Yields this command and every one below it, with its full name."""
    yield name, command
    for word, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{name} {word}")


@pytest.mark.parametrize(("name", "command"), [pytest.param(*one, id=one[0]) for one in commands(get_command(cli.app))])
def test_every_command_has_examples_that_its_own_options_understand(name: str, command: Any) -> None:
    said = [line.strip() for line in (command.epilog or "").splitlines()]
    examples = [shlex.split(line) for line in said if line.startswith("finest ")]
    assert "Examples:" in said and 1 <= len(examples) <= 3
    for words in examples:
        words = words[: words.index(">")] if ">" in words else words
        assert words[: len(name.split())] == name.split()
        command.make_context(name, words[len(name.split()) :], resilient_parsing=False).close()


def test_the_version_is_one_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["finest", "--version"])
    assert cli.main() == 0
    assert capsys.readouterr().out == f"finest {__version__}\n"


def test_a_shell_can_complete_commands_and_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["finest"])
    monkeypatch.setenv("_FINEST_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "finest models ")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit):
        cli.main()
    assert {"list", "promote", "rollback"} <= set(re.findall(r"\w+", capsys.readouterr().out))
