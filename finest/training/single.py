"""One variant, trained alone: on the CPU in a process of its own, beside others.

Shapes: B windows of a batch, T positions, N targets of a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from finest.models.recommender import Recommender
from finest.training.device import precision
from finest.training.loop import Settings, Trainee
from finest.training.objective import RankHinge, loss
from finest.training.randomness import batches, dropout_masks
from finest.training.windows import Slots, Windows


@dataclass(frozen=True)
class Resident:
    """Windows as tensors on the training's device, and the epoch's batches of them."""

    inputs: Tensor
    targets: Tensor
    ids: Tensor
    batches: list[tuple[Tensor, int]]

    @classmethod
    def of(cls, windows: Windows, dealt: list[tuple[Tensor, int]], device: torch.device) -> "Resident":
        inputs, targets, ids = (torch.from_numpy(x).to(device) for x in (windows.inputs, windows.targets, windows.ids))
        return cls(inputs, targets, ids, [(window_B.to(device), extra) for window_B, extra in dealt])


class Single(Trainee):
    """A variant's model; `windows` by the epoch's number."""

    data: Resident

    def __init__(
        self, variant: str, model: Recommender, slots: Slots, windows: Callable[[int], Windows], settings: Settings, hinge: RankHinge | None
    ):
        self.variants = [variant]
        self.model, self.slots, self.windows, self.settings, self.hinge = model, slots, windows, settings, hinge
        self.weights = dict(model.named_parameters())

    def load(self, epoch: int) -> None:
        windows = self.windows(epoch)
        dealt = batches(self.slots, windows.home, self.settings.batch, self.settings.seed, epoch)
        self.epoch, self.data = epoch, Resident.of(windows, dealt, self.device)

    def step(self, number: int) -> tuple[Tensor, npt.NDArray[np.int64]]:
        model, data, settings = self.model, self.data, self.settings
        window_B, extra = data.batches[number]
        inputs_BT, targets_BT, ids_BT = data.inputs[window_B], data.targets[window_B].view(-1), data.ids[window_B].view(-1)
        place_N = torch.nonzero(targets_BT)[:, 0]
        count_R = np.array([len(place_N)])
        if len(place_N) == 0:  # slots of users without a target
            return torch.zeros((1, 3), device=self.device), count_R
        masks = None
        if settings.dropout:
            shape = (model.sites, *inputs_BT.shape, model.embedding.shape[1])
            words = (settings.stage, settings.seed, self.epoch, number)
            masks = dropout_masks(shape, extra, settings.dropout, words, self.device)
        with precision(self.device, settings.amp):
            hidden_BTD = model.encode(inputs_BT, masks)
            scores_NI = model.scores(hidden_BTD.flatten(0, 1).index_select(0, place_N))
        terms = loss(scores_NI.float(), targets_BT[place_N], ids_BT[place_N], self.hinge)
        terms[0].backward()
        return terms.detach()[None], count_R

    def clip(self, norm: float) -> None:
        torch.nn.utils.clip_grad_norm_(self.weights.values(), norm, foreach=True)
