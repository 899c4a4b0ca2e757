"""Parts of trainings for tests: FINEST's hinge on lists at hand, and settings of a short fine-tuning."""

from typing import Any

from torch import Tensor

from finest.training.loop import Settings
from finest.training.objective import Penalty
from finest.training.reference_lists import ReferenceLists, StoredLists
from finest.training.regularisers.rank_hinge import RankHinge, RankHingeConfig


def rank_hinge(lists: ReferenceLists, alpha: float = 1.0, margin: float = 0.1) -> Penalty:
    """FINEST's penalty on these lists."""
    return Penalty(RankHinge(RankHingeConfig(margin=margin)), lists, alpha)


def stored(lists: Tensor, of_row: Tensor, alpha: float = 1.0, margin: float = 0.1) -> Penalty:
    """FINEST's penalty on stored lists, `[number, 2K]` columns of the score matrix, `of_row` by clean row."""
    return rank_hinge(StoredLists(lists, of_row), alpha, margin)


def finetune_settings(**changes: Any) -> Settings:
    """Returns settings of a short fine-tuning; `changes` are other values of its fields."""
    common: dict[str, Any] = {"stage": "finetune", "seed": 4, "cosine": True, "dropout": 0.3, "amp": True}
    sizes = {"epochs": 4, "batch_size": 5, "lr": 0.01, "weight_decay": 0.1, "ema_decay": 0.9, "max_grad_norm": 1.0}
    return Settings(**(common | sizes | changes))
