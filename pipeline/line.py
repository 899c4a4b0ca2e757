"""Finds the line that a command is about."""

from pathlib import Path

from finest.errors import FinestError
from pipeline import config as configs
from pipeline import state as states
from pipeline.config import Config
from pipeline.options import settings


def known(line: str | None, config: Path | None, sets: list[str] | None, state: Path | None) -> Config:
    """Returns the config that a command was given, whose `line` MLflow knows, and which answers from here on.

    Raises FinestError where there is no such line.
    """
    states.existing(state)
    loaded = configs.load(config or configs.QUICKSTART, settings(sets, name=line))
    from tracking.answer import asked
    from tracking.registry import list_versions
    from tracking.store import connect, lines

    if loaded.line not in (known := asked(lambda: lines(connect()))) and not asked(lambda: list_versions(loaded.line)):
        there = f"there are {', '.join(known)} (--name)" if known else "there are none yet"
        raise FinestError(f"there is no line {loaded.line} here: {there}")
    return loaded
