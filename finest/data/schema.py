"""What ingest writes: files, columns and the manifest (a folder is one data set)."""

from datetime import date
from typing import Any

import pyarrow as pa

from finest.section import Section

INTERACTIONS = "interactions.parquet"
USERS = "users.parquet"
ITEMS = "items.parquet"
QUARANTINE = "quarantine.parquet"
MANIFEST = "manifest.json"

SCHEMA_VERSION = 1
DUPLICATE = "duplicate"
"""The quarantine's reason for a row that repeats another in user, item and timestamp: no fault of the source's rows."""
PADDING = 0
"""The item code of no item: padding, or an item outside the catalogue."""

INTERACTIONS_SCHEMA = pa.schema(
    [
        pa.field("user", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("timestamp", pa.int64(), nullable=False),  # microseconds since 1970, UTC
        pa.field("position", pa.int32(), nullable=False),  # in the user's history, from 0
        pa.field("user_code", pa.int32(), nullable=False),  # from 0; the file is sorted by (user_code, position)
        pa.field("item_code", pa.int32(), nullable=False),  # from 1; 0: not in the catalogue (only held-out rows)
        pa.field("split", pa.string(), nullable=False),  # "train" or "test"
    ]
)
"""Interactions, a row each. A row's number in this file is its id everywhere (edits, references)."""

USERS_SCHEMA = pa.schema(
    [
        pa.field("user_code", pa.int32(), nullable=False),
        pa.field("user", pa.string(), nullable=False),
        pa.field("interactions", pa.int32(), nullable=False),
        pa.field("train_interactions", pa.int32(), nullable=False),
        pa.field("last_train_timestamp", pa.int64()),  # null: no training row
    ]
)
ITEMS_SCHEMA = pa.schema(
    [
        pa.field("item_code", pa.int32(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("train_interactions", pa.int64(), nullable=False),
    ]
)
"""The catalogue: items of the clean training rows, code 1 for the first, by item id."""

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64()),  # of a text file, from 1; row number for Parquet, from 1
        pa.field("reason", pa.string(), nullable=False),
        pa.field("user", pa.string()),
        pa.field("item", pa.string()),
        pa.field("timestamp", pa.string()),
    ]
)


class Manifest(Section):
    """Facts about a data set; everything later steps must agree on."""

    schema_version: int
    fingerprint: str
    """sha256 over the sorted rows' values and the split: the same for any file layout, file order, thread count or engine."""
    depth: int
    """Length of a rank list, items."""
    exclude_seen: bool
    """Whether rank lists leave out the history's items."""
    source_rows: int
    quarantined_rows: int
    quarantined_by_reason: dict[str, int]
    kcore_dropped_rows: int
    interactions: int
    users: int
    items: int
    """Items of the catalogue."""
    train_interactions: int
    test_interactions: int
    instances: int
    cold_rows: int
    """Held-out rows without a history, which are no instances."""
    targets_outside_catalogue: int
    """Instances whose target no training row has; reciprocal rank 0 for every model."""
    targets_in_history: int
    """Instances whose target the history holds already; reciprocal rank 0 where exclude_seen."""
    repeated_share: float
    """Share of interactions that repeat an earlier user-item pair."""
    users_cut_inside_a_tie: int
    """Users whose last training and first held-out row share a timestamp: their cut is by content hash, not by time."""
    first_timestamp: int
    last_timestamp: int
    last_train_timestamp: int
    split: dict[str, Any]
    """The split section that made it."""
    since: date | None = None
    until: date | None = None
    """First and last day of the partitions that were read; None: no bound."""
    missing_days: tuple[date, ...] = ()
    """Days between the two without a partition, though an earlier day has one."""
    late_rows: int = 0
    """Usable rows whose time is before the day of the partition that they came in; counted where days are bounded."""

    @property
    def duplicates(self) -> int:
        """Rows set aside since they repeat another."""
        return self.quarantined_by_reason.get(DUPLICATE, 0)
