"""Reference lists: what a reference model ranks on the clean history, for every training target.

Stored in one pass, in memory or in a file that is mapped; or, where they would fill the disk, taken anew for every batch.

Shapes: W windows, T positions, D hidden units, N targets, M of them with a list, B targets of a block, K items whose order is kept.
"""

import copy
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finest.data.dataset import Dataset, Ints, Rows
from finest.models.recommender import Recommender
from finest.models.saved import load
from finest.profiling.profiler import clocked
from finest.ranklists.match import match
from finest.training.objective import Hinge, RankHinge
from finest.training.windows import Windows, fill, slots

CHUNK = 64
"""Windows of a pass's step."""
SCORES = 2**26
"""Scores of a pass's step that are held at once, 256 MiB in float32; where a step has more they are taken in blocks of targets."""
DEVICE_BYTES = 2**32
"""Stored lists up to this size are put on the training's device; larger ones stay where they are, and a batch's are copied."""
MEMORY_BYTES = 2**30
"""Lists of a variant's own base model up to this size are kept in memory: as many as variants train at a time."""
DISK_SHARE = 0.5
"""Lists that all variants share are written to a file where they take at most this share of what is free."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class References:
    """`lists`: [R, 2K] int32 columns of the score matrix (item code - 1), best first; `of_row`: [largest row id + 1] number of a clean
    row's list, -1 where it has none."""

    lists: npt.NDArray[np.int32]
    of_row: Ints

    def hinge(self, alpha: float, margin: float, device: torch.device) -> RankHinge:
        """The regulariser that keeps these lists."""
        lists = torch.from_numpy(np.asarray(self.lists))
        near = device if self.lists.nbytes <= DEVICE_BYTES else lists.device
        return RankHinge(lists.to(near), torch.from_numpy(self.of_row).to(device), alpha, margin)


@dataclass(frozen=True)
class Asked:
    """A reference model and what it is asked: its windows, with the clean row id of every target that has a list."""

    model: Recommender
    windows: Windows
    rows: int
    """Largest clean row id + 1."""
    top_k: int
    """K"""
    to_ours: Ints | None
    """[J + 1] our code of each of its items, 0 where we lack it; None where the catalogues are one."""

    @property
    def bytes(self) -> int:
        """Of all lists, stored."""
        return 4 * 2 * self.top_k * int((self.windows.ids >= 0).sum())

    @clocked("references")
    def take(self, file: Path | None = None) -> References:
        """All lists: in memory, or written to `file` (.npy) as they are taken, and mapped."""
        ids = self.windows.ids[self.windows.ids >= 0]
        of_row = np.full(self.rows, -1, np.int64)
        of_row[ids] = np.arange(len(ids))
        shape = (len(ids), 2 * self.top_k)
        if file is None:
            lists, done = np.empty(shape, np.int32), 0
            for part in self._parts():
                lists[done : done + len(part)] = part
                done += len(part)
            return References(lists, of_row)
        with file.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "<i4", "fortran_order": False, "shape": shape})
            for part in self._parts():
                stream.write(part.astype("<i4", copy=False).tobytes())
        return mapped(file, of_row)

    def hinge(self, alpha: float, margin: float) -> "RecomputedHinge":
        """The regulariser that takes a batch's lists anew. The model must stay as it is."""
        device = self.model.embedding.device
        place = np.full(self.rows, -1, np.int64)
        flat = self.windows.ids.ravel()
        place[flat[flat >= 0]] = np.flatnonzero(flat >= 0)
        return RecomputedHinge(
            self, torch.from_numpy(self.windows.inputs).to(device), torch.from_numpy(place).to(device), alpha, margin
        )

    @torch.no_grad()
    def best(self, hidden_ND: Tensor, in_blocks: bool) -> Tensor:
        """Columns of our score matrix `[N, 2K]`, best first.

        In blocks of one size, the last one padded: a product may round by its shape, and a list must not depend on who shares its batch.
        """
        model, N = self.model, len(hidden_ND)
        block = block_of(model.items) if in_blocks else N
        best = torch.empty(N, 2 * self.top_k, dtype=torch.int64, device=hidden_ND.device)
        for first in range(0, N, max(block, 1)):
            hidden_BD = hidden_ND[first : first + block]
            count = len(hidden_BD)
            hidden_BD = torch.nn.functional.pad(hidden_BD, (0, 0, 0, block - count))
            scores_BI = model.scores(hidden_BD)[:count]
            if self.to_ours is not None:
                scores_BI[:, torch.from_numpy(self.to_ours[1:] == 0).to(scores_BI.device)] = -torch.inf
            best[first : first + count] = scores_BI.topk(2 * self.top_k).indices
        if self.to_ours is None:
            return best
        return torch.from_numpy(self.to_ours).to(best.device)[best + 1] - 1

    @torch.no_grad()
    def _parts(self) -> Iterator[npt.NDArray[np.int32]]:
        device, (W, T) = self.model.embedding.device, self.windows.inputs.shape
        in_blocks = CHUNK * T * self.model.items > SCORES
        for first in range(0, W, CHUNK):
            part = slice(first, first + CHUNK)
            place = torch.from_numpy(np.flatnonzero(self.windows.ids[part] >= 0)).to(device)
            hidden_WTD = self.model.encode(torch.from_numpy(self.windows.inputs[part]).to(device), None)
            yield self.best(hidden_WTD.flatten(0, 1).index_select(0, place), in_blocks).cpu().numpy().astype(np.int32)


@dataclass(frozen=True)
class RecomputedHinge(Hinge):
    """The regulariser with lists that are taken anew for every batch: those of `Asked.take`, for a pass of the reference model an epoch."""

    asked: Asked
    inputs_WT: Tensor
    place_of_row: Tensor
    """[clean rows] where a clean row's list is asked for, of W x T places; -1 for nowhere."""
    alpha: float
    margin: float

    @torch.no_grad()
    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """As in `objective.Hinge`."""
        T, model = self.inputs_WT.shape[1], self.asked.model
        place_N = self._place(ids_N)
        held_M = torch.nonzero(place_N >= 0)[:, 0]
        place_M = place_N[held_M]
        window_U, which_M = (place_M // T).unique(return_inverse=True)
        with torch.autocast(ids_N.device.type, enabled=False):
            hidden = []
            for first in range(0, len(window_U), CHUNK):
                inputs_UT = self.inputs_WT[window_U[first : first + CHUNK]]
                hidden.append(
                    model.encode(torch.nn.functional.pad(inputs_UT, (0, 0, 0, CHUNK - len(inputs_UT))), None).flatten(
                        0, 1
                    )
                )
            hidden_MD = torch.cat([*hidden, model.embedding[:0]])[which_M * T + place_M % T]
            return held_M, self.asked.best(hidden_MD, in_blocks=True)

    def held(self, ids: Tensor) -> Tensor:
        """As in `objective.Hinge`."""
        return self._place(ids) >= 0

    def to(self, device: torch.device | str) -> "RecomputedHinge":
        """As in `objective.Hinge`; with a model of its own."""
        asked = replace(self.asked, model=copy.deepcopy(self.asked.model).to(device))
        return replace(
            self, asked=asked, inputs_WT=self.inputs_WT.to(device), place_of_row=self.place_of_row.to(device)
        )

    def _place(self, ids: Tensor) -> Tensor:
        return torch.where(ids >= 0, self.place_of_row[ids.clamp(min=0)], -1)


@dataclass(frozen=True)
class Kept:
    """Reference lists that a group's variants share, as a worker process opens them: a file to map, or the model to ask again."""

    model: Path
    """A saved model."""
    matched: bool
    """Whether it is of another catalogue."""
    top_k: int
    file: Path | None
    """The lists (.npy), beside `of_row`; None where they are taken anew."""

    def hinge(self, data: Dataset, alpha: float, margin: float, device: torch.device) -> Hinge:
        """The regulariser."""
        if self.file:
            return mapped(self.file, np.load(_of_row(self.file))).hinge(alpha, margin, device)
        return self.ask(data, device).hinge(alpha, margin)

    def ask(self, data: Dataset, device: torch.device) -> Asked:
        """The model and what it is asked; nothing where it is of a catalogue that shares fewer than 2 x `top_k` items."""
        saved = load(self.model, str(device))
        return ask(
            saved.model,
            data.training_rows(),
            self.top_k,
            match(data.item_ids, saved.item_ids).forward if self.matched else None,
        )


def share(model: Path, matched: bool, data: Dataset, top_k: int, folder: Path, device: torch.device) -> Kept | None:
    """The saved model's lists for all variants: in a file in `folder` where there is room, else to be taken anew for every batch.

    None where the model's catalogue shares too few items with the data.
    """
    kept = Kept(model, matched, top_k, folder / "lists.npy")
    asked = kept.ask(data, device)
    if matched and asked.bytes == 0:
        return None
    free = shutil.disk_usage(folder).free
    if asked.bytes > DISK_SHARE * free:
        log.warning(
            "reference lists of %.1f GB are taken anew for every batch: %s has %.1f GB free",
            asked.bytes / 1e9,
            folder,
            free / 1e9,
        )
        return Kept(model, matched, top_k, None)
    assert kept.file
    np.save(_of_row(kept.file), asked.take(kept.file).of_row)
    log.info("reference lists of %.3f GB are in %s", asked.bytes / 1e9, kept.file)
    return kept


def own(model: Recommender, rows: Rows, top_k: int, alpha: float, margin: float) -> Hinge:
    """The regulariser that keeps a model's own lists while the model itself is trained on."""
    asked = ask(model, rows, top_k)
    if asked.bytes <= MEMORY_BYTES:
        return asked.take().hinge(alpha, margin, model.embedding.device)
    log.warning(
        "reference lists of %.1f GB are taken anew for every batch: they would not fit in memory", asked.bytes / 1e9
    )
    return ask(copy.deepcopy(model), rows, top_k).hinge(alpha, margin)


def mapped(file: Path, of_row: Ints) -> References:
    """Lists in a file, mapped (copy on write: torch takes no read-only memory)."""
    return References(np.load(file, mmap_mode="c"), of_row)


def block_of(items: int) -> int:
    """Targets whose scores over a catalogue are taken at once."""
    return max(SCORES // items, 1)


def take(model: Recommender, rows: Rows, top_k: int, file: Path | None = None) -> References:
    """Lists of the model's top 2 x `top_k` items for the clean `rows`, a model of this data's own catalogue."""
    return ask(model, rows, top_k).take(file)


def ask(model: Recommender, rows: Rows, top_k: int, ours_to_theirs: Ints | None = None) -> Asked:
    """What to ask a model for lists of its top 2 x `top_k` items for the clean `rows`.

    `ours_to_theirs`, for a model of another catalogue: [I + 1] its code of each of our codes, 0 where it lacks the item. Lists hold items
    of both catalogues; the model reads histories without the items that it lacks. A target that follows such an item has no reference,
    and none has where the two catalogues share fewer than 2 x `top_k` items.
    """
    windows, size, to_ours = fill(rows, slots(rows, model.max_length)), int(rows.id.max()) + 1, None
    if ours_to_theirs is not None:
        windows = _without_unknown(windows, ours_to_theirs)
        to_ours = np.zeros(model.items + 1, np.int64)
        shared = np.flatnonzero(ours_to_theirs > 0)
        to_ours[ours_to_theirs[shared]] = shared
        if len(shared) < 2 * top_k:
            windows = Windows(windows.inputs[:0], windows.targets[:0], windows.ids[:0], windows.home[:0])
    return Asked(model, windows, size, top_k, to_ours)


def _of_row(file: Path) -> Path:
    return file.with_name("of_row.npy")


def _without_unknown(windows: Windows, ours_to_theirs: Ints) -> Windows:
    """Windows in the other model's codes, closed up over the items it lacks. A target is asked for at its last known input."""
    inputs = ours_to_theirs[windows.inputs]
    known = inputs > 0
    place = np.cumsum(known, 1) - 1  # of the last known input at or before each position
    packed, ids = np.zeros_like(inputs), np.full_like(windows.ids, -1)
    row, column = np.nonzero(known)
    packed[row, place[row, column]] = inputs[row, column]
    row, column = np.nonzero(
        (windows.ids >= 0) & known
    )  # a target behind an unknown input would ask the same place twice
    ids[row, place[row, column]] = windows.ids[row, column]
    return Windows(packed, (ids >= 0).astype(np.int64), ids, windows.home)
