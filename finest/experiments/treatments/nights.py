"""Treatments that go on from yesterday's model: of the clean rows without each user's last tenth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from finest.experiments.bench import Made
from finest.experiments.registry import TREATMENTS, Treatment
from finest.experiments.treatments.tuned import CrossEntropy

if TYPE_CHECKING:
    from finest.experiments.bench import Bench
    from finest.perturb.edits import ScenarioEdits
    from finest.perturb.plan import Variant

WEIGHTS = "rows, yesterday's weights"
"""What these treatments know."""


@TREATMENTS.register("warm_start")
class WarmStart(Treatment):
    """Trains yesterday's model for the epochs of fine-tuning on today's rows, by the loss alone."""

    title = "warm start from yesterday"
    information = WEIGHTS

    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Trains yesterday's model, which all variants share, and goes on."""
        return bench.tuned(bench.before(), variant, edits, CrossEntropy().section(bench), of="yesterday")


@TREATMENTS.register("finest_from_yesterday")
class FinestFromYesterday(Treatment):
    """Trains yesterday's model on today's rows as FINEST fine-tunes, and keeps the lists that it has to begin with."""

    title = "FINEST from yesterday's weights"
    information = f"{WEIGHTS} and lists"

    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Trains yesterday's model, which all variants share, and fine-tunes it."""
        return bench.tuned(bench.before(), variant, edits, bench.given.finetune, of="yesterday")


@TREATMENTS.register("average_of_nights")
class AverageOfNights(Treatment):
    """Takes the mean of yesterday's weights and of those that a warm start makes of them today."""

    title = "average of nights (weights)"
    information = WEIGHTS

    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Trains both, and averages."""
        today, before = WarmStart().make(bench, variant, edits), bench.before().model
        with torch.no_grad():
            for ours, theirs in zip(today.model.parameters(), before.parameters(), strict=True):
                ours.lerp_(theirs, 0.5)
        return today
