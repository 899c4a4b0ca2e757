"""A sample of the lists that were judged, and when a served list is one of them."""

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from finest.data.dataset import Dataset
from finest.errors import FinestError
from finest.histories import SECOND
from finest.ranklists.schema import RankLists

TOLERANCE = 1e-4
"""Largest difference of a score: another machine may round a matrix product otherwise.

Items may swap places only within it.
"""


@dataclass(frozen=True)
class Sample:
    """Holds some instances: the whole history before each, and the list that was judged."""

    histories: list[list[str]]
    items: list[list[str]]
    scores: list[list[float]]
    timestamps: list[list[int]] | None = None
    """When the interactions were, in whole seconds since 1970 (UTC); None of packages of earlier versions."""

    def as_json(self) -> str:
        """Returns it as it lies in a package."""
        return json.dumps(asdict(self), ensure_ascii=False)


def read(file: Path) -> Sample:
    """Returns what `as_json` gave, from its file."""
    return Sample(**json.loads(file.read_text(encoding="utf-8")))


def take(lists: RankLists, data: Dataset, instances: int = 200) -> Sample:
    """Returns `instances` of the candidate's `lists`, evenly spaced, with their histories from `data`."""
    of = data.instances()
    if len(of) != len(lists):
        raise FinestError(
            f"the rank lists have {len(lists)} instances and the data set {len(of)}: they are not of the same data"
        )
    chosen = np.unique(np.linspace(0, len(lists) - 1, min(instances, len(lists))).astype(np.int64))
    histories = data.histories(of.row[chosen])
    there = lists.items[chosen] >= 0
    assert histories.timestamp is not None
    seconds = histories.timestamp // SECOND
    return Sample(
        histories=[
            [str(data.item_ids[code]) for code in histories.item[low:high]] for low, high in pairwise(histories.start)
        ],
        items=[
            [str(item) for item in lists.vocabulary[row[kept]]]
            for row, kept in zip(lists.items[chosen], there, strict=True)
        ],
        scores=[[float(score) for score in row[kept]] for row, kept in zip(lists.scores[chosen], there, strict=True)],
        timestamps=[seconds[low:high].tolist() for low, high in pairwise(histories.start)],
    )


def equal(items: list[str], scores: list[float], served_items: list[str], served_scores: list[float]) -> bool:
    """Tells whether a judged list and a served one are equal up to rounding."""
    if len(items) != len(served_items) or not np.allclose(scores, served_scores, rtol=TOLERANCE, atol=TOLERANCE):
        return False
    score = dict(zip(items, scores, strict=True))
    last = scores[-1] if scores else 0.0  # an item that is not in the offline list may only tie with its last one
    return np.allclose([score.get(item, last) for item in served_items], served_scores, rtol=TOLERANCE, atol=TOLERANCE)
