"""From a URI to a place for files of lists."""

import secrets
import tempfile
from pathlib import Path

from finest.errors import ConfigError, FinestError
from finest.serving.place import Place
from storage.registry import OUTPUTS, at


def output(uri: str) -> Place:
    """Returns the place at a local path or a URI such as s3://bucket/prefix. Raises ConfigError for an unknown one."""
    if not uri:
        raise ConfigError("no place for the lists is given; name a folder or s3://BUCKET/PREFIX with --out")
    return at(OUTPUTS, uri)


def probe_output(uri: str) -> None:
    """Writes, reads and removes a file, as a batch will; raises the error that would end it hours later."""
    place, name = output(uri), f"_probe-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as folder:
        file, back = Path(folder) / "probe", Path(folder) / "back"
        file.write_text(name)
        place.put(name, file)
        if not place.get(name, back) or back.read_text() != name:
            raise FinestError(f"{uri}: what was written is not given back; see the bucket's replication and lifecycle")
        place.delete(name)
