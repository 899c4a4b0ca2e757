"""A digest of a data set's content that no file layout, file order, thread count or engine changes."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ("user", "item", "timestamp", "position", "split")


class Fingerprint:
    """sha256 over the values of sorted rows, fed batch by batch; where a batch ends makes no difference."""

    def __init__(self) -> None:
        self._digests = {name: hashlib.sha256() for name in COLUMNS}
        self._lengths = {name: hashlib.sha256() for name in COLUMNS}

    def add(self, rows: pa.Table) -> None:
        """Takes the next rows, with at least the columns of COLUMNS."""
        for name in COLUMNS:
            for chunk in rows.column(name).chunks:
                if pa.types.is_string(chunk.type):
                    binary = chunk.cast(pa.binary())
                    self._lengths[name].update(_numbers(pc.binary_length(binary)))
                    self._digests[name].update(b"".join(binary.to_pylist()))
                else:
                    self._digests[name].update(_numbers(chunk))

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        whole = hashlib.sha256()
        for name in COLUMNS:
            whole.update(name.encode() + self._lengths[name].digest() + self._digests[name].digest())
        return whole.hexdigest()


def _numbers(values: pa.Array) -> bytes:
    return values.to_numpy(zero_copy_only=False).astype(np.dtype("<i8")).tobytes()
