"""Compares what a treatment makes of clean rows with what it makes of edited ones, as a verdict does.

Similarities, accuracy metrics, and the ratio of two mean reciprocal ranks with its bound are those that the gate and
its rules use.
"""

import numpy as np
import numpy.typing as npt

from finest.experiments.bench import Bench
from finest.experiments.record import Of, Row
from finest.experiments.registry import Column, Treatment
from finest.gate.rls import HEADLINE, ByUser
from finest.metrics.accuracy import reciprocal_rank
from finest.metrics.guards import coverage_at
from finest.metrics.registry import METRICS, Ranked, measured
from finest.metrics.similarity import similarities
from finest.ranklists.schema import RankLists

Values = npt.NDArray[np.float64]
COLUMNS = (
    Column("rbo", "rbo"),
    Column("jaccard_at_10", "Jaccard@10"),
    Column("rbo_worst", "rbo, worst scenario"),
    Column("mrr", "MRR", 4),
    Column("mrr_ratio", "MRR to base"),
    Column("non_inferior", "proven non-inferior", yes=True),
    Column("coverage_at_10", "coverage@10"),
)
"""Columns of a treatment's row."""
BY = HEADLINE
"""What treatments are compared by."""


def compared(bench: Bench, treatment: Treatment, label: str) -> list[Row]:
    """Returns a row a sort of lists: similarity of clean and probes, mean over scenarios, and the clean one's accuracy.

    Args:
        bench: The bench.
        treatment: The treatment.
        label: What it is called in the table.
    """
    base = bench.base(bench.clean).model
    clean = treatment.make(bench, bench.clean, None)
    near: dict[Of, list[dict[str, float]]] = {of: [] for of in bench.sorts}
    lists = {of: bench.lists(clean.model, bench.clean, None, of) for of in bench.sorts}
    for variant, edits in bench.probes:
        probe = treatment.make(bench, variant, edits)
        for of in bench.sorts:
            theirs = bench.lists(probe.model, variant, edits, of)
            near[of].append(means(similarities(lists[of].items, theirs.items)))
    rows = []
    for of in bench.sorts:
        stability = {name: float(np.mean([one[name] for one in near[of]])) for name in near[of][0]}
        worst = min(one["rbo"] for one in near[of])
        before = bench.lists(base, bench.clean, None, of)
        values = {**stability, "rbo_worst": worst, **accuracy(lists[of], before, bench)}
        rows.append(Row(label=label, of=of, values=values, cost=clean.cost))
    return rows


def means(values: dict[str, Values]) -> dict[str, float]:
    """Returns the mean of each similarity or metric over instances."""
    return {name: float(of.mean()) for name, of in values.items()}


def accuracy(lists: RankLists, base: RankLists, bench: Bench) -> dict[str, float]:
    """Returns every registered metric, the coverage of the catalogue, and how MRR stands to the base model's.

    `mrr_ratio` is the ratio, `mrr_ratio_bound` its one-sided 95% bound over users (Fieller's), `non_inferior` 1 where
    that bound is at least 1 less the drop that is allowed, else 0.
    """
    ranked = Ranked(lists.target_rank, lists.items, bench.data.items)
    found = {name: float(measured(METRICS, name, ranked).mean()) for name in METRICS}
    found["coverage_at_10"] = coverage_at(lists.items, bench.data.items)
    by_user = ByUser(np.unique(lists.user, return_inverse=True)[1].astype(np.int64))
    ours, theirs = by_user.means([reciprocal_rank(lists.target_rank), reciprocal_rank(base.target_rank)])
    ratio = ours / theirs
    if not np.isfinite(ratio.value):  # no target at all was ranked
        return found
    low = {"mrr_ratio_bound": ratio.low} if np.isfinite(ratio.low) else {}
    holds = float(ratio.low >= 1 - bench.given.max_drop)
    return {**found, "mrr_ratio": ratio.value, **low, "non_inferior": holds}


def similar(one: RankLists, other: RankLists, among: npt.NDArray[np.bool_] | None = None) -> dict[str, float]:
    """Returns every similarity of two models' lists, the mean over instances, or over those of a mask [M]."""
    values = similarities(one.items, other.items)
    return means(values if among is None else {name: of[among] for name, of in values.items()})
