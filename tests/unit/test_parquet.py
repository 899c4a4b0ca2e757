from pathlib import Path

import pyarrow as pa
import pytest

from finest import parquet
from finest.errors import DataError


def test_a_column_whose_name_is_no_text_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "edits.parquet"
    parquet.write(pa.table({"users": [1, 2]}), file)
    assert parquet.read(file).column_names == ["users"]
    file.write_bytes(file.read_bytes().replace(b"users", b"use\xffs"))
    with pytest.raises(DataError, match=r"edits\.parquet: cannot be read as Parquet \(.*0xff"):
        parquet.read(file)
