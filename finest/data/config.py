"""Config of ingest: how a source is read, cleaned and split."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field, field_validator, model_validator

from finest.section import Section


class Columns(Section):
    """Names of the source's columns."""

    user: str = "user_id"
    item: str = "item_id"
    timestamp: str = "timestamp"
    sequence: str | None = None
    """Order of interactions within one timestamp, where the source knows it."""


class Split(Section):
    """Which interactions are held out. No model of the run is trained on them."""

    method: Literal["last_fraction", "leave_one_out", "temporal"] = "last_fraction"
    fraction: float = Field(default=0.1, gt=0, lt=1)
    """`last_fraction`: share of each user's interactions, the last ones, rounded up, but for the user's first. Three decimals."""
    cut: datetime | None = None
    """`temporal`: interactions at or after this time are held out (ISO 8601; UTC without a zone)."""

    @field_validator("fraction")
    @classmethod
    def _counted_by_integers(cls, fraction: float) -> float:
        if fraction != round(fraction, 3):
            raise ValueError("at most three decimals: rows are counted per mille, by integers")
        return fraction

    @model_validator(mode="after")
    def _temporal_needs_a_cut(self) -> "Split":
        if (self.method == "temporal") != (self.cut is not None):
            raise ValueError("`cut` goes with method `temporal`, and that method needs it")
        return self


class Evaluation(Section):
    """How rank lists are taken. Part of the data: written into the manifest and read from there by every later step."""

    depth: int = Field(default=100, ge=10)
    """Length of a rank list, items."""
    exclude_seen: bool = True
    """Leave items out of a user's list that are in the history. Wrong where people repeat items; see the manifest's repeated share."""


class Ingest(Section):
    """Reading, cleaning and splitting."""

    format: Literal["auto", "parquet", "csv", "tsv", "inter"] = "auto"
    """Format of the source's files; `auto` goes by the file name's ending."""
    columns: Columns = Columns()
    timestamp_unit: Literal["s", "ms", "us", "ns"] = "s"
    """Unit of numeric timestamps."""
    duplicates: Literal["keep", "quarantine"] = "keep"
    """What becomes of a row that repeats another in user, item and timestamp: all but one go to the quarantine, or all stay."""
    max_quarantined_share: float = Field(default=0.01, ge=0, le=1)
    """Share of the source's rows that may be unusable before ingest fails."""
    min_user_interactions: int = Field(default=5, ge=1)
    """k-core: users with fewer interactions are left out, repeatedly with `min_item_interactions` until nothing changes."""
    min_item_interactions: int = Field(default=1, ge=1)
    """k-core: items with fewer interactions are left out."""
    since: date | None = None
    """Read only hive partitions `dt=` on or after this day; only for sources with such partitions."""
    until: date | None = None
    """Read only hive partitions `dt=` on or before this day."""
    split: Split = Split()
    evaluation: Evaluation = Evaluation()
