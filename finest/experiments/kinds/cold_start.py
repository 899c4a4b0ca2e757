"""Cold start: which users and items lose most when little of the data is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import numpy.typing as npt

from finest.experiments.compare import BY, similar
from finest.experiments.kinds.intensity import label, under
from finest.experiments.record import Row
from finest.experiments.registry import EXPERIMENTS, TREATMENTS, Column, Experiment
from finest.gate.cuts import bins, popularity_edges
from finest.metrics.accuracy import reciprocal_rank
from finest.perturb.registry import EDITS, FAMILIES

if TYPE_CHECKING:
    from finest.data.dataset import Dataset
    from finest.experiments.bench import Bench
    from finest.experiments.record import Cell, Given

SHARE = 0.001
"""Share of the training rows that are edited."""
WORDS = ("cold", "few", "jitter", "timestamp", "attribute", "session")
"""Parts of the names of families and kinds that are about attributes, or about users and items with few rows."""
COMPARED = {"none": "none", "finest": "FINEST"}
EVERYONE = "everyone"


@EXPERIMENTS.register("cold-start")
class ColdStart(Experiment):
    """Compares clean models and probes in segments of users and items."""

    question = "Whose lists move most: by length of history and by popularity?"
    told = (
        "History is a user's training rows; popularity, that of the item that came next: head items have half of all "
        "training rows together, tail items are behind four fifths. Scenarios are all families and kinds of edits that "
        "are about attributes or cold starts, with random deletions beside them.",
    )
    columns = (
        Column("rbo", "rbo"),
        Column("jaccard_at_10", "Jaccard@10"),
        Column("mrr", "MRR", 4),
        Column("instances", "instances", 0),
    )
    by = BY
    across = "segment"
    keeps = False

    def grid(self, given: Given) -> list[dict[str, object]]:
        """Returns a cell for each scenario."""
        pairs: list[tuple[object, str]] = [("random", "deletion")]
        pairs += [(family, "deletion") for name in FAMILIES if _special(name) for family in _sides(name)]
        pairs += [("random", kind) for kind in EDITS if _special(kind)]
        return [{"family": family, "kind": kind, "share": SHARE} for family, kind in pairs]

    def depends(self, cell: Cell, given: Given) -> dict[str, object]:
        """Returns the config without its scenarios."""
        return given.model_dump(mode="json", exclude={"seed", "seeds", "perturb"})

    def measure(self, cell: Cell, bench: Bench) -> list[Row]:
        """Compares the clean model and the probe, without FINEST and with it, in every segment."""
        bench = under(bench, cell.what)
        ((variant, edits),), masks, rows = bench.probes, segments(bench.data), list[Row]()
        for name, title in COMPARED.items():
            treatment = TREATMENTS[name]()
            clean, probe = treatment.make(bench, bench.clean, None), treatment.make(bench, variant, edits)
            for of in bench.sorts:
                ours = bench.lists(clean.model, bench.clean, None, of)
                theirs = bench.lists(probe.model, variant, edits, of)
                reciprocal = reciprocal_rank(ours.target_rank)
                for segment, among in masks.items():
                    values = {**similar(ours, theirs, among), "mrr": float(reciprocal[among].mean())}
                    more = {"segment": segment, "fine-tuning": title}
                    values["instances"] = float(among.sum())
                    rows.append(Row(label=label(cell.what), of=of, more=more, values=values, cost=clean.cost))
        return rows


def _special(name: str) -> bool:
    return any(word in name for word in WORDS)


def _sides(family: str) -> list[object]:
    """Returns the family once for users and once for items, where it has an option for that."""
    of = FAMILIES[family].Config.model_fields.get("of")
    return [{"name": family, "of": side} for side in get_args(of.annotation)] if of else [family]


def segments(data: Dataset) -> dict[str, npt.NDArray[np.bool_]]:
    """Returns masks [M] of the held-out instances by segment, none of them empty; everyone first."""
    of = data.instances()
    users, row = np.unique(of.user, return_inverse=True)
    trained = np.bincount(data.user[data.train], minlength=len(data.user_ids)).astype(np.int64)
    found = {EVERYONE: np.ones(len(of), bool)}
    if len(users) > 1:
        found |= {f"history {name}": among_U[row] for name, among_U in bins(trained[users], least=1)}
    counts = data.item_counts
    head, tail = popularity_edges(counts[1:])
    count = counts[of.target]
    known = of.target > 0
    found |= {
        "next item: head": known & (count >= head),
        "next item: middle": known & (count < head) & (count >= tail),
        "next item: tail": known & (count < tail),
    }
    return {name: among for name, among in found.items() if among.any()}
