"""Baselines: FINEST beside whatever else is done to keep lists stable, at equal information and at equal compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finest.experiments.compare import BY, COLUMNS, compared
from finest.experiments.record import ImpossibleError
from finest.experiments.registry import EXPERIMENTS, TREATMENTS, Experiment

if TYPE_CHECKING:
    from finest.experiments.bench import Bench
    from finest.experiments.record import Cell, Given, Row

PARTS = ("rank_loss", "simulation")
"""Treatments that are parts of FINEST, which the ablation has."""


@EXPERIMENTS.register("baselines")
class Baselines(Experiment):
    """Compares every registered treatment."""

    question = "Is anything else as stable as FINEST, at what cost and knowing what?"
    told = (
        "`knows` is what a row's trainings know beside their own rows: only rows that know as much are compared at "
        "equal information. What begins with yesterday's weights shares that model, trained on the clean rows without "
        "each user's last tenth, as FINEST shares the clean base's lists.",
        "Equal compute is the epochs of pretraining and fine-tuning together. Weight averaging is an average over "
        "about a thousand steps, weight decay is twice the config's; both train that long. Ensemble and best of "
        "seeds are given twice: each seed in full, at several times the cost, and all seeds in that time together.",
        "The best of seeds is chosen by its lists after training rows, and the clean model is its first seed; what is "
        "edited shares that seed with it, as all probes do.",
    )
    columns = COLUMNS
    by = BY
    ours = "FINEST"

    def grid(self, given: Given) -> list[dict[str, object]]:
        """Returns a cell for each treatment."""
        return [{"treatment": name} for name in TREATMENTS if name not in PARTS]

    def measure(self, cell: Cell, bench: Bench) -> list[Row]:
        """Compares clean and probes."""
        treatment = TREATMENTS[cell.what["treatment"]]()
        if why := treatment.missing():
            raise ImpossibleError(f"{treatment.title}: {why}")
        rows = compared(bench, treatment, treatment.title)
        return [row.model_copy(update={"more": {"knows": treatment.information}}) for row in rows]
