"""One file's rank lists, as the gate keeps them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finest.ranklists.schema import Description, RankLists


@dataclass(frozen=True)
class Listed:
    """Holds one file's lists of M instances, D items deep."""

    path: Path
    description: Description
    items: npt.NDArray[np.int32]
    """Codes of the evidence's vocabulary [M, D], best first; -1 behind a short list."""
    target_rank: npt.NDArray[np.float64]
    """Ranks of the targets [M], from 1; NaN where a target cannot be ranked."""
    after_cut: npt.NDArray[np.bool_] | None
    """Whether each instance [M] is after the champion's cut; None of other models, and of a champion that
    does not say."""
    finite: bool
    """Whether every listed item's score is a finite number."""
    digest: str
    """Digest of the scores: two trainings may list alike, but never score alike to the last bit."""


def kept(path: Path, lists: RankLists) -> Listed:
    """Returns what the gate keeps of a file."""
    filled = lists.items >= 0
    finite = bool(np.isfinite(lists.scores[filled]).all())
    digest = hashlib.sha256(lists.scores.tobytes()).hexdigest()
    return Listed(path, lists.description, lists.items, lists.target_rank, lists.after_cut, finite, digest)
