"""Options that commands share, the examples in their help, and where they write."""

import json
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pipeline.config import find

WIDTH = 140
"""Of tables where the output is not a terminal."""

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
    bool, typer.Option("--json", help="Print JSON and nothing else; docs/operations.md says which keys it has.")
]


def examples(*commands: str) -> str:
    """Returns the end of a command's help: commands that work as they stand."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


def print_json(value: dict[str, Any]) -> None:
    """Prints what a command has found, for programs. Times are in ISO 8601."""
    print(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def console() -> Console:
    """Returns a console on standard output, wide enough for tables in a log file."""
    out = Console()
    return out if out.is_terminal else Console(width=WIDTH)


def say(console: Console, line: str, indent: int | None = None) -> None:
    """Prints a line as it is.

    Args:
        console: Where to print.
        line: The line.
        indent: Number of spaces before what goes on below, where the line is wider than the console; None: no break.
    """
    if indent is not None:
        line = textwrap.fill(
            line, console.width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def switch(on: bool) -> str | None:
    """Returns what an option without a value stands for in `settings`: `true`, or nothing where it is not given."""
    return "true" if on else None


def settings(sets: list[str] | None, **given: str | None) -> list[str]:
    """Returns `--set` and the options that stand for config keys, as `key=value`."""
    return [*(sets or []), *(f"{key}={value}" for key, value in given.items() if value is not None)]
