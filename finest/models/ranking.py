"""Ranks items for histories: the one path that offline lists and the served model share."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finest.models.recommender import Recommender

Ints = npt.NDArray[np.int64]

CHUNK = 64
"""Number of histories scored at a time. Always this many, the last ones padded: a matrix product may round by its
shape, and a list that is served alone must equal the same list taken among thousands."""
COLUMNS = 2**14
"""Number of a history's scores compared at a time. Comparisons are counted as whole numbers, which for a million items
at once would take as much memory as the scores, and five times as long as in the cache."""


@torch.no_grad()
def scored(model: Recommender, histories_MT: Ints, seen: tuple[Ints, Ints] | None) -> Iterator[tuple[slice, Tensor]]:
    """Yields scores `[up to CHUNK, I]` of the catalogue, chunk by chunk, with the slice of histories that they are of.

    Args:
        model: The model.
        histories_MT: Item codes of each history, oldest first, padded behind with 0.
        seen: Instance and item code of what a list must leave out, sorted by instance; these are scored -inf.
    """
    device = model.embedding.device
    for first in range(0, len(histories_MT), CHUNK):
        chunk = histories_MT[first : first + CHUNK]
        padded = np.zeros((CHUNK, histories_MT.shape[1]), np.int64)
        padded[: len(chunk)] = chunk
        inputs_BT = torch.from_numpy(padded).to(device)
        scores_BI = model.scores(model.summary(inputs_BT))[: len(chunk)].float()
        if seen is not None:
            instance, code = seen
            low, high = np.searchsorted(instance, [first, first + len(chunk)])
            place = (
                torch.from_numpy(instance[low:high] - first).to(device),
                torch.from_numpy(code[low:high] - 1).to(device),
            )
            scores_BI[place] = -torch.inf
        yield slice(first, first + len(chunk)), scores_BI


def top(scores_BI: Tensor, depth: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Returns codes and scores `[B, depth]` of the best items; -1 and NaN behind a list that runs out of items."""
    score_BK, column_BK = scores_BI.topk(min(depth, scores_BI.shape[1]))
    items = np.full((len(scores_BI), depth), -1, np.int64)
    scores = np.full((len(scores_BI), depth), np.nan, np.float32)
    items[:, : column_BK.shape[1]] = column_BK.cpu().numpy() + 1
    scores[:, : column_BK.shape[1]] = score_BK.cpu().numpy()
    out = np.isneginf(scores)
    items[out], scores[out] = -1, np.nan
    return items, scores


def rank(scores_BI: Tensor, target_B: Ints) -> npt.NDArray[np.float64]:
    """Returns the mean rank `[B]` under ties of each target, from 1.

    NaN where the target is not in the catalogue (code 0), is left out or scores NaN.
    """
    target = torch.from_numpy(target_B).to(scores_BI.device)
    own_B1 = scores_BI.gather(1, (target - 1).clamp_(min=0)[:, None])
    better, equal = torch.zeros(2, len(scores_BI), dtype=torch.int64, device=scores_BI.device)
    for part_BC in scores_BI.split(COLUMNS, dim=1):
        better += (part_BC > own_B1).sum(1, dtype=torch.int32)
        equal += (part_BC == own_B1).sum(1, dtype=torch.int32)
    result: npt.NDArray[np.float64] = (better.double() + (equal.double() + 1) / 2).cpu().numpy()
    result[((target == 0) | torch.isneginf(own_B1[:, 0]) | torch.isnan(own_B1[:, 0])).cpu().numpy()] = np.nan
    return result
