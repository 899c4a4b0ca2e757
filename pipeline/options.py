"""Options that commands share, the examples in their help, and where they write."""

import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from finest.errors import ConfigError
from pipeline.config import find
from pipeline.ending import CancelledError
from pipeline.settings import Setting

WIDTH = 140
"""Number of characters of a line where the output is not a terminal, and `COLUMNS` is not set."""

CONFIG_HELP = "Config file (YAML), or the name of a ready-made one: quickstart, nightly."
ConfigFile = Annotated[
    Path | None, typer.Option("--config", parser=find, metavar="FILE|NAME", help=f"{CONFIG_HELP} Default: quickstart.")
]
NightlyFile = Annotated[
    Path | None, typer.Option("--config", parser=find, metavar="FILE|NAME", help=f"{CONFIG_HELP} Default: nightly.")
]
Sets = Annotated[list[str] | None, typer.Option("--set", help="Overrides a config key: a.b.c=value. May be repeated.")]
AsOf = Annotated[
    str | None, typer.Option(help="The day or time that the run stands for, like 2026-11-24; now if not given.")
]
Name = Annotated[
    str | None, typer.Option("--name", help="The line, one model in production; the source's short name if not given.")
]
Rebase = Annotated[
    bool,
    typer.Option("--rebase", help="Start the line over with this data: judged as a first night, champion to previous."),
]
StateFolder = Annotated[
    Path | None, typer.Option("--state", help="Folder for everything written; FINEST_STATE or ./state if not given.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON and nothing else; docs/programs.md says which keys it has.")
]


def open_folder(output: Path | None) -> None:
    """Makes the folder of `--output`, if one is given, before what takes hours begins.

    Raises:
        ConfigError: Files cannot be put there.
    """
    if output is None:
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise ConfigError(
            f"--output {output}: no file can be put there ({error.strerror}); give another folder"
        ) from error


def examples(*commands: str) -> str:
    """Returns the end of a command's help: commands that work as they stand."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def print_json(value: dict[str, Any]) -> None:
    """Prints what a command has found, for programs. Times are in ISO 8601."""
    print(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def console() -> Console:
    """Returns a console on standard output, as wide as `COLUMNS` says; else wide enough for tables in a log file."""
    plain = partial(Console, markup=False, emoji=False, highlight=False)
    out = plain()
    return out if out.is_terminal or os.environ.get("COLUMNS", "").isdecimal() else plain(width=WIDTH)


def switch(on: bool) -> str | None:
    """Returns what an option without a value stands for in `settings`: `true`, or nothing where it is not given."""
    return "true" if on else None


def settings(sets: list[str] | None, **given: str | float | None) -> list[Setting]:
    """Returns `--set`, and the options that stand for config keys, whose texts are taken as they are."""
    there = [(key, value) for key, value in given.items() if value is not None]
    return [*(sets or []), *((key, value) if isinstance(value, str) else f"{key}={value}" for key, value in there)]


def confirm(asked: str, yes: bool, otherwise: str) -> None:
    """Asks a person, unless `--yes` was given, whether to go on.

    Args:
        asked: The question.
        yes: Whether `--yes` was given.
        otherwise: What did not happen, for who says no.

    Raises:
        ConfigError: Nobody is there to ask.
        CancelledError: The answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"nobody is here to ask: {asked} Add --yes")
    if not typer.confirm(asked):
        raise CancelledError(otherwise)
