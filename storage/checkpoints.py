"""From a URI to a place for checkpoints."""

import secrets
import tempfile
from pathlib import Path

from finest.errors import ConfigError, FinestError
from finest.training.store import Store
from storage.registry import CHECKPOINTS, at


def checkpoint_store(uri: str | Path) -> Store:
    """Returns the store at a local path or a URI such as s3://bucket/prefix; an unknown scheme raises ConfigError."""
    text = str(uri)
    if not text:
        raise ConfigError("no place for checkpoints is given; set `checkpoints` to a folder or to s3://BUCKET/PREFIX")
    return at(CHECKPOINTS, text)


def probe(uri: str | Path) -> None:
    """Writes, reads, lists and removes a blob, as a run will; raises the error that would end the run hours later."""
    store, name = checkpoint_store(uri), f"probe/{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as folder:
        file, back = Path(folder) / "probe", Path(folder) / "back"
        file.write_text(name)
        store.put(name, file)
        if not store.get(name, back) or back.read_text() != name or store.list(name) != [name]:
            raise FinestError(f"{uri}: what was written is not given back; see the bucket's replication and lifecycle")
    store.delete(name)
    if store.list(name):
        raise FinestError(f"{uri}: what was deleted is still there; allow deleting, and see the bucket's retention")
