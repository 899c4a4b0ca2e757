"""Makes a file of lists: users, and their best items with scores, best first; the file says of which model they are."""

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finest.histories import Histories
from finest.models.saved import load, ranked
from finest.peak import peak_bytes
from finest.sealed import sha256
from finest.section import Section
from finest.serving import histories as stored
from finest.serving.place import Place
from finest.serving.users import COLUMN, Users

METADATA_KEY = b"recommendations"
"""Key of the Parquet schema's metadata under which an `Of` stands, as JSON."""
SCHEMA = pa.schema(
    [
        pa.field(COLUMN, pa.string(), nullable=False),
        pa.field("items", pa.list_(pa.string()), nullable=False),
        pa.field("scores", pa.list_(pa.float32()), nullable=False),
    ]
)
"""Columns of a file of lists, a row a user."""
USERS, ENTRIES = 2**15, 2**21
"""Largest number of users of a file, and of items in all of its lists: what a process has in memory at once, and loses
where it is killed."""
DIGITS = 12
"""Number of hex digits of a digest in a folder's name."""


class Of(Section):
    """Says of what lists are. It decides every byte of their files: the same again is the same files."""

    line: str
    """Name of the line."""
    version: str
    """The champion's version."""
    verdict: str
    """sha256 of the verdict by which the version was judged, as the registry knows it; empty where it does not."""
    data_fingerprint: str
    """Fingerprint of the data set that the histories are from."""
    k: int
    """Largest number of items in a list."""
    users: str = ""
    """sha256 of whose lists were asked for; empty for all users of the data set."""
    users_a_file: int
    """Number of users in all files but the last."""

    @staticmethod
    def file_size(k: int) -> int:
        """Returns how many users a file of lists of `k` items has."""
        return min(USERS, ENTRIES // k)

    @property
    def folder(self) -> str:
        """Returns the name of the files' folder: the version, and a digest of all of this."""
        return f"{self.version}-{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:DIGITS]}"


class Part(NamedTuple):
    """Holds a file that is to be made; it can be pickled."""

    name: str
    """Name of the file in its place."""
    of: Of
    users: Users
    data: Path
    """Folder of the data set."""
    model: Path
    """Folder of the model."""
    place: Place
    scratch: Path
    """Folder where the file is written before it goes to its place."""


def make(part: Part, report: Callable[[tuple[str, dict[str, Any]]], None]) -> None:
    """Makes a file of lists and puts it to its place. Reports its name, facts and this process's peak of memory."""
    file = part.scratch / Path(part.name).name
    schema = SCHEMA.with_metadata({METADATA_KEY: part.of.model_dump_json().encode()})
    pq.write_table(table(part).cast(schema), file, compression="zstd", write_page_checksum=True)
    facts = {"rows": len(part.users), "bytes": file.stat().st_size, "sha256": sha256(file)}
    part.place.put(part.name, file)
    file.unlink()
    report((part.name, {"file": facts, "peak_bytes": peak_bytes()}))


def table(part: Part) -> pa.Table:
    """Returns the lists of a part. A user of whom the model knows no item has an empty one."""
    saved = _loaded(part.model)
    items = pa.array(saved.item_ids[1:], pa.string())
    nobody = Histories(np.empty(0, np.int64), np.zeros(len(part.users.unknown) + 1, np.int64))
    found = [ranked(saved, some, part.of.k) for some in _all(part, items, nobody, saved.model.timed)]
    item_UK, score_UK = (np.concatenate(column) for column in zip(*found, strict=True))
    there_UK = item_UK > 0
    ends = pa.array(np.append(0, np.cumsum(there_UK.sum(1))).astype(np.int32))
    return pa.table(
        [
            pa.concat_arrays([stored.ids(part.data, part.users.known), part.users.unknown]),
            pa.ListArray.from_arrays(ends, items.take(pa.array(item_UK[there_UK] - 1))),
            pa.ListArray.from_arrays(ends, pa.array(score_UK[there_UK].astype(np.float32))),
        ],
        names=SCHEMA.names,
    )


def _all(part: Part, items: pa.Array, nobody: Histories, timed: bool) -> Iterator[Histories]:
    yield from stored.histories(part.data, part.users.known, items, timed)
    yield nobody


_loaded = lru_cache(maxsize=1)(load)
"""Loads a model once a process, for all files that it makes."""
