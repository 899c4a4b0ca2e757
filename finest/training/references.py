"""Reference lists: what a reference model ranks on the clean history, for every training target, in one pass.

Shapes: W windows, T positions, D hidden units, N targets, K items whose order is kept.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from finest.data.dataset import Ints, Rows
from finest.models.recommender import Recommender
from finest.training.windows import Windows, fill, slots

CHUNK = 64
"""Windows of a pass's step."""


@dataclass(frozen=True)
class References:
    """`lists`: [R, 2K] int32 columns of the score matrix (item code - 1), best first; `of_row`: [largest row id + 1] number of a clean
    row's list, -1 where it has none."""

    lists: npt.NDArray[np.int32]
    of_row: Ints


def take(model: Recommender, rows: Rows, top: int) -> References:
    """Lists of the model's top 2 x `top` items for the clean `rows`, a model of this data's own catalogue."""
    return _lists(model, rows, fill(rows, slots(rows, model.length)), top, None)


def take_matched(model: Recommender, rows: Rows, top: int, ours_to_theirs: Ints) -> References:
    """The same from a model of another catalogue, like the champion's.

    `ours_to_theirs`: [I + 1] its code of each of our codes, 0 where it lacks the item. Lists hold items of both catalogues; the model
    reads histories without the items that it lacks. A target that follows such an item has no reference, and none has where the two
    catalogues share fewer than 2 x `top` items.
    """
    windows = _without_unknown(fill(rows, slots(rows, model.length)), ours_to_theirs)
    theirs_to_ours = np.zeros(model.items + 1, np.int64)
    shared = np.flatnonzero(ours_to_theirs > 0)
    theirs_to_ours[ours_to_theirs[shared]] = shared
    if len(shared) < 2 * top:
        return References(np.zeros((0, 2 * top), np.int32), np.full(rows.id.max() + 1, -1, np.int64))
    return _lists(model, rows, windows, top, theirs_to_ours)


def _without_unknown(windows: Windows, ours_to_theirs: Ints) -> Windows:
    """Windows in the other model's codes, closed up over the items it lacks. A target is asked for at its last known input."""
    inputs = ours_to_theirs[windows.inputs]
    known = inputs > 0
    place = np.cumsum(known, 1) - 1  # of the last known input at or before each position
    packed, ids = np.zeros_like(inputs), np.full_like(windows.ids, -1)
    row, column = np.nonzero(known)
    packed[row, place[row, column]] = inputs[row, column]
    row, column = np.nonzero((windows.ids >= 0) & known)  # a target behind an unknown input would ask the same place twice
    ids[row, place[row, column]] = windows.ids[row, column]
    return Windows(packed, (ids >= 0).astype(np.int64), ids, windows.home)


@torch.no_grad()
def _lists(model: Recommender, rows: Rows, windows: Windows, top: int, to_ours: Ints | None) -> References:
    device = model.embedding.device
    ids = windows.ids[windows.ids >= 0]
    of_row = np.full(rows.id.max() + 1, -1, np.int64)
    of_row[ids] = np.arange(len(ids))
    lists = np.empty((len(ids), 2 * top), np.int32)
    absent = None if to_ours is None else torch.from_numpy(to_ours[1:] == 0).to(device)
    done = 0
    for first in range(0, len(windows.inputs), CHUNK):
        part = slice(first, first + CHUNK)
        place = torch.from_numpy(np.flatnonzero(windows.ids[part] >= 0)).to(device)
        hidden_WTD = model.encode(torch.from_numpy(windows.inputs[part]).to(device), None)
        scores_NI = model.scores(hidden_WTD.flatten(0, 1).index_select(0, place))
        if absent is not None:
            scores_NI[:, absent] = -torch.inf
        best = scores_NI.topk(2 * top).indices.cpu().numpy()
        lists[done : done + len(best)] = best if to_ours is None else to_ours[best + 1] - 1
        done += len(best)
    return References(lists, of_row)
