"""How a peer's model is trained and asked for lists: this runs in the peer's environment, and needs numpy and torch.

All peers get the same training rows and histories, and give ranks and lists that are taken by the code below, so that
they differ in their models alone. The number of epochs is found on a cut first (`--choose`: the last training row of
each user is held out, NDCG@10 after every epoch), and then a model is trained for as many epochs on all rows.

Shapes: N training rows, M histories, I items, B histories of a batch, T positions of a window, D places of a list.
"""

import argparse
import json
import platform
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Ints = npt.NDArray[np.int64]
Score = Callable[[Tensor], Tensor]
"""Returns scores [B, I] of the items of codes 1 to I for windows of codes [B, T], which are padded before with 0."""

BATCH = 256
"""Number of histories scored at a time."""
VALIDATED = 2000
"""Largest number of users that choose the number of epochs."""


@dataclass(frozen=True)
class Rows:
    """Holds training rows sorted by user, then by time. Shapes [N]."""

    user: Ints
    item: Ints
    """Codes from 1."""
    items: int
    """Number of items of the catalogue, I."""


@dataclass(frozen=True)
class Asked:
    """Holds M histories to rank items for."""

    item: Ints
    """Codes of all histories, one behind the other, oldest first."""
    start: Ints
    """Where each history begins, and the end of the last one [M + 1]."""
    target: Ints
    """Code of what comes next [M]; 0 where it is outside the catalogue."""

    def windows(self, part: slice, length: int) -> Tensor:
        """Returns the last items of some of the histories [B, T], padded before with 0."""
        start, end = self.start[:-1][part], self.start[1:][part]
        place = end[:, None] - np.arange(length, 0, -1)
        inside = place >= start[:, None]
        return torch.from_numpy(np.where(inside, self.item[np.where(inside, place, 0)], 0))

    def seen(self, part: slice) -> tuple[Tensor, Tensor]:
        """Returns the history, counted from the first of the part, and the column of everything in some histories."""
        bounds = self.start[part.start : part.stop + 1]
        row = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        return torch.from_numpy(row), torch.from_numpy(self.item[bounds[0] : bounds[-1]] - 1)


class Peer(Protocol):
    """Trains a peer's model."""

    packages: tuple[str, ...]
    """Names of the packages whose versions are told."""
    settings: dict[str, Any]
    """What the model and its training were given, beside the peer's defaults."""
    length: int
    """Positions of the windows to score, T."""

    def __init__(self, length: int):
        """Takes the length of the windows that the model is to read, where that can be chosen."""

    def train(self, rows: Rows, seed: int, after_epoch: Callable[[Score], bool]) -> None:
        """Trains until `after_epoch`, which is called after every epoch, returns True."""


@dataclass
class Watch:
    """Measures a training without what is done after its epochs, and stops it."""

    stop: Callable[[Score, int], bool]
    epochs: int = 0
    score: Score | None = None
    cpu: float = 0.0
    wall: float = 0.0

    def __enter__(self) -> "Watch":
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None: ...

    def after_epoch(self, score: Score) -> bool:
        """Adds up the seconds of the epoch; returns whether it was the last one."""
        self.cpu += time.process_time() - self._cpu
        self.wall += time.perf_counter() - self._wall
        self.epochs, self.score = self.epochs + 1, score
        last = self.stop(score, self.epochs)
        print(json.dumps({"epoch": self.epochs, "cpu_s": round(self.cpu, 1)}), flush=True)
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return last


class Patience:
    """Stops a training after so many epochs in a row without a better NDCG@10."""

    def __init__(self, asked: Asked, length: int, exclude_seen: bool, patience: int, most: int):
        """Validates on `asked`, for no more than `most` epochs."""
        self.asked, self.length, self.exclude_seen = asked, length, exclude_seen
        self.patience, self.most, self.curve = patience, most, list[float]()

    def __call__(self, score: Score, epochs: int) -> bool:
        """Validates; returns whether this was the last epoch."""
        ranks = np.concatenate([rank for _, _, rank in ranked(score, self.asked, self.length, self.exclude_seen, 1)])
        self.curve.append(float(np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0).mean()))
        return epochs >= self.most or epochs - self.best >= self.patience

    @property
    def best(self) -> int:
        """Returns the number of the best epoch, from 1."""
        return int(np.argmax(self.curve)) + 1


@torch.no_grad()
def ranked(
    score: Score, asked: Asked, length: int, exclude_seen: bool, depth: int
) -> Iterator[tuple[Ints, npt.NDArray[np.float32], npt.NDArray[np.float64]]]:
    """Yields lists [B, D], their scores and the targets' ranks [B], batch by batch: as `finest.models.ranking` takes.

    A rank is the mean rank under ties, from 1; NaN where the target is not in the catalogue or left out.
    """
    number = len(asked.target)
    for first in range(0, number, BATCH):
        part = slice(first, min(first + BATCH, number))
        scores_BI = score(asked.windows(part, length)).float().cpu()
        if exclude_seen:
            scores_BI[asked.seen(part)] = -torch.inf
        values, column = scores_BI.topk(min(depth, scores_BI.shape[1]))
        items = np.full((len(scores_BI), depth), -1, np.int64)
        best = np.full(items.shape, np.nan, np.float32)
        items[:, : column.shape[1]], best[:, : column.shape[1]] = column.numpy() + 1, values.numpy()
        items[np.isneginf(best)], best[np.isneginf(best)] = -1, np.nan
        target = torch.from_numpy(asked.target[part])
        own = scores_BI.gather(1, (target - 1).clamp_(min=0)[:, None])
        better, equal = (scores_BI > own).sum(1), (scores_BI == own).sum(1)
        rank = (better.double() + (equal.double() + 1) / 2).numpy()
        rank[((target == 0) | torch.isneginf(own[:, 0])).numpy()] = np.nan
        yield items, best, rank


def cut(rows: Rows) -> tuple[Rows, Asked]:
    """Returns the rows without each user's last one, where that leaves any, and these last ones to be ranked."""
    last = np.r_[rows.user[1:] != rows.user[:-1], True]
    alone = np.r_[True, rows.user[1:] != rows.user[:-1]] & last
    held_out = np.flatnonzero(last & ~alone)
    if len(held_out) > VALIDATED:
        held_out = np.sort(np.random.default_rng(0).choice(held_out, VALIDATED, replace=False))
    first = np.searchsorted(rows.user, rows.user[held_out])
    history = np.concatenate([rows.item[begin:end] for begin, end in zip(first, held_out, strict=True)])
    start = np.r_[0, np.cumsum(held_out - first)]
    kept = ~last | alone
    return Rows(rows.user[kept], rows.item[kept], rows.items), Asked(history, start, rows.item[held_out])


def main(kind: type[Peer]) -> None:
    """Runs a peer's command."""
    words = argparse.ArgumentParser()
    words.add_argument("task", type=Path, help="an .npz of rows and histories")
    words.add_argument("answer", type=Path, help="gets lists and ranks (.npz), with what it took beside it (.json)")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--length", type=int, default=50, help="items of a history that a model reads")
    until = words.add_mutually_exclusive_group()  # on all rows; without it, the number of epochs is chosen on a cut
    until.add_argument("--epochs", type=int)
    until.add_argument("--seconds", type=float, help="CPU seconds, to the end of the epoch in which they are over")
    words.add_argument("--patience", type=int, default=20)
    words.add_argument("--most", type=int, default=300, help="epochs at most, where their number is chosen")
    given = words.parse_args()
    peer = kind(given.length)
    given.task, given.answer = given.task.resolve(), given.answer.resolve()
    with np.load(given.task) as task:
        rows = Rows(task["user"], task["row_item"], int(task["items"]))
        asked = Asked(task["item"], task["start"], task["target"])
        exclude_seen, depth = bool(task["exclude_seen"]), int(task["depth"])
    torch.set_num_threads(1)
    random.seed(given.seed)
    np.random.seed(given.seed)
    torch.manual_seed(given.seed)
    told: dict[str, Any] = {
        "settings": peer.settings,
        "versions": {name: version(name) for name in (*peer.packages, "torch")},
        "python": platform.python_version(),
    }
    if given.epochs is None and given.seconds is None:
        rows, validating = cut(rows)
        chosen = Patience(validating, peer.length, exclude_seen, given.patience, given.most)
        with Watch(chosen) as watch:
            peer.train(rows, given.seed, watch.after_epoch)
        told |= {"epochs": chosen.best, "curve": chosen.curve}
    else:
        with Watch(lambda _, epochs: epochs >= given.epochs if given.epochs else watch.cpu >= given.seconds) as watch:
            peer.train(rows, given.seed, watch.after_epoch)
        assert watch.score
        parts = list(ranked(watch.score, asked, peer.length, exclude_seen, depth))
        items, scores, ranks = (np.concatenate(column) for column in zip(*parts, strict=True))
        np.savez(given.answer, items=items, scores=scores, target_rank=ranks)
        told |= {"epochs": watch.epochs}
    told |= {"cpu_s": watch.cpu, "wall_s": watch.wall}
    given.answer.with_suffix(".json").write_text(json.dumps(told))
