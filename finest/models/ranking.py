"""Ranks items for histories: the one path that offline lists and the served model share."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finest.histories import Histories
from finest.memory.featured import distinct
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
"""Number of scores that become log-probabilities at a time: new memory for those of a whole chunk would take longer
than the sums, where the catalogue is large."""


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
            logits_BI = _of_model(model, padded)[: len(chunk)] if memory.network else None
            scores_BI = _with_memory(memory, chunk, logits_BI, device)
        if exclude_seen:
            scores_BI[torch.from_numpy(chunk.row).to(device), torch.from_numpy(chunk.item - 1).to(device)] = -torch.inf
        yield part, scores_BI


def _of_model(model: Recommender, padded_BT: Ints) -> Tensor:
    summary_BD = model.summary(torch.from_numpy(padded_BT).to(model.embedding.device))
    return model.scores(summary_BD).float().contiguous()


def _with_memory(memory: Memory, histories: Histories, logits_BI: Tensor | None, device: torch.device) -> Tensor:
    """Returns what is counted `[B, I]`, plus the network's log-probabilities where there is one, in its logits' place.

    A place gets what is counted first and the network last, once each: sums have one order on any device.
    """
    everywhere_I = torch.from_numpy(memory.everywhere).to(device)
    items = len(everywhere_I)
    places, sums = _counted(memory, histories)
    place, counted = (torch.from_numpy(one).to(device) for one in (places, sums))
    if logits_BI is None:
        scores_BI = everywhere_I.repeat(len(histories), 1)
        scores_BI.view(-1)[place] = counted
        return scores_BI
    rows = max(1, CACHED // items)
    starts = np.arange(0, len(histories) + rows, rows) * items
    bounds = np.searchsorted(places, starts).tolist()
    for part_BI, start, (first, last) in zip(
        logits_BI.split(rows), starts[:-1].tolist(), pairwise(bounds), strict=True
    ):
        torch.mul(part_BI.log_softmax(1), memory.network, out=part_BI)
        own, flat = place[first:last] - start, part_BI.view(-1)
        both = counted[first:last] + flat[own]
        part_BI += everywhere_I
        flat[own] = both
    return logits_BI


def _counted(memory: Memory, histories: Histories) -> tuple[Ints, npt.NDArray[np.float32]]:
    """Returns the places in `[B, I]`, in order, of pairs that have counts of their own, and the sum of all counts."""
    items, parts = len(memory.everywhere), memory.sparse(histories)
    places = [pairs.flat(items) for pairs, _ in parts]
    place = distinct(np.concatenate([np.empty(0, np.int64), *places]))
    counted = memory.everywhere[place % items]
    for own, (_, values) in zip(places, parts, strict=True):
        counted[np.searchsorted(place, own)] += values
    return place, counted


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
