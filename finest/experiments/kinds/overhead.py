"""Overhead: what FINEST costs by stage, as catalogues and reference lists grow, and the stability that it brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finest.experiments.compare import compared
from finest.experiments.record import Cost, ImpossibleError, Row
from finest.experiments.registry import EXPERIMENTS, TREATMENTS, Column, Experiment
from finest.experiments.synthetic import synthetic
from finest.peak import peak_bytes
from finest.training.device import hardware
from finest.training.group import Clock

if TYPE_CHECKING:
    from finest.experiments.bench import Bench, Made
    from finest.experiments.record import Cell, Given, Of

SOURCE = "source"
USERS = {1_700: 1_000, 100_000: 300, 1_000_000: 100}
"""Numbers of users of synthetic data, by number of items: fewer where an epoch of each takes longer."""
TOPS = (20, 100, 500)
"""K of the reference lists."""
EPOCHS = 2
"""Epochs of both stages on synthetic data."""
STAGES = {"pretrain": "pretraining epoch", "references": "reference lists", "finetune": "FINEST epoch"}


@EXPERIMENTS.register("overhead")
class Overhead(Experiment):
    """Measures the stages on the source and on synthetic data, one cell at a time."""

    question = "What does FINEST cost, and what for?"
    told = (
        "`ratio` is the CPU time of an epoch of fine-tuning to one of pretraining; times are means over a training's "
        "epochs. Peaks are of the whole process up to the end of the stage: of that which trained, where rows share a "
        "pretraining.",
        "The source has the config's model and length; `gained` is the rbo under the config's scenarios with FINEST "
        f"less that without. Synthetic data has {EPOCHS} epochs of each and counts nothing beside the network: for its "
        "costs alone.",
    )
    columns = (
        Column("ratio", "ratio", 2),
        Column("gained", "rbo gained"),
        *(Column(f"{stage}_wall_s", f"{label}, wall s", 1) for stage, label in STAGES.items()),
        Column("lists_wall_s", "lists, wall s", 1),
        *(Column(f"{stage}_cpu_s", f"{label}, CPU s", 1) for stage, label in STAGES.items()),
        Column("lists_cpu_s", "lists, CPU s", 1),
        *(Column(f"{stage}_peak_mb", f"{label}, peak MB", 0) for stage, label in STAGES.items()),
    )
    alone = True

    def grid(self, given: Given) -> list[dict[str, object]]:
        """Returns a cell for each number of items and length of references."""
        return [{"items": items, "top_k": top} for items in (SOURCE, *USERS) for top in TOPS]

    def measure(self, cell: Cell, bench: Bench) -> list[Row]:
        """Measures the stages, and on the source what they bring."""
        finetune = bench.given.finetune.model_copy(update={"top_k": cell.what["top_k"]})
        if cell.what["items"] == SOURCE:
            items = bench.data.items
            given, data = bench.given.model_copy(update={"finetune": finetune}), bench.data
        else:
            items = int(cell.what["items"])
            pretrain = bench.given.pretrain.model_copy(update={"epochs": EPOCHS, "steps": None, "memory": "off"})
            finetune = finetune.model_copy(update={"epochs": EPOCHS})
            given = bench.given.model_copy(update={"pretrain": pretrain, "finetune": finetune})
            data = synthetic(items, USERS[items])
        if finetune.list_length > items:
            raise ImpossibleError(f"reference lists of {finetune.list_length} items, of {items}")
        own = bench.sibling(given, data)
        more = {"items": f"{items:,}", "references": f"top {finetune.top_k}", "device": hardware(own.device)}
        made = TREATMENTS["finest"]().make(own, own.clean, None)
        clock = Clock()
        own.lists(made.model, own.clean, None, "network")
        wall, cpu = clock.lap()
        values = {**_stages(own, made), "lists_wall_s": wall, "lists_cpu_s": cpu, "lists_peak_mb": peak_bytes() / 1e6}
        if cell.what["items"] != SOURCE:
            return [Row(label="synthetic", more=more, values=values, cost=made.cost)]
        return [
            Row(label="the source", of=of, more=more, values={**values, **extra}, cost=made.cost)
            for of, extra in _gained(own).items()
        ]


def _stages(bench: Bench, made: Made) -> dict[str, float]:
    """Returns the cost of an epoch of both stages and of the reference lists, and the ratio of the epochs."""
    epochs = {"pretrain": bench.passes, "references": 1.0, "finetune": float(bench.given.finetune.epochs)}
    values: dict[str, float] = {}
    for stage, count in epochs.items():
        cost: Cost = made.part(stage)
        values |= {
            f"{stage}_wall_s": cost.wall_s / count,
            f"{stage}_cpu_s": cost.cpu_s / count,
            f"{stage}_peak_mb": cost.peak_mb,
        }
    if values["pretrain_cpu_s"] > 0:
        values["ratio"] = values["finetune_cpu_s"] / values["pretrain_cpu_s"]
    return values


def _gained(bench: Bench) -> dict[Of, dict[str, float]]:
    """Returns rbo with FINEST, and what of it FINEST has brought, by sort of lists."""
    before, after = (compared(bench, TREATMENTS[name](), name) for name in ("none", "finest"))
    return {
        one.of: {"rbo": two.values["rbo"], "gained": two.values["rbo"] - one.values["rbo"]}
        for one, two in zip(before, after, strict=True)
    }
