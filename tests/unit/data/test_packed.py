"""Rows sorted as numbers are the rows sorted as rows."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from finest.data.packed import MOST, packing

row = st.tuples(st.integers(0, 2**17), st.integers(0, 2**14), st.integers(0, 2**27))


@given(st.lists(row, min_size=1, max_size=50), st.integers(0, 10**15), st.booleans())
def test_rows_come_back_by_user_time_and_item(rows: list[tuple[int, int, int]], first: int, seconds: bool) -> None:
    user, item, time = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    time = time * (1_000_000 if seconds else 1) + first // 1_000_000 * 1_000_000
    how = packing(len(rows), int(user.max()), int(item.max()), int(time.min()), int(time.max()), seconds)
    assert how is not None
    table = pa.Table.from_batches(how.batches(how.pack(user, item, time)))
    assert table.schema.types == [pa.int32(), pa.int32(), pa.int64()]
    expected = pa.table({"user": user.astype(np.int32), "item": item.astype(np.int32), "time": time})
    assert table.equals(expected.sort_by([("user", "ascending"), ("time", "ascending"), ("item", "ascending")]))


def test_what_does_not_fit_63_bits_or_memory_is_not_packed() -> None:
    year = 365 * 86_400 * 1_000_000
    assert packing(MOST, 3_000_000, 10_000, 0, year, seconds=True)
    assert packing(MOST + 1, 3_000_000, 10_000, 0, year, seconds=True) is None
    assert packing(MOST, 3_000_000, 10_000, 0, year, seconds=False) is None
    assert packing(1, 0, 2**21 - 1, 0, 2**42 - 1, seconds=False) is None  # 2**63 is no number for the user
    assert packing(1, 2**21 - 1, 2**21 - 1, 0, 2**21 - 1, seconds=False)
    assert packing(1, 2**21, 2**21 - 1, 0, 2**21 - 1, seconds=False) is None
