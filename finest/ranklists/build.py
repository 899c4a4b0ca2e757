"""Rank lists from codes of a data set's catalogue."""

import hashlib
import json
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from finest.data.dataset import Dataset, Instances, Ints
from finest.ranklists.schema import Catalogue, Description, RankLists


def describe_catalogue(item_ids: Iterable[str]) -> Catalogue:
    """The catalogue of these item ids, in any order; the padding's empty id is none of them.

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
    """Rank lists of `instances`.

    Shapes: `items` and `scores` [M, D], best first, codes of `data`'s catalogue, -1 and NaN behind a short list; `target_rank` [M], NaN
    where the target cannot be ranked.
    """
    return RankLists(
        user=data.user_ids[instances.user],
        position=instances.position,
        target=data.target_ids[instances.row],
        target_rank=target_rank.astype(np.float64),
        items=items.astype(np.int64),
        scores=scores.astype(np.float32),
        vocabulary=data.item_ids.astype(object),
        description=description,
    )
