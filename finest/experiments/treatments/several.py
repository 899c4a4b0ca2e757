"""Treatments that train several seeds: an ensemble, and the best of them."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from finest.experiments.bench import Made
from finest.experiments.compare import similar
from finest.experiments.record import Cost
from finest.experiments.registry import TREATMENTS, Treatment
from finest.experiments.treatments.tuned import LISTS
from finest.models.config import ModelConfig
from finest.models.recommender import Recommender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from finest.experiments.bench import Bench
    from finest.perturb.edits import ScenarioEdits
    from finest.perturb.plan import Variant
    from finest.training.config import Pretrain

SEEDS = 3
"""Number of seeds."""


class Ensemble(Recommender):
    """Scores items by the mean of its members' scores.

    Scores are products with an item embedding, so the mean of several is a product with the embeddings side by side.
    Ranks are those of the geometric mean of the members' probabilities: these differ from exp(scores) by a factor that
    all items share.
    """

    Config = ModelConfig

    def __init__(self, members: Sequence[Recommender]):
        """Puts trained members together."""
        first = members[0]
        super().__init__(ModelConfig(name="ensemble", hidden_size=1, max_length=first.max_length), first.items)
        self.members = nn.ModuleList(members)
        share = 1 / len(members)
        with torch.no_grad():
            self.embedding = nn.Parameter(share * torch.cat([one.embedding for one in members], 1))
            self.bias = nn.Parameter(share * reduce(add, (one.bias for one in members)))

    def encode(self, inputs_BT: Tensor, masks_SBTD: Tensor | None) -> Tensor:
        """Returns the members' hidden states side by side."""
        return torch.cat([self._of(one).encode(inputs_BT, masks_SBTD) for one in self.members], 2)

    def summary(self, histories_BT: Tensor) -> Tensor:
        """Returns the members' summaries side by side."""
        return torch.cat([self._of(one).summary(histories_BT) for one in self.members], 1)

    @staticmethod
    def _of(module: Any) -> Recommender:
        model: Recommender = module
        return model


class TimedEnsemble(Ensemble):
    """An ensemble of models that read times."""

    timed = True
    without_times = "does what its members do"


def ensemble(members: Sequence[Recommender]) -> Ensemble:
    """Puts trained models of one kind together."""
    return (TimedEnsemble if members[0].timed else Ensemble)(members)


class Several(Treatment):
    """Trains SEEDS seeds, each for the whole of pretraining, or, at equal compute, all in the time of FINEST."""

    equal = False
    """Whether all together train as many epochs as FINEST's pretraining and fine-tuning."""

    def members(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> list[Made]:
        """Trains the members."""
        section: Pretrain | None = None
        if self.equal:
            section = bench.lasting((bench.passes + bench.given.finetune.epochs) / SEEDS)
        return [bench.base(bench.member(variant, number), edits, section) for number in range(SEEDS)]


@TREATMENTS.register("ensemble")
class OfSeeds(Several):
    """Averages the scores of the seeds."""

    title = f"ensemble of {SEEDS} seeds"

    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Trains the members and puts them together."""
        members = self.members(bench, variant, edits)
        return Made(ensemble([one.model for one in members]).eval(), all_of(members))


@TREATMENTS.register("ensemble_equal")
class OfShortSeeds(OfSeeds):
    """Averages the scores of seeds that train a part of the time each."""

    title = f"ensemble of {SEEDS} seeds, equal compute"
    equal = True


@TREATMENTS.register("best_of")
class BestOf(Several):
    """Takes the seed whose lists are nearest to the clean base's, after rows that all have trained on.

    The clean one is its first seed.
    """

    title = f"best of {SEEDS} seeds"
    information = LISTS

    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Trains the seeds and takes one."""
        if variant.role == "clean":
            members = self.members(bench, variant, edits)
            return Made(members[0].model, all_of(members))
        members, clean = self.members(bench, variant, edits), self.members(bench, bench.clean, None)[0]
        theirs = bench.lists(clean.model, bench.clean, None, "network", yesterday=True)

        def near(made: Made) -> float:
            return similar(theirs, bench.lists(made.model, variant, edits, "network", yesterday=True))["rbo"]

        return Made(max(members, key=near).model, all_of(members))


@TREATMENTS.register("best_of_equal")
class BestOfShort(BestOf):
    """Takes the nearest of seeds that train a part of the time each."""

    title = f"best of {SEEDS} seeds, equal compute"
    equal = True


def all_of(members: Sequence[Made]) -> tuple[tuple[str, Cost], ...]:
    """Returns the costs of all members."""
    return tuple(part for one in members for part in one.parts)
