"""Ingest as its tests call it: files written in sight, one small data set out."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.data.schema import Manifest
from finest.data.source import SourceFile

OUT = "out ?a%20b [x] 'q'#"
"""A state may lie at such a path, and data sets with it."""
Row = tuple[str, str, int]
Files = dict[str, str | bytes | pa.Table]
Ingested = Callable[..., tuple[Manifest, Path]]
Csv = Callable[..., str]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """Returns a function: `ingested({"a.csv": text}, threads, memory, **config)` is (manifest, folder).

    By default lists have depth 10, with seen items.
    """
    numbers, root = count(), tmp_path_factory.mktemp("ingest")

    def run(files: Files, threads: int = 1, memory: str | None = None, **config: Any) -> tuple[Manifest, Path]:
        folder = root / str(next(numbers))
        described = []
        for name, content in files.items():
            path = folder / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pa.Table):
                pq.write_table(content, path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            described.append(SourceFile(str(path), path.stat().st_size, ""))
        config = {"evaluation": {"depth": 10, "exclude_seen": False}, "min_user_interactions": 1} | config
        out = folder / OUT
        try:
            return ingest(pafs.LocalFileSystem(), described, Ingest(**config), out, threads=threads, memory=memory), out
        finally:
            left = {path.name for path in folder.iterdir()} - {"in"}
            assert left in ({OUT}, set()), f"ingest left {left}"

    return run


def csv_of(rows: list[tuple[Any, ...]], header: str = "user_id,item_id,timestamp") -> str:
    """Plain rows as CSV text."""
    return "\n".join([header, *(",".join(str(value) for value in row) for row in rows)]) + "\n"


@pytest.fixture(scope="session")
def plain_csv() -> Csv:
    """csv_of, for tests."""
    return csv_of


@pytest.fixture(scope="session")
def clean_rows() -> list[Row]:
    """200 rows of 10 users over 50 items, every third row with a new timestamp."""
    return [(f"u{row % 10}", f"i{row * 7 % 50}", 1_000_000 + row // 3) for row in range(200)]
