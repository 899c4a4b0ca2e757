"""Simulates perturbations while fine-tuning: every epoch edits a few training rows (arXiv 2402.03481, section 4.2)."""

import numpy as np

from finest.data.dataset import Ints, Rows
from finest.keys import numpy_generator
from finest.perturb.edits import Edits, apply
from finest.perturb.kinds import least_popular

KINDS = ("deletion", "replacement", "insertion")


def simulate(rows: Rows, clean: Rows, counts: Ints, share: float, seed: int, epoch: int) -> Rows:
    """Edits `share` of the clean rows in a variant's training rows, all in one way that the epoch draws.

    Rows are drawn by clean id, so that every variant of a seed simulates the same edits; those that a variant lacks are
    skipped.

    Args:
        rows: The variant's training rows.
        clean: The clean training rows.
        counts: [I + 1] training rows of each item in the clean data; new items are among the least popular.
        share: Share of the clean rows.
        seed: Seed of the variant.
        epoch: Number of the epoch, from 0.
    """
    generator = numpy_generator("simulation", seed, epoch)
    kind = KINDS[generator.integers(len(KINDS))]
    place = np.sort(generator.choice(len(clean), round(share * len(clean)), replace=False))
    item = np.zeros(len(place), np.int64)
    if kind != "deletion":
        item = least_popular(counts, clean.item[place], generator)
    return apply(rows, [Edits(kind, clean.id[place], item)])
