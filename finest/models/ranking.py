"""Ranks items for histories: the one path that offline lists and the served model share."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finest.histories import Histories
from finest.memory.features import Memory
from finest.models.recommender import Recommender

Ints = npt.NDArray[np.int64]

CHUNK = 64
"""Number of histories scored at a time. Always this many, the last ones padded: a matrix product may round by its
shape, and a list that is served alone must equal the same list taken among thousands."""
COLUMNS = 2**14
"""Number of a history's scores compared at a time. Comparisons are counted as whole numbers, which for a million items
at once would take as much memory as the scores, and five times as long as in the cache."""

CACHED = 2**20
"""Number of scores that log-probabilities are added to at a time: new memory for those of a whole chunk would take
longer than the sums, where the catalogue is large."""


@torch.no_grad()
def scored(
    model: Recommender,
    histories: Callable[[slice], Histories],
    number: int,
    exclude_seen: bool,
    memory: Memory | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """Yields scores `[up to CHUNK, I]` of the catalogue, chunk by chunk, with the slice of histories that they are of.

    Args:
        model: The model.
        histories: Gives the whole histories of a slice, codes in the model's own catalogue.
        number: Number of histories.
        exclude_seen: Whether a list must leave out its history's items; these are scored -inf.
        memory: What is counted, whose scores are added to the model's log-probabilities; None for the model's own
            scores.
    """
    device = model.embedding.device
    for first in range(0, number, CHUNK):
        part = slice(first, min(first + CHUNK, number))
        chunk = histories(part)
        windows = chunk.windows(model.max_length, model.timed)
        padded = np.zeros((CHUNK, *windows.shape[1:]), np.int64)
        padded[: len(chunk)] = windows
        if memory is None:
            scores_BI = _of_model(model, padded)[: len(chunk)]
        else:
            scores_BI = _of_memory(memory, chunk, device)
            if memory.network:
                network_BI = _of_model(model, padded)[: len(chunk)]
                rows = max(1, CACHED // scores_BI.shape[1])
                for part_BI, logits_BI in zip(scores_BI.split(rows), network_BI.split(rows), strict=True):
                    part_BI += memory.network * logits_BI.log_softmax(1)
        if exclude_seen:
            scores_BI[torch.from_numpy(chunk.row).to(device), torch.from_numpy(chunk.item - 1).to(device)] = -torch.inf
        yield part, scores_BI


def _of_model(model: Recommender, padded_BT: Ints) -> Tensor:
    return model.scores(model.summary(torch.from_numpy(padded_BT).to(model.embedding.device))).float()


def _of_memory(memory: Memory, histories: Histories, device: torch.device) -> Tensor:
    """Returns a memory's scores `[B, I]`. A place is added to once at a time: sums have one order on any device."""
    scores_BI = torch.from_numpy(memory.everywhere).to(device).repeat(len(histories), 1)
    for pairs, values in memory.sparse(histories):
        place = torch.from_numpy(pairs.history).to(device), torch.from_numpy(pairs.item - 1).to(device)
        scores_BI[place] += torch.from_numpy(values).to(device)
    return scores_BI


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
