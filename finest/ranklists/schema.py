"""Rank lists and their file: the contract between training and judging."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from finest.section import Section

METADATA_KEY = b"rank_lists"
"""Key of the Parquet schema's metadata under which a `Description` stands, as JSON."""

RANK_LISTS_SCHEMA = pa.schema(
    [
        pa.field("user", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),  # of the held-out interaction in the user's history, from 0
        pa.field("target", pa.string(), nullable=False),
        pa.field(
            "target_rank", pa.float64()
        ),  # mean rank under ties over the full catalogue, from 1; null: cannot be ranked
        pa.field("items", pa.list_(pa.string()), nullable=False),  # best first
        pa.field("scores", pa.list_(pa.float32()), nullable=False),
    ]
)
"""A row an instance, sorted by user (as the data set orders them) and position. A target cannot be ranked where it is outside the
catalogue or, with exclude_seen, in the history: null, reciprocal rank 0."""

Role = Literal["clean", "probe", "control", "champion", "popularity", "repeat_last"]
Stage = Literal["base", "tuned"]


class Catalogue(Section):
    """The items that a model can rank."""

    items: int
    digest: str
    """Any text that is equal where the catalogues are; ours is sha256 over the sorted item ids."""


class Description(Section):
    """What the lists of a file are."""

    catalogue: Catalogue
    model: str
    """Of a recommender: sasrec, gru4rec, or any other name."""
    role: Role
    stage: Stage
    """`base`: before FINEST; `tuned`: after. Of a champion and of baselines: tuned."""
    group: str = "0"
    scenario: str | None = None
    """Of a probe: its scenario's name. Of a control: identity, rounding or seed."""
    depth: int
    exclude_seen: bool
    seed: int | None = None
    protocol: Literal["anchored", "independent"] | None = None
    reference: str | None = None
    """Whose lists fine-tuning kept: `base`, or `champion/<version>`."""
    data_fingerprint: str | None = None
    extra: dict[str, Any] = Field(default={})
    """Of a probe from this library: the edits' `kind` and their number, `edits`. Of a champion: `new_items`, those of the data's catalogue
    that it lacks, and `vanished_items`, those that it has alone."""


@dataclass(frozen=True)
class RankLists:
    """Rank lists in memory. M instances, D depth; items are codes of `vocabulary`, -1 behind a short list."""

    user: npt.NDArray[np.object_]
    position: npt.NDArray[np.int64]
    target: npt.NDArray[np.object_]
    target_rank: npt.NDArray[np.float64]
    """NaN where the target cannot be ranked."""
    items: npt.NDArray[np.int64]
    """[M, D]"""
    scores: npt.NDArray[np.float32]
    """[M, D]; NaN behind a short list."""
    vocabulary: npt.NDArray[np.object_]
    """Item id by code."""
    description: Description
    after_cut: npt.NDArray[np.bool_] | None = None
    """Of a champion: whether the instance is later than the champion's own training rows of that user."""

    def __len__(self) -> int:
        return len(self.user)
