"""Treatments that train the base model as long as FINEST takes in all, by one of its own steadying parts, doubled."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from finest.experiments.registry import TREATMENTS, Treatment

if TYPE_CHECKING:
    from finest.experiments.bench import Bench, Made
    from finest.perturb.edits import ScenarioEdits
    from finest.perturb.plan import Variant

EMA_DECAY = 0.999
"""Decay of the long average of the weights: over about a thousand steps."""
DECAY_TIMES = 2.0
"""What weight decay is multiplied by."""
DECAY_FROM_NOTHING = 0.5
"""Weight decay in place of none."""


class Longer(Treatment):
    """Pretrains for the epochs of pretraining and fine-tuning together, with `pretrain` changed."""

    @abstractmethod
    def changes(self, bench: Bench) -> dict[str, Any]:
        """Returns what is changed in the section `pretrain`."""

    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Trains the model."""
        epochs = bench.passes + bench.given.finetune.epochs
        return bench.base(variant, edits, bench.lasting(epochs, **self.changes(bench)))


@TREATMENTS.register("averaging")
class Averaging(Longer):
    """Averages weights over about a thousand steps, where the config averages over fewer."""

    title = "weight averaging alone"

    def changes(self, bench: Bench) -> dict[str, Any]:
        """Returns the longer average."""
        return {"ema_decay": max(EMA_DECAY, bench.pretrain.ema_decay)}


@TREATMENTS.register("decay")
class Decay(Longer):
    """Doubles weight decay."""

    title = "weight decay alone"

    def changes(self, bench: Bench) -> dict[str, Any]:
        """Returns twice the decay."""
        return {"weight_decay": DECAY_TIMES * bench.pretrain.weight_decay or DECAY_FROM_NOTHING}
