"""Compares a package that has been loaded back with offline rank lists."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finest.data.dataset import Dataset
from finest.errors import FinestError
from finest.ranklists.schema import RankLists

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-4
"""Largest difference of a score: another machine may round a matrix product otherwise.

Items may swap places only within it.
"""

Predict = Callable[["pd.DataFrame"], "pd.DataFrame"]


@dataclass(frozen=True)
class Sample:
    """Holds some instances: the whole history before each, and the list that was judged."""

    histories: list[list[str]]
    items: list[list[str]]
    scores: list[list[float]]

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
    return Sample(
        histories=[
            [str(data.item_ids[code]) for code in histories.item[low:high]] for low, high in pairwise(histories.start)
        ],
        items=[
            [str(item) for item in lists.vocabulary[row[kept]]]
            for row, kept in zip(lists.items[chosen], there, strict=True)
        ],
        scores=[[float(score) for score in row[kept]] for row, kept in zip(lists.scores[chosen], there, strict=True)],
    )


def compare(sample: Sample, predict: Predict) -> None:
    """Raises FinestError unless `predict` gives the sample's lists."""
    import pandas as pd

    depth = max(map(len, sample.items))
    served = predict(pd.DataFrame({"history": sample.histories, "k": np.full(len(sample.histories), depth, np.int64)}))
    differing = [
        number
        for number, (items, scores) in enumerate(zip(served["items"], served["scores"], strict=True))
        if not _equal(sample.items[number], sample.scores[number], list(items), list(scores))
    ]
    if differing:
        raise FinestError(
            f"the package does not serve what was judged: {len(differing)} of {len(sample.items)} lists differ, "
            f"instance {differing[0]} of the sample first; the champion stays"
        )


def load_and_compare(package: Path, sample: Sample) -> None:
    """Loads a package without pickle. Raises FinestError unless it serves the sample's lists."""
    import mlflow

    with _without_pickle():
        compare(sample, mlflow.pyfunc.load_model(str(package)).predict)


@contextmanager
def _without_pickle() -> Iterator[None]:
    """Refuses pickle while a model is loaded, as a careful server does; the import path stays as it was."""
    before, path = os.environ.get("MLFLOW_ALLOW_PICKLE_DESERIALIZATION"), list(sys.path)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    try:
        yield
    finally:
        sys.path[:] = path
        if before is None:
            del os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"]
        else:
            os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = before


def _equal(items: list[str], scores: list[float], served_items: list[str], served_scores: list[float]) -> bool:
    """Tells whether two lists are equal up to rounding."""
    if len(items) != len(served_items) or not np.allclose(scores, served_scores, rtol=TOLERANCE, atol=TOLERANCE):
        return False
    score = dict(zip(items, scores, strict=True))
    last = scores[-1] if scores else 0.0  # an item that is not in the offline list may only tie with its last one
    return np.allclose([score.get(item, last) for item in served_items], served_scores, rtol=TOLERANCE, atol=TOLERANCE)
