"""Describes a training's history: a record an epoch, with the loss, the regulariser's terms and the epoch's cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from finest import parquet

Record = dict[str, Any]
"""An epoch, by column."""

METRIC, TERM = b"metric", b"term"
"""Keys of a column's metadata: its metric in MLflow, and whether it is a term of a regulariser."""


def schema(terms: Mapping[str, str]) -> pa.Schema:
    """Returns the columns of a history, with one for each of a regulariser's `terms` (names to metrics)."""
    return pa.schema(
        [
            pa.field("stage", pa.string()),
            pa.field("epoch", pa.int32()),
            pa.field("step", pa.int64()),
            pa.field("loss", pa.float64(), metadata={METRIC: b"train/loss"}),
            *(
                pa.field(term, pa.float64(), metadata={METRIC: metric.encode(), TERM: b"yes"})
                for term, metric in terms.items()
            ),
            pa.field("lr", pa.float64(), metadata={METRIC: b"train/rate"}),  # learning rate of the epoch's last step
            pa.field("seconds", pa.float64()),
            pa.field("cpu_seconds", pa.float64()),
            pa.field("targets", pa.int64()),
        ]
    )


def table(records: list[Record], terms: Mapping[str, str]) -> pa.Table:
    """Returns the records as a table; an epoch without a term, as in pretraining, has none there."""
    return pa.Table.from_pylist(records, schema(terms))


def terms_of(history: pa.Table) -> list[str]:
    """Returns the columns that are a regulariser's terms."""
    return [field.name for field in history.schema if TERM in (field.metadata or {})]


def metrics_of(history: pa.Table) -> dict[str, str]:
    """Returns the metric in MLflow of each column that has one."""
    named = {field.name: (field.metadata or {}).get(METRIC) for field in history.schema}
    return {name: metric.decode() for name, metric in named.items() if metric}


def write_history(folder: Path, variant: str, records: list[Record], terms: Mapping[str, str]) -> None:
    """Writes a variant's records into a training step's folder."""
    (folder / "history").mkdir(exist_ok=True)
    parquet.write(table(records, terms), folder / "history" / f"{variant}.parquet")


def read_history(folder: Path, variant: str) -> list[Record]:
    """Returns the records that `write_history` wrote."""
    return list(parquet.read(folder / "history" / f"{variant}.parquet").to_pylist())
