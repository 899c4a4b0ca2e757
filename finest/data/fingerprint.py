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
                    self._lengths[name].update(_numbers(pc.binary_length(chunk)))
                    self._digests[name].update(_bytes(chunk))
                else:
                    self._digests[name].update(_numbers(chunk))

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        whole = hashlib.sha256()
        for name in COLUMNS:
            whole.update(name.encode() + self._lengths[name].digest() + self._digests[name].digest())
        return whole.hexdigest()


def _numbers(values: pa.Array) -> memoryview:
    return np.ascontiguousarray(values.to_numpy(zero_copy_only=False), dtype="<i8").data


def _bytes(texts: pa.Array) -> memoryview:
    """The texts, none of them null, end to end, without a copy."""
    _, places, content = texts.buffers()
    bounds = np.frombuffer(places, dtype=np.int32)[[texts.offset, texts.offset + len(texts)]] if len(texts) else (0, 0)
    return memoryview(content)[bounds[0] : bounds[1]] if content is not None else memoryview(b"")
