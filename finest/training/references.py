"""Takes reference lists: what a reference model ranks on the clean history, for every training target.

They are stored in one pass, in memory or in a file that is mapped; or, where they would fill the disk, taken anew for
every batch.

Shapes: W windows, T positions, D hidden units, N targets, M of them with a list, B targets of a block, L items of a
list.
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
from finest.training.reference_lists import ReferenceLists, StoredLists
from finest.training.windows import Windows, fill, plan_windows

CHUNK = 64
"""Number of windows that a pass reads at a time."""
SCORES = 2**26
"""Number of a pass's scores that are held at once, 256 MiB in float32; where a step has more they are taken in blocks
of targets."""
DEVICE_BYTES = 2**32
"""Largest size of stored lists that are put on the training's device; larger ones stay where they are, and a batch's
are copied."""
MEMORY_BYTES = 2**30
"""Largest size of a variant's own lists that are kept in memory: as many as variants train at a time."""
DISK_SHARE = 0.5
"""Largest share of the free disk that lists which all variants share may take; larger ones are not written."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListArrays:
    """Holds reference lists as arrays, in memory or mapped from a file."""

    lists: npt.NDArray[np.int32]
    """[number of lists, L] columns of the score matrix (item code - 1), best first."""
    of_row: Ints
    """[largest row id + 1] number of a clean row's list; -1 where it has none."""

    def on(self, device: torch.device) -> StoredLists:
        """Returns the lists for a training on `device`, and there if they are small enough."""
        lists = torch.from_numpy(np.asarray(self.lists))
        near = device if self.lists.nbytes <= DEVICE_BYTES else lists.device
        return StoredLists(lists.to(near), torch.from_numpy(self.of_row).to(device))


@dataclass(frozen=True)
class ReferenceModel:
    """Holds a model that lists are taken of, and the windows that it reads.

    The windows' ids are the clean row ids of the targets that have a list.
    """

    model: Recommender
    windows: Windows
    rows: int
    """Largest clean row id + 1."""
    length: int
    """Items of a list, L."""
    to_ours: Ints | None
    """[J + 1] our code of each of its items, 0 where we lack it; None where the catalogues are one."""

    @property
    def bytes(self) -> int:
        """Returns the size of all lists, stored."""
        return 4 * self.length * int((self.windows.ids >= 0).sum())

    @clocked("references")
    def take(self, file: Path | None = None) -> ListArrays:
        """Takes all lists: in memory, or written to `file` (.npy) as they are taken, and mapped."""
        ids = self.windows.ids[self.windows.ids >= 0]
        of_row = np.full(self.rows, -1, np.int64)
        of_row[ids] = np.arange(len(ids))
        shape = (len(ids), self.length)
        if file is None:
            lists, done = np.empty(shape, np.int32), 0
            for part in self._parts():
                lists[done : done + len(part)] = part
                done += len(part)
            return ListArrays(lists, of_row)
        with file.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "<i4", "fortran_order": False, "shape": shape})
            for part in self._parts():
                stream.write(part.astype("<i4", copy=False).tobytes())
        return mapped(file, of_row)

    def recomputed(self) -> "RecomputedLists":
        """Returns lists that are taken anew for every batch. The model must stay as it is."""
        device = self.model.embedding.device
        place = np.full(self.rows, -1, np.int64)
        flat = self.windows.ids.ravel()
        place[flat[flat >= 0]] = np.flatnonzero(flat >= 0)
        return RecomputedLists(
            self, torch.from_numpy(self.windows.inputs).to(device), torch.from_numpy(place).to(device)
        )

    @torch.no_grad()
    def best(self, hidden_ND: Tensor, in_blocks: bool) -> Tensor:
        """Returns columns of our score matrix `[N, L]`, best first.

        Scores are taken in blocks of one size, the last one padded: a product may round by its shape, and a list must
        not depend on who shares its batch.
        """
        model, N = self.model, len(hidden_ND)
        block = block_of(model.items) if in_blocks else N
        best = torch.empty(N, self.length, dtype=torch.int64, device=hidden_ND.device)
        for first in range(0, N, max(block, 1)):
            hidden_BD = hidden_ND[first : first + block]
            count = len(hidden_BD)
            hidden_BD = torch.nn.functional.pad(hidden_BD, (0, 0, 0, block - count))
            scores_BI = model.scores(hidden_BD)[:count]
            if self.to_ours is not None:
                scores_BI[:, torch.from_numpy(self.to_ours[1:] == 0).to(scores_BI.device)] = -torch.inf
            best[first : first + count] = scores_BI.topk(self.length).indices
        if self.to_ours is None:
            return best
        return torch.from_numpy(self.to_ours).to(best.device)[best + 1] - 1

    @torch.no_grad()
    def _parts(self) -> Iterator[npt.NDArray[np.int32]]:
        device, (W, T) = self.model.embedding.device, self.windows.ids.shape
        in_blocks = CHUNK * T * self.model.items > SCORES
        for first in range(0, W, CHUNK):
            part = slice(first, first + CHUNK)
            place = torch.from_numpy(np.flatnonzero(self.windows.ids[part] >= 0)).to(device)
            hidden_WTD = self.model.states(torch.from_numpy(self.windows.inputs[part]).to(device))
            yield self.best(hidden_WTD.flatten(0, 1).index_select(0, place), in_blocks).cpu().numpy().astype(np.int32)


@dataclass(frozen=True)
class RecomputedLists(ReferenceLists):
    """Takes a batch's lists anew: those of `ReferenceModel.take`, for a pass of the reference model an epoch."""

    reference: ReferenceModel
    inputs_WT: Tensor
    place_of_row: Tensor
    """[clean rows] where a clean row's list is taken, of W x T places; -1 for nowhere."""

    @torch.no_grad()
    def lists_of(self, ids_N: Tensor) -> tuple[Tensor, Tensor]:
        """Returns which targets have a list, and the lists, computed now; see the base class."""
        T, model = self.inputs_WT.shape[1], self.reference.model
        place_N = self._place(ids_N)
        held_M = torch.nonzero(place_N >= 0)[:, 0]
        place_M = place_N[held_M]
        window_U, which_M = (place_M // T).unique(return_inverse=True)
        with torch.autocast(ids_N.device.type, enabled=False):
            hidden = []
            for first in range(0, len(window_U), CHUNK):
                inputs_UT = self.inputs_WT[window_U[first : first + CHUNK]]
                padded_UT = torch.cat([inputs_UT, inputs_UT.new_zeros(CHUNK - len(inputs_UT), *inputs_UT.shape[1:])])
                hidden.append(model.states(padded_UT).flatten(0, 1))
            hidden_MD = torch.cat([*hidden, model.embedding[:0]])[which_M * T + place_M % T]
            return held_M, self.reference.best(hidden_MD, in_blocks=True)

    def held(self, ids: Tensor) -> Tensor:
        """Returns whether each target has a list."""
        return self._place(ids) >= 0

    def to(self, device: torch.device | str) -> "RecomputedLists":
        """Returns these lists on another device, with a model of their own."""
        reference = replace(self.reference, model=copy.deepcopy(self.reference.model).to(device))
        return replace(
            self, reference=reference, inputs_WT=self.inputs_WT.to(device), place_of_row=self.place_of_row.to(device)
        )

    def _place(self, ids: Tensor) -> Tensor:
        return torch.where(ids >= 0, self.place_of_row[ids.clamp(min=0)], -1)


@dataclass(frozen=True)
class SharedLists:
    """Tells a worker process where the lists are that a group's variants share.

    They are in a file that is mapped, or are taken of the model.
    """

    model: Path
    """A saved model."""
    matched: bool
    """Whether it is of another catalogue, matched by item id."""
    length: int
    """Items of a list, L."""
    file: Path | None
    """The lists (.npy), beside `of_row`; None where they are taken anew."""

    def open(self, data: Dataset, device: torch.device) -> ReferenceLists:
        """Returns the lists."""
        if self.file:
            return mapped(self.file, np.load(_of_row(self.file))).on(device)
        return self.reference(data, device).recomputed()

    def reference(self, data: Dataset, device: torch.device) -> ReferenceModel:
        """Returns the model, with no windows where its catalogue shares fewer items than a list holds."""
        saved = load(self.model, str(device))
        return reference_model(
            saved.model,
            data.training_rows(),
            self.length,
            match(data.item_ids, saved.item_ids).forward if self.matched else None,
        )


def share(
    model: Path, matched: bool, data: Dataset, length: int, folder: Path, device: torch.device
) -> SharedLists | None:
    """Takes the saved model's lists for all variants: into a file where there is room, else anew for every batch.

    Args:
        model: Folder of the saved model.
        matched: Whether it is of another catalogue, matched by item id.
        data: The data set.
        length: Items of a list.
        folder: Folder of the file.
        device: Device to take them on.

    Returns:
        Where the lists are; None where the model's catalogue shares too few items with the data.
    """
    shared = SharedLists(model, matched, length, folder / "lists.npy")
    reference = shared.reference(data, device)
    if matched and reference.bytes == 0:
        return None
    free = shutil.disk_usage(folder).free
    if reference.bytes > DISK_SHARE * free:
        logger.warning(
            "reference lists of %.1f GB are taken anew for every batch: %s has %.1f GB free",
            reference.bytes / 1e9,
            folder,
            free / 1e9,
        )
        return replace(shared, file=None)
    assert shared.file
    np.save(_of_row(shared.file), reference.take(shared.file).of_row)
    logger.info("reference lists of %.3f GB are in %s", reference.bytes / 1e9, shared.file)
    return shared


def own(model: Recommender, rows: Rows, length: int) -> ReferenceLists:
    """Returns a model's own lists, as it is now, for a training of the model itself."""
    reference = reference_model(model, rows, length)
    if reference.bytes <= MEMORY_BYTES:
        return reference.take().on(model.embedding.device)
    logger.warning(
        "reference lists of %.1f GB are taken anew for every batch: they would not fit in memory", reference.bytes / 1e9
    )
    return reference_model(copy.deepcopy(model), rows, length).recomputed()


def mapped(file: Path, of_row: Ints) -> ListArrays:
    """Returns lists in a file, mapped (copy on write: torch takes no read-only memory)."""
    return ListArrays(np.load(file, mmap_mode="c"), of_row)


def block_of(items: int) -> int:
    """Returns the number of targets whose scores over a catalogue are taken at once."""
    return max(SCORES // items, 1)


def take(model: Recommender, rows: Rows, length: int, file: Path | None = None) -> ListArrays:
    """Takes lists of the model's top `length` items for the clean `rows`, a model of this data's own catalogue."""
    return reference_model(model, rows, length).take(file)


def reference_model(model: Recommender, rows: Rows, length: int, ours_to_theirs: Ints | None = None) -> ReferenceModel:
    """Makes ready to take lists of a model's top `length` items for the clean `rows`.

    For a model of another catalogue, lists hold items of both catalogues; the model reads histories without the items
    that it lacks. A target that follows such an item has no list, and none has where the catalogues share fewer than
    `length` items.

    Args:
        model: The model; of this data's own catalogue unless `ours_to_theirs` is given.
        rows: Clean training rows.
        length: Items of a list.
        ours_to_theirs: [I + 1] the model's code of each of our codes, 0 where it lacks the item.
    """
    windows, size, to_ours = fill(rows, plan_windows(rows, model.max_length), model.timed), int(rows.id.max()) + 1, None
    if ours_to_theirs is not None:
        windows = _without_unknown(windows, ours_to_theirs)
        to_ours = np.zeros(model.items + 1, np.int64)
        shared = np.flatnonzero(ours_to_theirs > 0)
        to_ours[ours_to_theirs[shared]] = shared
        if len(shared) < length:
            windows = Windows(windows.inputs[:0], windows.targets[:0], windows.ids[:0], windows.slot_of_extra[:0])
    return ReferenceModel(model, windows, size, length, to_ours)


def _of_row(file: Path) -> Path:
    return file.with_name("of_row.npy")


def _without_unknown(windows: Windows, ours_to_theirs: Ints) -> Windows:
    """Returns windows in the other model's codes, closed up over the items that it lacks.

    A target is asked for at its last known input.
    """
    times = windows.inputs[..., 1:] if windows.inputs.ndim > windows.ids.ndim else None
    inputs = ours_to_theirs[windows.inputs if times is None else windows.inputs[..., 0]]
    known = inputs > 0
    place = np.cumsum(known, 1) - 1  # of the last known input at or before each position
    if times is not None:
        inputs = np.concatenate([inputs[..., None], times], -1)
    packed, ids = np.zeros_like(inputs), np.full_like(windows.ids, -1)
    row, column = np.nonzero(known)
    packed[row, place[row, column]] = inputs[row, column]
    row, column = np.nonzero(
        (windows.ids >= 0) & known
    )  # a target behind an unknown input would ask the same place twice
    ids[row, place[row, column]] = windows.ids[row, column]
    return Windows(packed, (ids >= 0).astype(np.int64), ids, windows.slot_of_extra)
