"""Rule `stability`: lists move little when the training data is edited a little."""

from collections.abc import Iterator

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import Interval, decide, interval, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.rls import HEADLINE, over_scenarios
from finest.gate.roles import BASE, CANDIDATE, PROBES, Need, control
from finest.gate.verdict import RuleResult

LEAST_SCENARIOS = 3
"""Least number of scenarios; fewer say nothing about the spread between them."""
WORDS = {"rbo": "rbo", "jaccard_at_10": "Jaccard at 10"}
"""Names of the gated similarities in sentences."""


def _needs(config: Gate) -> list[Need]:
    """Returns the files that the bounds need: those relative to noise floor and ceiling need the controls too."""
    relative = config.min_rls_above_floor != "off" or config.min_worst_rls_above_floor != "off"
    controls = [BASE, control("seed", "base"), control("rounding", "base")] if relative else []
    return [CANDIDATE, PROBES, *controls]


@RULES.register("stability")
@rule(needs=_needs)
def stability(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks the lower bound of mean RLS over the scenarios, and the worst scenario."""
    count = len(measured.probes)
    if count < LEAST_SCENARIOS:
        sentence = (
            f"There are {count} scenarios, too few to know the spread between them: add to perturb.scenarios until "
            "there are 3."
        )
        return [decide("stability", False, sentence, value=count, bound=LEAST_SCENARIOS)]
    results = [
        result
        for measure in HEADLINE
        for result in (*_mean(measured, config, measure), *_worst(measured, config, measure))
    ]
    if not results:
        sentence = "No bound for stability is set: set gate.min_rls_above_floor, or drop stability from gate.rules."
        results = [decide("stability", False, sentence)]
    return [*results, *_churn(measured, config)]


def _mean(measured: Measured, config: Gate, measure: str) -> Iterator[RuleResult]:
    mean, low, high = over_scenarios([probe.means["tuned"][measure] for probe in measured.probes])
    said = (
        f"Mean RLS ({WORDS[measure]}) over {len(measured.probes)} scenarios is {mean:.3f}, with 95% confidence at "
        f"least {low:.3f}"
    )
    absolute, option = {
        "rbo": (config.min_rls_rbo, "min_rls_rbo"),
        "jaccard_at_10": (config.min_rls_jaccard, "min_rls_jaccard"),
    }[measure]
    if config.min_rls_above_floor != "off":
        bound, why = _on_the_way(measured, measure, config.min_rls_above_floor)
        yield _at_least(f"stability.{measure}", said, mean, low, (low, high), bound, why, "min_rls_above_floor")
    if absolute is not None:
        yield _at_least(
            f"stability.{measure}_absolute", said, mean, low, (low, high), absolute, f"gate.{option}", option
        )


def _worst(measured: Measured, config: Gate, measure: str) -> Iterator[RuleResult]:
    worst = min(measured.probes, key=lambda probe: probe.means["tuned"][measure].value)
    sample = worst.means["tuned"][measure]
    said = f"The least stable scenario, {worst.name}, has an RLS ({WORDS[measure]}) of {sample.value:.3f}"
    if config.min_worst_rls_above_floor != "off":
        bound, why = _on_the_way(measured, measure, config.min_worst_rls_above_floor)
        name, option = f"stability.worst_{measure}", "min_worst_rls_above_floor"
        yield _at_least(name, said, sample.value, sample.value, interval(sample), bound, why, option)
    if measure == "rbo" and config.min_worst_rls_rbo is not None:
        name, option = "stability.worst_rbo_absolute", "min_worst_rls_rbo"
        yield _at_least(
            name, said, sample.value, sample.value, interval(sample), config.min_worst_rls_rbo, f"gate.{option}", option
        )


def _on_the_way(measured: Measured, measure: str, share: float) -> tuple[float | None, str]:
    """Returns the bound that lies `share` of the way from floor to ceiling, and what it is.

    Or None, and why there is none.
    """
    if measured.floor is None or measured.ceiling is None:
        return None, "the control `seed` or `rounding` is missing"
    floor, ceiling = measured.floor[measure].value, measured.ceiling[measure].value
    if not ceiling > floor:
        return (
            None,
            f"the ceiling, {ceiling:.3f}, is not above the noise floor, {floor:.3f} (rounding moves lists as "
            "much as another seed)",
        )
    return floor + share * (
        ceiling - floor
    ), f"{share:.0%} of the way from the noise floor, {floor:.3f}, to the ceiling, {ceiling:.3f}"


def _at_least(
    name: str, said: str, value: float, tested: float, bounds: Interval, bound: float | None, why: str, option: str
) -> RuleResult:
    if bound is None:
        return decide(
            name, False, f"{said}; it cannot be judged, since {why}.", value=value, interval=bounds, option=option
        )
    holds = tested >= bound
    sentence = f"{said}: {'not below' if holds else 'below'} the bound of {bound:.3f} ({why})."
    return decide(name, holds, sentence, value=value, bound=bound, interval=bounds, option=option)


def _churn(measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks the similarity with the champion's lists, where that is bounded."""
    bound = config.min_churn_rbo
    if bound is None:
        return []
    if not measured.churn:
        return [not_applicable("stability.churn", "There is no champion to be similar to.", "min_churn_rbo")]
    churn = measured.churn["rbo"]
    said = f"Mean rbo with the champion's lists is {churn.value:.3f}, with 95% confidence at least {churn.low:.3f}"
    option = "min_churn_rbo"
    return [
        _at_least("stability.churn", said, churn.value, churn.low, interval(churn), bound, f"gate.{option}", option)
    ]
