"""Trains one variant alone: on the CPU in a process of its own, beside others.

Shapes: B windows of a batch, T positions, P = B x T, N targets of a batch.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed

from finest.models.recommender import Recommender, Task
from finest.training.chunked import catalogue_loss, pays
from finest.training.device import precision
from finest.training.diary import HIT_TARGETS, hit_share
from finest.training.loop import Settings, Trainer
from finest.training.losses.base import SampledLoss
from finest.training.objective import Penalty, terms_of
from finest.training.randomness import Batch, Words, batches, dropout_masks, negatives, uniforms
from finest.training.sampled import sampled_loss
from finest.training.windows import WindowPlan, Windows


@dataclass(frozen=True)
class Share:
    """Describes the part of every batch that a process takes."""

    rank: int
    world: int

    def of(self, x: Tensor, axis: int = 0) -> Tensor:
        """Returns every `world`-th element along an axis, from number `rank` on."""
        return x[(slice(None),) * axis + (slice(self.rank, None, self.world),)]

    def add_up(self, tensors: list[Tensor]) -> None:
        """Replaces each tensor by its sum over the processes, in one exchange."""
        flat = torch.cat([tensor.flatten().float() for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))


@dataclass(frozen=True)
class Resident:
    """Holds windows as tensors on the training's device, and the epoch's batches of them."""

    inputs: Tensor
    targets: Tensor
    ids: Tensor
    batches: list[Batch]

    @classmethod
    def of(cls, windows: Windows, dealt: list[Batch], device: torch.device) -> "Resident":
        """Puts windows and batches on the device."""
        inputs, targets, ids = (torch.from_numpy(x).to(device) for x in (windows.inputs, windows.targets, windows.ids))
        return cls(inputs, targets, ids, [batch._replace(window_B=batch.window_B.to(device)) for batch in dealt])

    def take(self, window_B: Tensor, width: int) -> Task:
        """Returns the first positions of those windows, each with the item that comes next as its target."""
        return Task(*(array[:, :width].index_select(0, window_B) for array in (self.inputs, self.targets, self.ids)))


class Single(Trainer):
    """Trains one variant's model."""

    data: Resident

    def __init__(
        self,
        variant: str,
        model: Recommender,
        window_plan: WindowPlan,
        windows: Callable[[int], Windows],
        settings: Settings,
        penalty: Penalty | None,
        share: Share | None = None,
    ):
        """Makes the trainer.

        Args:
            variant: Name of the variant.
            model: Its model, trained in place.
            window_plan: Slots of the clean windows.
            windows: Gives the variant's windows of an epoch.
            settings: How it is trained.
            penalty: What is added to the loss.
            share: This process's part of every batch, where other processes take the rest.
        """
        self.variants = [variant]
        self.model, self.window_plan, self.windows, self.settings, self.penalty = (
            model,
            window_plan,
            windows,
            settings,
            penalty,
        )
        self.share, self.terms = share, tuple(terms_of(penalty))
        self.leads = share is None or share.rank == 0
        # By what a batch can hold at most, so that variants whose batches differ by an edit are computed alike.
        self.in_chunks = pays(settings.batch_size * window_plan.length, model.items, model.embedding.device)
        self.weights, self.buffers = model.trained(), model.untrained()

    def load(self, epoch: int) -> None:
        """Makes the windows of an epoch, by its number from 0; see the base class."""
        windows = self.windows(epoch)
        dealt = batches(self.window_plan, windows.slot_of_extra, self.settings.batch_size, self.settings.seed, epoch)
        self.epoch, self.data = epoch, Resident.of(windows, dealt, self.device)

    def step(self, number: int) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Adds up the gradients of a batch, over all processes that share it; see the base class."""
        model, data, settings = self.model, self.data, self.settings
        window_B, extra, width = data.batches[number]
        masks = None
        if settings.dropout:
            shape = (model.sites, len(window_B), width, model.embedding.shape[1])
            masks = dropout_masks(shape, extra, settings.dropout, self._words(number), self.device)
        task, counts = self._task(number), None
        if self.share:
            counts = self._counts(task)
            task, masks = Task(*map(self.share.of, task)), masks if masks is None else self.share.of(masks, axis=1)
        inputs_BT, targets_P, ids_P = task.inputs, task.targets.flatten(), task.ids.flatten()
        place_N = torch.nonzero(targets_P)[:, 0]
        terms = torch.zeros(1 + len(self.terms), device=self.device)
        if len(place_N):  # slots of users without a target have none
            with precision(self.device, settings.amp):
                hidden_BTD = model.encode(inputs_BT, masks)
                hidden_ND = hidden_BTD.flatten(0, 1).index_select(0, place_N)
                terms = self._terms(number, hidden_ND, targets_P[place_N], ids_P[place_N], counts)
            terms[0].backward()
            terms = terms.detach()
        else:
            for weight in (
                self.weights.values()
            ):  # without a gradient the optimizer would skip the step that variants with targets take
                weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
        if self.share:
            self.share.add_up([weight.grad for weight in self.weights.values() if weight.grad is not None] + [terms])
        return terms[None], np.array([counts[0] if counts else len(place_N)])

    def _terms(
        self, number: int, hidden_ND: Tensor, target_N: Tensor, ids_N: Tensor, counts: tuple[int, int] | None
    ) -> Tensor:
        """Returns loss and terms `[1 + T]` of a batch's targets, or of this process's part of them."""
        loss, model = self.settings.loss, self.model
        batch = hidden_ND, model.embedding, model.bias, target_N, ids_N, self.penalty, self.in_chunks, counts
        if not isinstance(loss, SampledLoss):
            return catalogue_loss(*batch)
        negative_C = negatives(loss.config.negatives, model.items, self._words(number), self.device)
        count_11 = hidden_ND.new_full((1, 1), counts[0] if counts else len(target_N), dtype=torch.float32)
        stacked = hidden_ND[None], model.embedding[None], model.bias[None], target_N[None], negative_C[None]
        value_1 = sampled_loss(loss, *stacked, count_11)
        if not self.penalty:
            return value_1
        terms = catalogue_loss(*batch, cross_entropy=False)
        return torch.cat([value_1 + terms[:1], terms[1:]])

    def _task(self, number: int) -> Task:
        """Returns what the model reads and predicts of the epoch's batch `number`."""
        window_B, extra, width = self.data.batches[number]
        draws = itertools.count()

        def draw() -> Tensor:
            return uniforms((len(window_B), width), extra, (next(draws), *self._words(number)), self.device)

        return self.model.task(self.data.take(window_B, width), draw)

    def _words(self, number: int) -> Words:
        """Returns the words that name a batch's random numbers."""
        return self.settings.stage, self.settings.seed, self.epoch, number

    def _counts(self, task: Task) -> tuple[int, int]:
        """Returns the number of targets of a whole batch, and of those with a reference list."""
        held = int(self.penalty.lists.held(task.ids).sum()) if self.penalty else 0
        return int((task.targets > 0).sum()), held

    @torch.no_grad()
    def hits(self, number: int) -> float:
        """Returns the share of hits among the first targets of a batch; see the base class."""
        task = self._task(number)
        targets_P = task.targets.flatten()
        place_N = torch.nonzero(targets_P)[:HIT_TARGETS, 0]
        with precision(self.device, self.settings.amp):
            hidden_ND = self.model.encode(task.inputs, None).flatten(0, 1).index_select(0, place_N)
            return hit_share(self.model.scores(hidden_ND), targets_P[place_N])

    def clip(self, norm: float) -> None:
        """Scales the gradient down to `norm`."""
        torch.nn.utils.clip_grad_norm_(self.weights.values(), norm, foreach=True)
