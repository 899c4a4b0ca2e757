"""The numbers of a verdict, flat, named as in MLflow."""

from collections.abc import Iterator

from finest.gate.measure import Measured
from finest.gate.rls import HEADLINE, Compared
from finest.gate.segments import EACH_USER
from finest.gate.statistic import Statistic, average


def verdict_metrics(measured: Measured) -> dict[str, float]:
    """Returns every metric of the verdict but `gate/passed`, by name. What the lists cannot say is left out."""
    return dict(_all(measured))


def _all(measured: Measured) -> Iterator[tuple[str, float]]:
    yield from _probes("rls", measured.probes, "tuned")
    yield from _probes("rls_unstabilised", measured.probes, "base")
    yield from _probes("rls_network", measured.probes, "network")
    yield from _probes("rls_independent", measured.independent, "tuned")
    yield from _means("noise_floor", measured.floor)
    yield from _means("ceiling", measured.ceiling)
    yield from _means("own_ceiling", measured.own_ceiling)
    yield from _means("rls_reseeded", measured.control("seed", "tuned"))
    yield from _means("identity", measured.control("identity", "tuned"))
    if measured.hardware:
        yield from _means(
            "hardware", {name: average([group[name] for group in measured.hardware]) for name in HEADLINE}
        )
    yield from _means("churn", measured.churn or None)
    yield from _means("churn_unstabilised", measured.churn_base or None)
    yield from _means("churn_reseeded", measured.churn_seed or None)
    for stage, noise in measured.noise.items():
        yield from ((f"training_noise/{stage}/{name}", error.standard) for name, error in noise.items())
    for name, prefix in (("candidate", ""), ("base", "_base"), ("network", "_network"), ("champion", "_champion")):
        if name in measured.accuracy:
            found = measured.accuracy[name]
            yield from ((f"accuracy{prefix}/{metric}", value) for metric, value in found.metrics.items())
            yield f"coverage{prefix}/at_10", found.coverage_at_10
            yield f"overlap{prefix}/at_10", found.overlap
            if found.plasticity is not None:
                yield f"plasticity{prefix}", found.plasticity
            if found.popularity_bias is not None:
                yield f"popularity_bias{prefix}", found.popularity_bias
    yield from _of_users(measured)
    for name, count in measured.catalogue.items():
        yield f"catalogue/{name}", float(count)
    if measured.near_reference is not None:
        yield "reference/rbo", measured.near_reference.value
    if measured.trend is not None:
        yield "trend/log_ratio", measured.trend.log_ratio
        yield "trend/standard_error", measured.trend.standard_error
        yield "trend/evidence", measured.trend.evidence


def _of_users(measured: Measured) -> Iterator[tuple[str, float]]:
    """Yields who is hurt: means in which every user counts once, the share of odd lists, and lost hits."""
    for segment in measured.segments:
        if segment.value == EACH_USER:
            for name, value in segment.mrr.items():
                yield f"accuracy{'' if name == 'candidate' else f'_{name}'}/mrr_by_user", value
    if measured.odd is not None:
        yield "odd_users", measured.odd.excess.value
    if (found := measured.flips) is not None and found.hits:
        yield "flips/of_hits", found.of_hits
        yield "flips/of_users", found.of_users
        if found.seed is not None and found.excess is not None:
            yield "flips/seed", found.seed
            yield "flips/above_seed", found.excess.value


def _probes(prefix: str, probes: list[Compared], stage: str) -> Iterator[tuple[str, float]]:
    """Yields the mean over scenarios of every similarity, and the gated ones a scenario."""
    given = [probe for probe in probes if stage in probe.means]
    if not given:
        return
    for name in given[0].means[stage]:
        yield f"{prefix}/{name}", average([probe.means[stage][name] for probe in given]).value
    for probe in given:
        for name in HEADLINE:
            yield f"{prefix}/{name}/{probe.name}", probe.means[stage][name].value


def _means(prefix: str, means: dict[str, Statistic] | None) -> Iterator[tuple[str, float]]:
    """Yields the gated similarities, where there are any."""
    for name in HEADLINE:
        if means is not None:
            yield f"{prefix}/{name}", means[name].value
