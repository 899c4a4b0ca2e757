"""The data set that a command works on: the config's source, read anew where it is not what it was the last time."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from finest import sealed
from finest.errors import DamagedError
from pipeline.config import Config
from pipeline.plain import say


def ingested(config: Config, folder: Path, console: Console) -> Path:
    """Returns the data set of the config's source, which is read anew where it is not what it was the last time.

    Args:
        config: The config.
        folder: Where data sets are kept; the newest one stays.
        console: Where to print.
    """
    from components.ingest.work import read
    from components.source import listing_of, resolve
    from finest.data.window import resolved

    ingest = resolved(config.ingest, config.as_of or datetime.now(UTC))
    listing = listing_of(resolve(config.source), ingest)
    key = hashlib.sha256(f"{listing}\n{ingest.model_dump_json()}".encode()).hexdigest()[:16]
    data = folder / f"data-{key}"
    if data.exists():
        try:
            sealed.check(data)
        except DamagedError:
            say(console, f"{data} is damaged; it is removed, and the source read anew")
            shutil.rmtree(data)
    if not data.exists():
        say(console, f"Reading {config.source}")
        read(config.source, listing, 0, ingest, data)
    for older in folder.glob("data-*"):
        if older != data:
            shutil.rmtree(older)
    return data
