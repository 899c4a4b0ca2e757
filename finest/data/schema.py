"""What ingest writes: a folder with these files, which is one data set."""

from datetime import date
from typing import Any

import pyarrow as pa

from finest.data.description import Description
from finest.section import Section

INTERACTIONS = "interactions.parquet"
USERS = "users.parquet"
ITEMS = "items.parquet"
SEGMENTS = "segments.parquet"
QUARANTINE = "quarantine.parquet"
MANIFEST = "manifest.json"

SCHEMA_VERSION = 1
"""Version of the files' columns and of the manifest."""
DUPLICATE = "duplicate"
"""The quarantine's reason for a row that repeats another in user, item and timestamp; such a row is no fault."""
PADDING = 0
"""The item code that stands for no item: padding, or an item outside the catalogue."""

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
"""Columns of the interactions, a row each. A row's number in this file is its id everywhere (edits, references)."""

USERS_SCHEMA = pa.schema(
    [
        pa.field("user_code", pa.int32(), nullable=False),
        pa.field("user", pa.string(), nullable=False),
        pa.field("interactions", pa.int32(), nullable=False),
        pa.field("train_interactions", pa.int32(), nullable=False),
        pa.field("last_train_timestamp", pa.int64()),  # null: no training row
    ]
)
"""Columns of the users, a row each: code 0 is the first one, by user id."""
ITEMS_SCHEMA = pa.schema(
    [
        pa.field("item_code", pa.int32(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("train_interactions", pa.int64(), nullable=False),
    ]
)
"""Columns of the catalogue, which is the items of the clean training rows: code 1 is the first one, by item id."""

SEGMENT_COLUMN = "segment/"
"""What the names of the segments' columns begin with, before the source's own names. SEGMENTS, which is there only
where `ingest.columns.segments` names any, has a row a held-out interaction, sorted as those are: its user (text), its
position, and its value in each segment (text; null: missing)."""

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
"""Columns of the rows that cannot be used; values are null where a malformed line has none."""


class Manifest(Section):
    """Holds the facts about a data set on which all later steps must agree."""

    schema_version: int
    """SCHEMA_VERSION of the code that wrote it."""
    fingerprint: str
    """sha256 over the sorted rows' values and the split, and the segments where there are any: the same for any file
    layout, file order, thread count or engine."""
    depth: int
    """Length of a rank list, items."""
    exclude_seen: bool
    """Whether rank lists leave out the history's items."""
    source_rows: int
    """Number of rows that were read."""
    quarantined_rows: int
    """Number of rows that were set aside because they cannot be used."""
    quarantined_by_reason: dict[str, int]
    """The same by reason, the most frequent first."""
    kcore_dropped_rows: int
    """Number of usable rows that the k-core left out."""
    interactions: int
    """Number of rows that are left, all in all."""
    users: int
    """Number of users."""
    items: int
    """Number of items of the catalogue."""
    train_interactions: int
    """Number of training rows."""
    test_interactions: int
    """Number of held-out rows."""
    instances: int
    """Number of held-out rows with a history; for each of them, items are ranked."""
    cold_rows: int
    """Number of held-out rows without a history, which are no instances."""
    targets_outside_catalogue: int
    """Number of instances whose target no training row has; reciprocal rank 0 for every model."""
    targets_in_history: int
    """Number of instances whose target the history holds already; reciprocal rank 0 where `exclude_seen`."""
    repeated_share: float
    """Share of interactions that repeat an earlier user-item pair."""
    users_cut_inside_a_tie: int
    """Number of users whose last training and first held-out row share a timestamp: a content hash cuts there, not
    time."""
    first_timestamp: int
    """Time of the first interaction, in microseconds since 1970 (UTC)."""
    last_timestamp: int
    """Time of the last interaction, likewise."""
    last_train_timestamp: int
    """Time of the last training row, likewise."""
    split: dict[str, Any]
    """The config section `ingest.split` that made it."""
    since: date | None = None
    """First day of the partitions that were read; None: no bound."""
    until: date | None = None
    """Last day of the partitions that were read; None: no bound."""
    missing_days: tuple[date, ...] = ()
    """Days between `since` and `until` without a partition, though an earlier day has one."""
    late_rows: int = 0
    """Number of usable rows of an earlier day than the partition that they came in; counted where days are bounded."""

    notes: tuple[str, ...] = ()
    """What reading the source has guessed, and what looks wrong in it, a sentence each."""
    description: Description | None = None
    """What tells the data from that of other nights; None in data sets of earlier versions."""

    @property
    def duplicates(self) -> int:
        """Returns the number of rows that were set aside because they repeat another."""
        return self.quarantined_by_reason.get(DUPLICATE, 0)
