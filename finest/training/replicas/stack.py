"""Trains a stack of variants as one.

Shapes: R replicas, U distinct seeds, W slots, B slots of a batch, T positions, P = B x T, D hidden units, I items, S
dropout sites.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finest.data.dataset import Ints
from finest.models.recommender import Recommender
from finest.training.device import precision
from finest.training.diary import HIT_TARGETS, hit_share
from finest.training.loop import Settings, Trainer
from finest.training.losses.base import SampledLoss
from finest.training.objective import Penalty, stacked_loss, terms_of
from finest.training.randomness import Words, dropout_masks, extra_masks, negatives, slot_order
from finest.training.sampled import sampled_loss
from finest.training.windows import WindowPlan, Windows

EXTRAS = 8
"""Number of windows in a chunk of extra ones. The chunk's shape is fixed, so that it tells a replica nothing about how
many another one has."""


def stack(models: Sequence[Recommender]) -> Recommender:
    """Returns one model that computes what `models` do, `[R, ...]` from `[R, ...]`.

    Every weight and persistent buffer gets the axis of replicas; other buffers are constants and stay.
    """
    stacked = copy.deepcopy(models[0])
    states = [model.state_dict() for model in models]
    for name, tensor in stacked.state_dict(keep_vars=True).items():
        tensor.data = torch.stack([state[name] for state in states])
    return stacked


def unstack(stacked: Recommender, models: Iterable[Recommender]) -> None:
    """Copies each replica's state into its own model."""
    state = stacked.state_dict()
    for replica, model in enumerate(models):
        for name, tensor in model.state_dict().items():
            tensor.copy_(state[name][replica])


@dataclass(frozen=True)
class Windowed:
    """Holds the windows of all replicas on the device, each array `[R, windows, T]`."""

    inputs: Tensor
    targets: Tensor
    ids: Tensor

    @classmethod
    def of(cls, parts: Sequence[tuple[npt.NDArray[np.int64], ...]], device: torch.device) -> "Windowed":
        """Puts each replica's arrays side by side, on the device."""
        arrays = (np.stack(arrays).astype(np.int32) for arrays in zip(*parts, strict=True))
        return cls(*(torch.from_numpy(array).to(device, non_blocking=True) for array in arrays))

    def take(self, window_RB: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the inputs `[R, B, T]`, targets and ids `[R, B x T]` of those windows' first positions."""
        replica = torch.arange(len(window_RB), device=window_RB.device)[:, None]
        inputs, targets, ids = (
            array[replica, window_RB, :width].long() for array in (self.inputs, self.targets, self.ids)
        )
        return inputs, targets.flatten(1), ids.flatten(1)


class Stack(Trainer):
    """Trains several variants of one architecture as one; `finish` puts their weights into their models.

    Variants of one seed see the same order, masks and mates.
    """

    def __init__(
        self,
        variants: Sequence[str],
        models: Sequence[Recommender],
        window_plan: WindowPlan,
        windows: Sequence[Callable[[int], Windows]],
        seeds: Sequence[int],
        settings: Settings,
        penalty: Penalty | None,
    ):
        """Stacks the models.

        Args:
            variants: [R] names of the variants.
            models: [R] their models.
            window_plan: Slots of the clean windows.
            windows: [R] gives each variant's windows of an epoch.
            seeds: [R] their seeds.
            settings: How they are trained.
            penalty: What is added to the loss.
        """
        self.variants, self.models, self.window_plan, self.windows, self.settings, self.penalty = (
            variants,
            models,
            window_plan,
            windows,
            settings,
            penalty,
        )
        self.terms = tuple(terms_of(penalty))
        self.model = stack(models)
        self.weights, self.buffers = self.model.trained(), self.model.untrained()
        self.seeds = sorted(set(seeds))
        self.seed_R = [self.seeds.index(seed) for seed in seeds]
        width_Q, count_Q = window_plan.shapes(settings.batch_size)
        self.widths, self.ends = width_Q.tolist(), np.cumsum(count_Q).tolist()

    def load(self, epoch: int) -> None:
        """Makes the windows of an epoch, by its number from 0; see the base class."""
        windows_R = [windows(epoch) for windows in self.windows]
        orders, batches = zip(
            *(slot_order(self.window_plan, self.settings.batch_size, seed, epoch) for seed in self.seeds), strict=True
        )
        W, device = self.window_plan.count, self.device
        self.epoch = epoch
        self.of_slots = Windowed.of([(one.inputs[:W], one.targets[:W], one.ids[:W]) for one in windows_R], device)
        self.order_RW = torch.stack([orders[seed] for seed in self.seed_R]).to(device)
        batch_RW = [batches[seed] for seed in self.seed_R]
        self._load_extras(windows_R, batch_RW)
        self._count(windows_R, batch_RW)

    def _load_extras(self, windows_R: Sequence[Windows], batch_RW: Sequence[Ints]) -> None:
        """Packs the extra windows by batch, in chunks; windows of code 0 fill up."""
        W, T, batches = self.window_plan.count, self.window_plan.length, len(self.ends)
        batch_RE = [batch_W[one.slot_of_extra] for batch_W, one in zip(batch_RW, windows_R, strict=True)]
        most = np.zeros(batches, np.int64)
        for batch_E in batch_RE:
            most = np.maximum(most, np.bincount(batch_E, minlength=batches))
        ends = np.cumsum(-(-most // EXTRAS) * EXTRAS)
        self.extras = [(int(end - size), int(end)) for end, size in zip(ends, np.diff(ends, prepend=0), strict=True)]
        parts = []
        for one, batch_E in zip(windows_R, batch_RE, strict=True):
            shape = (int(ends[-1]), T)
            inputs, targets, ids = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
            by_batch = np.argsort(batch_E, kind="stable")
            within = np.arange(len(batch_E)) - np.searchsorted(batch_E[by_batch], batch_E[by_batch])
            place = np.array([low for low, _ in self.extras], np.int64)[batch_E[by_batch]] + within
            inputs[place], targets[place], ids[place] = (
                one.inputs[W:][by_batch],
                one.targets[W:][by_batch],
                one.ids[W:][by_batch],
            )
            parts.append((inputs, targets, ids))
        self.of_extras = Windowed.of(parts, self.device)

    def _count(self, windows_R: Sequence[Windows], batch_RW: Sequence[Ints]) -> None:
        """Counts the targets of each batch `[batches, R]`, so that no step waits for the device."""
        rows = []
        for batch_W, one in zip(batch_RW, windows_R, strict=True):
            rows.append(np.bincount(np.r_[batch_W, batch_W[one.slot_of_extra]], weights=(one.targets > 0).sum(1)))
        self.counts = np.stack(rows, 1).astype(np.int64)
        self.count_NR = torch.from_numpy(self.counts).to(self.device, torch.float32, non_blocking=True)

    def step(self, number: int) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Adds up the replicas' gradients of a batch; see the base class."""
        width = self.widths[number]
        window_RB = self.order_RW[:, self.ends[number - 1] if number else 0 : self.ends[number]]
        parts = [(*self.of_slots.take(window_RB, width), self._masks(number, window_RB.shape[1], None))]
        for first in range(*self.extras[number], EXTRAS):
            window_RE = torch.arange(first, first + EXTRAS, device=self.device).expand(len(self.variants), -1)
            parts.append(
                (*self.of_extras.take(window_RE, width), self._masks(number, EXTRAS, first - self.extras[number][0]))
            )
        held_R = (
            sum((self.penalty.lists.held(ids_RP).sum(1) for _, _, ids_RP, _ in parts), torch.zeros(()))
            if self.penalty
            else None
        )
        total_RT = torch.zeros((len(self.variants), 1 + len(self.terms)), device=self.device)
        for inputs_RBT, targets_RP, ids_RP, masks in parts:
            with precision(self.device, self.settings.amp):
                hidden_RPD = self.model.encode(inputs_RBT, masks).flatten(1, 2)
            terms_RT = self._terms(number, hidden_RPD, targets_RP, ids_RP, held_R)
            terms_RT[:, 0].sum().backward()
            total_RT += terms_RT.detach()
        return total_RT, self.counts[number]

    def _terms(
        self, number: int, hidden_RPD: Tensor, target_RP: Tensor, ids_RP: Tensor, held_R: Tensor | None
    ) -> Tensor:
        """Returns loss and terms `[R, 1 + T]` of a part of a batch."""
        loss, model = self.settings.loss, self.model
        rest = target_RP, ids_RP, self.count_NR[number], self.penalty, held_R
        if not isinstance(loss, SampledLoss):
            return stacked_loss(self._scores(hidden_RPD), *rest)
        drawn = [
            negatives(loss.config.negatives, model.items, self._words(seed, number), self.device) for seed in self.seeds
        ]
        count_RP = torch.where(target_RP > 0, self.count_NR[number][:, None], torch.inf)
        with precision(self.device, self.settings.amp):
            value_R1 = sampled_loss(
                loss,
                hidden_RPD,
                model.embedding,
                model.bias,
                target_RP,
                torch.stack(drawn)[self.seed_R],
                count_RP,
            )[:, None]
        if not self.penalty:
            return value_R1
        terms_RT = stacked_loss(self._scores(hidden_RPD), *rest, cross_entropy=False)
        return torch.cat([value_R1 + terms_RT[:, :1], terms_RT[:, 1:]], 1)

    def _scores(self, hidden_RPD: Tensor) -> Tensor:
        with precision(self.device, self.settings.amp):
            return self.model.scores(hidden_RPD).float()

    def _words(self, seed: int, number: int) -> Words:
        """Returns the words that name a batch's random numbers."""
        return self.settings.stage, seed, self.epoch, number

    def _masks(self, number: int, windows: int, first: int | None) -> Tensor | None:
        """Draws masks `[S, R, windows, T, D]`, one draw a seed.

        They are those of the batch's slots, or of its extra windows from number `first` on.
        """
        settings = self.settings
        if not settings.dropout:
            return None
        shape = (self.model.sites, windows, self.widths[number], self.model.embedding.shape[-1])
        drawn = []
        for seed in self.seeds:
            words = self._words(seed, number)
            if first is None:
                drawn.append(dropout_masks(shape, 0, settings.dropout, words, self.device))
            else:
                drawn.append(extra_masks(shape, first, settings.dropout, words, self.device))
        if len(drawn) == 1:
            return drawn[0][:, None]
        return torch.stack(drawn, 1)[:, self.seed_R]

    @torch.no_grad()
    def hits(self, number: int) -> float:
        """Returns the share of hits among some targets of a batch that every replica has; see the base class."""
        width = self.widths[number]
        window_RB = self.order_RW[:, self.ends[number - 1] if number else 0 : self.ends[number]]
        inputs_RBT, targets_RP, _ = self.of_slots.take(window_RB, width)
        place_N = torch.nonzero((targets_RP > 0).all(0))[: HIT_TARGETS // len(self.variants) + 1, 0]
        with precision(self.device, self.settings.amp):
            hidden_RND = self.model.encode(inputs_RBT, None).flatten(1, 2).index_select(1, place_N)
            return hit_share(self.model.scores(hidden_RND), targets_RP[:, place_N])

    def clip(self, norm: float) -> None:
        """Scales each replica's gradient down to `norm`."""
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        norm_R = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        scale_R = (norm / (norm_R + 1e-6)).clamp_(max=1.0)
        for gradient in gradients:
            gradient.mul_(scale_R.view(-1, *[1] * (gradient.dim() - 1)))

    def finish(self) -> None:
        """Puts the trained weights into the variants' models."""
        unstack(self.model, self.models)
