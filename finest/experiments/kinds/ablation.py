"""Ablation: what simulation brings without the rank loss, and the rank loss without simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finest.experiments.compare import BY, COLUMNS, compared
from finest.experiments.registry import EXPERIMENTS, TREATMENTS, Experiment

if TYPE_CHECKING:
    from finest.experiments.bench import Bench
    from finest.experiments.record import Cell, Given, Row

PARTS = {
    "none": "no fine-tuning",
    "cross_entropy": "neither",
    "simulation": "simulation without rank loss",
    "rank_loss": "rank loss without simulation",
    "finest": "both (FINEST)",
}
"""Treatments, and what they are called here."""


@EXPERIMENTS.register("ablation")
class Ablation(Experiment):
    """Fine-tunes the same base models with both parts of FINEST, with one, with neither, and not at all."""

    question = "Which part of FINEST does what?"
    told = (
        "Every row but the one without fine-tuning fine-tunes the same base models for the same epochs; `neither` is "
        "the loss alone. Without the rank loss nothing is shared between trainings but the seed.",
    )
    columns = COLUMNS
    by = BY
    ours = PARTS["finest"]

    def grid(self, given: Given) -> list[dict[str, object]]:
        """Returns a cell for each combination."""
        return [{"treatment": name} for name in PARTS]

    def measure(self, cell: Cell, bench: Bench) -> list[Row]:
        """Compares clean and probes."""
        name = cell.what["treatment"]
        return compared(bench, TREATMENTS[name](), PARTS[name])
