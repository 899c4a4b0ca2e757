"""Treatments that fine-tune the base model, as FINEST does, with all of it or with parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finest.experiments.registry import TREATMENTS, Treatment
from finest.training.regularisers.registry import REGULARISERS

if TYPE_CHECKING:
    from finest.experiments.bench import Bench, Made
    from finest.perturb.edits import ScenarioEdits
    from finest.perturb.plan import Variant
    from finest.training.config import Finetune

LISTS = "rows, lists of the clean base"
"""What a treatment knows that keeps the clean base's lists."""
DISTILLING = "kl"
"""Name of the regulariser that a student is drawn to its teacher's lists by."""


@TREATMENTS.register("none")
class Nothing(Treatment):
    """Leaves the base model as it is."""

    title = "none"

    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Returns the base model."""
        return bench.base(variant, edits)


class Tuned(Treatment):
    """Fine-tunes for the epochs of the config, with `finetune` changed."""

    def section(self, bench: Bench) -> Finetune:
        """Returns the section `finetune`."""
        return bench.given.finetune

    def make(self, bench: Bench, variant: Variant, edits: ScenarioEdits | None) -> Made:
        """Trains the base model and fine-tunes it."""
        return bench.tuned(bench.base(variant, edits), variant, edits, self.section(bench))


@TREATMENTS.register("finest")
class Finest(Tuned):
    """Fine-tunes as the config says: rank loss and simulation."""

    title = "FINEST"
    information = LISTS


@TREATMENTS.register("rank_loss")
class RankLoss(Tuned):
    """Keeps lists, without simulated perturbations."""

    title = "rank loss without simulation"
    information = LISTS

    def section(self, bench: Bench) -> Finetune:
        """Returns the config's without simulation."""
        return bench.given.finetune.model_copy(update={"simulated_share": 0.0})


@TREATMENTS.register("simulation")
class Simulation(Tuned):
    """Simulates perturbations, and keeps no lists."""

    title = "simulation without rank loss"

    def section(self, bench: Bench) -> Finetune:
        """Returns the config's without a regulariser."""
        return without_lists(bench.given.finetune)


@TREATMENTS.register("cross_entropy")
class CrossEntropy(Tuned):
    """Goes on with the loss alone for the same epochs, without lists and without simulation."""

    title = "cross-entropy alone, same epochs"

    def section(self, bench: Bench) -> Finetune:
        """Returns the config's with neither."""
        return without_lists(bench.given.finetune).model_copy(update={"simulated_share": 0.0})


@TREATMENTS.register("distillation")
class Distillation(Tuned):
    """Draws scores over the clean base's lists to a distribution by rank, by the regulariser `kl`; no simulation."""

    title = "distillation"
    information = LISTS

    def missing(self) -> str:
        """Returns that the regulariser is not there, where it is not."""
        return "" if DISTILLING in REGULARISERS else f"no regulariser is called {DISTILLING} here"

    def section(self, bench: Bench) -> Finetune:
        """Returns the config's with the other regulariser."""
        regulariser = REGULARISERS[DISTILLING].Config.model_validate({"name": DISTILLING})
        return bench.given.finetune.model_copy(update={"regulariser": regulariser, "simulated_share": 0.0})


def without_lists(finetune: Finetune) -> Finetune:
    """Returns the section without a regulariser, and so without reference lists."""
    return finetune.model_copy(update={"regulariser": REGULARISERS["none"].Config.model_validate({"name": "none"})})
