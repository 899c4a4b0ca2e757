"""What a check finds, and how settings are laid over a config."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from finest.data.check.mapping import Guess
from finest.data.config import Ingest
from finest.data.schema import Manifest


@dataclass
class Checked:
    """Holds what a source is. Numbers are of the sample where it is not the whole."""

    files: int
    size: int
    """Bytes of all files."""
    sampled_files: int = 0
    whole: bool = True
    """Whether the sample is all of the source."""
    share: float = 1.0
    """Share of the source's rows that the sample is, about."""
    formats: list[str] = field(default_factory=list)
    """Format, separator and encoding, in words."""
    columns: list[str] = field(default_factory=list)
    mapping: dict[str, Guess] = field(default_factory=dict)
    partition: str = ""
    """How folders say a day; '' where they do not."""
    days: list[date] = field(default_factory=list)
    missing_days: list[date] = field(default_factory=list)
    unknown_days: int = 0
    """Number of files of unknown days."""
    manifest: Manifest | None = None
    """Of the sample, with the settings; None where it cannot be read with them."""
    bad_rows: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was guessed and said, or is worth a look."""
    mistakes: list[str] = field(default_factory=list)
    """What a run with the config as it was given would end with, each with what mends it."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Keys below `ingest` that must be other than given."""
    only: str = ""
    """The one file that is the source, where others beside it are not."""


def settled(given: Ingest, settings: dict[str, Any]) -> Ingest:
    """Returns the config with settings put in."""
    return Ingest.model_validate(merged(given.model_dump(mode="json"), settings))


def merged(into: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Returns a tree of settings with another one laid over it."""
    both = {
        key: merged(into[key], value) if isinstance(value, dict) and isinstance(into.get(key), dict) else value
        for key, value in more.items()
    }
    return {**into, **both}
