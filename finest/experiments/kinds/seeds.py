"""Seeds: the noise floor of every model, what another seed alone moves, beside published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finest.experiments.record import ImpossibleError, Row
from finest.experiments.registry import EXPERIMENTS, Column, Experiment
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.overlaps import overlaps
from finest.models.registry import MODELS

if TYPE_CHECKING:
    from finest.experiments.bench import Bench
    from finest.experiments.record import Cell, Given

CUTOFFS = (10, 20, 50, 100)
"""Lengths of the lists that are compared."""
PUBLISHED = {"sasrec": (0.466, 0.489), "gru4rec": (0.337, 0.413)}
"""Finite RBO and Jaccard of two seeds' lists on ml-100k, by Betello et al., Investigating the Robustness of Sequential
Recommender Systems Against Training Data Perturbations (ECIR 2024)."""


@EXPERIMENTS.register("seeds")
class Seeds(Experiment):
    """Trains every registered model under two seeds, nothing else changed and without FINEST."""

    question = "How much does another seed alone move lists?"
    told = (
        "Each seed of a row is a pair of trainings that share data and config and nothing else, without FINEST; the "
        "interval is over pairs. Finite RBO and Jaccard are of the first so many items of both lists, p = 0.9.",
        "Published numbers are of ml-100k, with other settings and splits; their cutoff is not stated.",
        "A model that the config does not name has its own default section; all else is the config's.",
    )
    columns = (Column("frbo", "finite rbo"), Column("jaccard", "Jaccard"), Column("mrr", "MRR", 4))
    across = "cutoff"

    def grid(self, given: Given) -> list[dict[str, object]]:
        """Returns a cell for each model."""
        return [{"model": name} for name in MODELS]

    def depends(self, cell: Cell, given: Given) -> dict[str, object]:
        """Returns the section `pretrain` of the model."""
        return {"pretrain": of_model(given, str(cell.what["model"])).pretrain.model_dump(mode="json")}

    def measure(self, cell: Cell, bench: Bench) -> list[Row]:
        """Compares two seeds' base models at every cutoff that lists are long enough for."""
        name = str(cell.what["model"])
        own = bench.sibling(of_model(bench.given, name))
        other = own.member(own.clean, 1)
        one, two = own.base(own.clean), own.base(other)
        rows = []
        for of in own.sorts:
            X, Y = own.lists(one.model, own.clean, None, of), own.lists(two.model, other, None, of)
            mrr = float(reciprocal_rank(X.target_rank).mean())
            for cutoff in CUTOFFS:
                if cutoff > X.items.shape[1]:
                    continue
                found = overlaps(X.items[:, :cutoff], Y.items[:, :cutoff], k=cutoff)
                values = {"frbo": float(np.mean(found.frbo)), "jaccard": float(np.mean(found.jaccard)), "mrr": mrr}
                rows.append(Row(label=name, of=of, more={"cutoff": str(cutoff)}, values=values, cost=one.cost))
        if not rows:
            raise ImpossibleError(f"lists are shorter than {CUTOFFS[0]}: set ingest.evaluation.depth")
        return rows

    def published(self) -> list[Row]:
        """Returns what others have measured."""
        more = {"cutoff": "not stated"}
        return [
            Row(label=f"{name}, published", more=more, values={"frbo": frbo, "jaccard": jaccard})
            for name, (frbo, jaccard) in PUBLISHED.items()
        ]


def of_model(given: Given, name: str) -> Given:
    """Returns what is given, with another model in it by its defaults; the config's own stays as it is."""
    if name == given.pretrain.model.name:
        return given
    section = MODELS[name].Config.model_validate({"name": name})
    return given.model_copy(update={"pretrain": given.pretrain.model_copy(update={"model": section})})
