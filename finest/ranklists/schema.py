"""Describes rank lists and their file: the contract between training and judging."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from finest.data.dataset import Dataset, Instances, Ints
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
"""Columns of a rank-list file: a row an instance, sorted by user (as the data set orders them) and position. A target
cannot be ranked where it is outside the catalogue or, with exclude_seen, in the history: null, reciprocal rank 0."""

MOST = 2**53
"""Largest number that the metadata may name: all numbers to here are exact as floats too."""
Role = Literal["clean", "probe", "control", "champion", "popularity", "repeat_last", "baseline"]
TRAINED = ("clean", "probe", "control")
"""Roles of the variants, which a run trains. Their lists are whole; a champion lacks new items, and a baseline may know
few items, or list what others leave out."""
Stage = Literal["network", "base", "tuned"]
Served = Literal["network", "stack", "memory"]


class Catalogue(Section):
    """Identifies the items that a model can rank."""

    items: int = Field(le=MOST)
    """Number of items."""
    digest: str
    """Any text that is equal where the catalogues are; ours is sha256 over the sorted item ids."""


class Description(Section):
    """Describes the lists of a file."""

    catalogue: Catalogue
    model: str
    """Name of the recommender: sasrec, gru4rec, or any other name."""
    role: Role
    stage: Stage
    """`base`: before FINEST; `tuned`: after. `network`: before FINEST, and without what is counted beside the network,
    where anything is. Lists of a champion and of baselines are tuned."""
    group: str = "0"
    scenario: str | None = None
    """Name of a probe's scenario; of a control: identity, rounding or seed."""
    depth: int = Field(le=MOST)
    exclude_seen: bool
    seed: int | None = None
    protocol: Literal["anchored", "independent"] | None = None
    reference: str | None = None
    """Model whose lists fine-tuning kept: `base`, or `champion/<version>`."""
    data_fingerprint: str | None = None
    served: Served | None = None
    """What the lists are of: the network alone, network and counts together, or counts alone, which know no seed."""
    extra: dict[str, Any] = Field(default={})
    """Other facts. Of a probe from this library: the edits' `kind` and their number, `edits`. Of a champion:
    `new_items`, those of the data's catalogue that it lacks, and `vanished_items`, those that it has alone."""


@dataclass(frozen=True)
class RankLists:
    """Holds rank lists in memory: M instances, depth D; items are codes of `vocabulary`, -1 behind a short list."""

    user: npt.NDArray[np.object_]
    position: npt.NDArray[np.int64]
    target: npt.NDArray[np.object_]
    target_rank: npt.NDArray[np.float64]
    """NaN where the target cannot be ranked."""
    items: npt.NDArray[np.int32]
    """[M, D]"""
    scores: npt.NDArray[np.float32]
    """[M, D]; NaN behind a short list."""
    vocabulary: npt.NDArray[np.object_]
    """Item ids by code."""
    description: Description
    after_cut: npt.NDArray[np.bool_] | None = None
    """Whether the instance is later than the champion's own training rows of that user; of a champion's lists alone."""

    def __len__(self) -> int:
        return len(self.user)


def describe_catalogue(item_ids: Iterable[str]) -> Catalogue:
    """Returns the catalogue of these item ids, in any order; the padding's empty id is none of them.

    >>> describe_catalogue(["b", "", "a"]) == describe_catalogue(["a", "b"])
    True
    """
    ids = sorted(str(item) for item in item_ids if item != "")
    return Catalogue(items=len(ids), digest=hashlib.sha256(json.dumps(ids).encode()).hexdigest())


def build(
    data: Dataset,
    instances: Instances,
    items: Ints,
    scores: npt.NDArray[np.float32],
    target_rank: npt.NDArray[np.float64],
    description: Description,
) -> RankLists:
    """Returns rank lists of `instances`.

    Args:
        data: Data set of the instances, in the catalogue that `items` are codes of.
        instances: M instances.
        items: [M, D] codes, best first; -1 behind a short list.
        scores: [M, D] scores of the items; NaN behind a short list.
        target_rank: [M] ranks of the targets; NaN where the target cannot be ranked.
        description: Description of the lists.
    """
    return RankLists(
        user=data.user_ids[instances.user],
        position=instances.position,
        target=data.target_ids[instances.row],
        target_rank=target_rank.astype(np.float64),
        items=items.astype(np.int32),
        scores=scores.astype(np.float32),
        vocabulary=data.item_ids.astype(object),
        description=description,
    )
