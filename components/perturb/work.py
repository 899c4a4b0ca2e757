"""Reads the edit files that scenarios name."""

import hashlib
import logging

import pyarrow as pa

import storage
from finest.errors import DataError, FinestError, first_line
from finest.patience import patiently
from finest.perturb import given
from finest.perturb.config import EditFile, Perturb

MOST_BYTES = 2**28
"""Size of the largest edit file that is read; one of ten million edits takes less."""

logger = logging.getLogger(__name__)


def resolved(config: Perturb) -> Perturb:
    """Returns the section with the digest of every edit file, which the step perturb holds the file to.

    Raises:
        DataError: A file is no edit table, has not the scenario, or is another one than the config says.
        FinestError: It cannot be read.
    """
    scenarios = [
        of.model_copy(update={"sha256": _read(of)[1]}) if isinstance(of, EditFile) else of for of in config.scenarios
    ]
    return config.model_copy(update={"scenarios": scenarios})


def tables(config: Perturb) -> dict[str, pa.Table]:
    """Returns the edits of every scenario that is read from a file, by its name. Raises as `resolved` does."""
    return {of.name: _read(of)[0] for of in config.files}


def _read(of: EditFile) -> tuple[pa.Table, str]:
    """Returns the edits of a scenario, and the digest of the file that they are from."""
    found = storage.resolve(of.file)
    if len(found.files) != 1:
        raise DataError(f"{of.file}: {len(found.files)} files lie there; name the edit file itself")
    (file,) = found.files
    if file.size > MOST_BYTES:
        raise DataError(f"{of.file}: {file.size / 1e6:,.0f} MB, more than edits take; name a file of edits")

    def content() -> bytes:
        with found.filesystem.open_input_stream(file.path, compression=None) as stream:
            return bytes(stream.read())

    try:
        data = patiently(of.file, content, found.passing)
    except FinestError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{of.file}: cannot be read ({first_line(error)})") from error
    digest = hashlib.sha256(data).hexdigest()
    if of.sha256 not in ("", digest):
        raise DataError(
            f"{of.file}: its sha256 is {digest}, but {of.sha256} is expected: it is another file than the config means,"
            " or was replaced since preflight; give the one that is meant, or leave sha256 out"
        )
    table = given.read(data, of)
    logger.info("%s: %d edits from %s, sha256 %s", of.name, len(table), of.file, digest)
    return table, digest
