"""A digest of a data set's content that no file layout, file order, thread count or engine changes."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Fingerprint:
    """sha256 over sorted rows and the ids that they name by number: text is taken in once an id, not once a row.

    `users` and `items`: the ids that occur, sorted, `interactions`: how many rows each user has.
    """

    def __init__(self, users: pa.Array, interactions: np.ndarray, items: pa.Array) -> None:
        self._fixed = [part for ids in (users, items) for part in (_little(pc.binary_length(ids)), _bytes(ids))]
        self._fixed.append(_little(interactions))
        self._rows = [hashlib.sha256() for _ in range(3)]

    def add(self, item_N: np.ndarray, time_N: np.ndarray, train_N: np.ndarray) -> None:
        """Takes the next rows, sorted by user and position; where a call ends makes no difference.

        `item_N`: places in the items; `time_N`: microseconds; `train_N`: whether each is a training row.
        """
        for digest, values in zip(
            self._rows, (item_N.astype("<i4"), time_N.astype("<i8"), train_N.astype("u1")), strict=True
        ):
            digest.update(values.data)

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        whole = hashlib.sha256()
        for part in self._fixed:
            whole.update(hashlib.sha256(part).digest())
        for digest in self._rows:
            whole.update(digest.digest())
        return whole.hexdigest()


def _little(numbers: pa.Array | np.ndarray) -> memoryview:
    return np.ascontiguousarray(numbers, dtype="<i8").data


def _bytes(texts: pa.Array) -> memoryview:
    """The texts, none of them null, end to end, without a copy."""
    _, places, content = texts.buffers()
    bounds = np.frombuffer(places, dtype=np.int32)[[texts.offset, texts.offset + len(texts)]] if len(texts) else (0, 0)
    return memoryview(content)[bounds[0] : bounds[1]] if content is not None else memoryview(b"")
