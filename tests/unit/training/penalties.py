"""Penalties for training tests: FINEST's hinge on lists at hand."""

from torch import Tensor

from finest.training.objective import Penalty
from finest.training.reference_lists import ReferenceLists, StoredLists
from finest.training.regularisers.rank_hinge import RankHinge, RankHingeConfig


def rank_hinge(lists: ReferenceLists, alpha: float = 1.0, margin: float = 0.1) -> Penalty:
    """FINEST's penalty on these lists."""
    return Penalty(RankHinge(RankHingeConfig(margin=margin)), lists, alpha)


def stored(lists: Tensor, of_row: Tensor, alpha: float = 1.0, margin: float = 0.1) -> Penalty:
    """FINEST's penalty on stored lists, `[number, 2K]` columns of the score matrix, `of_row` by clean row."""
    return rank_hinge(StoredLists(lists, of_row), alpha, margin)
