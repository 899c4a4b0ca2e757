"""The hours that a night trains, by the formula of docs/sizing.md: `python -m benchmarks.night_cost`, at once.

Nothing is measured here. The CPU's time a target is fitted to what `benchmarks.scale` measured. A GPU is held back by
two things: reading and writing the scores of all items, in float32, and starting a batch.
"""

from typing import NamedTuple

from finest.perturb.config import Perturb
from finest.training.config import EPOCHS, Finetune, Pretrain

TRAININGS = Perturb().trainings
"""Number of trainings of a night with one group: the candidate, a probe a scenario, three controls."""
SCORE_BYTES = 24
"""Bytes of memory traffic a score and step.

A score is written or read six times: forward, log-sum-exp, gradient, and the products that use it.
"""
BATCH_SECONDS = 2e-3
"""Seconds that starting a batch on a GPU takes, whatever is in it: some two hundred kernels. Assumed."""
TARGETS_A_WINDOW = 40
"""Mean number of targets in a window of 50 positions: windows are not all full."""
FINETUNE = 1.2
"""Time of an epoch of fine-tuning over one of pretraining; measured .75 to 1.24 on CPU."""
SIZES = ((100_000, 1_700), (1_000_000, 10_000), (10_000_000, 50_000), (100_000_000, 200_000))
"""Numbers of interactions of the window and of items."""
REFERENCE_BYTES = 4
REFERENCES = 2


class Node(NamedTuple):
    """A machine that a training runs on."""

    name: str
    memory_bytes_a_second: float
    """From the vendor's data sheet; 0 for a CPU."""


NODES = (
    Node("16 CPU cores", 0),
    Node("L4", 300e9),
    Node("A10G", 600e9),
    Node("A100 80 GB", 2.0e12),
    Node("H100 SXM", 3.35e12),
)
CORES = 16
CPU_FIXED, CPU_ITEM = 12e-6, 8e-9
"""Seconds a target, and a target and item, of one core."""


def seconds_a_target(node: Node, items: int, batch: int) -> float:
    """Returns the seconds that a target takes in one epoch of pretraining."""
    if not node.memory_bytes_a_second:
        return (CPU_FIXED + CPU_ITEM * items) / min(CORES, TRAININGS)  # a training takes one core
    return BATCH_SECONDS / (batch * TARGETS_A_WINDOW) + SCORE_BYTES * items / node.memory_bytes_a_second


def hours(node: Node, interactions: int, items: int) -> float:
    """Returns the hours of all trainings of a night on one node, one after the other on its GPU."""
    pretrain, finetune = Pretrain(), Finetune()
    epochs = EPOCHS + FINETUNE * finetune.epochs
    return TRAININGS * epochs * interactions * seconds_a_target(node, items, pretrain.batch_size) / 3600


def main() -> None:
    """Prints the table."""
    names = " | ".join(node.name for node in NODES)
    print(f"| interactions | items | {names} | references |\n|{'---|' * (len(NODES) + 3)}")
    for interactions, items in SIZES:
        spent = " | ".join(f"{hours(node, interactions, items):.2g}" for node in NODES)
        references_gb = REFERENCES * Finetune().top_k * REFERENCE_BYTES * interactions / 1e9
        print(f"| {interactions:,} | {items:,} | {spent} | {references_gb:.2g} GB |")


if __name__ == "__main__":
    main()
