"""Rule `stability`: lists move little when the training data is edited a little."""

from collections.abc import Iterator

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import at_least, decide
from finest.gate.registry import RULES, rule
from finest.gate.rls import HEADLINE, over_scenarios
from finest.gate.roles import BASE, CANDIDATE, PROBES, Need, control
from finest.gate.statistic import Error, Statistic, Uncertain, sure
from finest.gate.verdict import RuleResult

LEAST_SCENARIOS = 3
"""Least number of scenarios; fewer say nothing about the spread between them."""
MOST_SCENARIOS = 30
"""Number of scenarios up to which it is looked for how many would prove what was measured."""
WORDS = {"rbo": "rbo", "jaccard_at_10": "Jaccard at 10"}
"""Names of the gated similarities in sentences."""
LOW = (
    "The lists do move that far: give FINEST more weight (finetune.alpha, finetune.epochs), or see in the report which "
    "scenario and which users' lists move."
)
CALM = 0.98
"""Ceiling from which rounding hardly moves a network, a GRU's for one: such a scale is longer than others'."""


def _needs(config: Gate) -> list[Need]:
    """Returns the files that the bounds need: those relative to noise floor and ceiling need the controls too."""
    relative = config.min_rls_above_floor != "off" or config.min_worst_rls_above_floor != "off"
    controls = [BASE, control("seed", "base"), control("rounding", "base")] if relative else []
    return [CANDIDATE, PROBES, *controls]


@RULES.register("stability")
@rule(needs=_needs)
def stability(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks the lower bounds of the mean RLS over the scenarios, and of the worst scenario's.

    A model passes the second where every scenario would: that is a test of each at the full confidence, and one that
    should fail passes all of them no more often than its own (an intersection-union test; Berger, Technometrics 24,
    1982).
    """
    count = len(measured.probes)
    if count < LEAST_SCENARIOS:
        there = "There is one scenario" if count == 1 else f"There are {count} scenarios"
        sentence = f"{there}, too few to know the spread between them."
        todo = f"Add to perturb.scenarios until there are {LEAST_SCENARIOS}."
        return [decide("stability", False, sentence, todo=todo)]
    results = [
        result
        for measure in HEADLINE
        for result in (*_mean(measured, config, measure), *_worst(measured, config, measure))
    ]
    if not results:
        sentence, todo = "No bound for stability is set.", "Set gate.min_rls_above_floor, or take the rule away."
        results = [decide("stability", False, sentence, todo=todo)]
    return results


def _mean(measured: Measured, config: Gate, measure: str) -> Iterator[RuleResult]:
    samples = [probe.means["tuned"][measure] for probe in measured.probes]
    said = f"Mean RLS ({WORDS[measure]}) over {len(samples)} scenarios"
    absolute, option = {
        "rbo": (config.min_rls_rbo, "min_rls_rbo"),
        "jaccard_at_10": (config.min_rls_jaccard, "min_rls_jaccard"),
    }[measure]
    if config.min_rls_above_floor != "off":
        name, share = f"stability.{measure}", config.min_rls_above_floor
        if (why := _no_way(measured, measure)) is None:
            above = [sample - _on_the_way(measured, measure, share) for sample in samples]
            lead = over_scenarios(above, _way_noise(measured, config, measure, share))
            words, low = _way(measured, measure, share), _low(measured, measure, "min_rls_above_floor")
            yield _level(name, lead, samples, said, words, "min_rls_above_floor", low)
        else:
            yield _cannot(name, said, why, "min_rls_above_floor")
    if absolute is not None:
        noise = measured.training("tuned", measure, config.training_noise)
        lead = over_scenarios([sample - _fixed(absolute, sample) for sample in samples], noise)
        yield _level(f"stability.{measure}_absolute", lead, samples, said, f"gate.{option}", option)


def _worst(measured: Measured, config: Gate, measure: str) -> Iterator[RuleResult]:
    """Tests every scenario, and returns the one whose lower bound is least above what it is held against."""
    if config.min_worst_rls_above_floor != "off":
        name, share = f"stability.worst_{measure}", config.min_worst_rls_above_floor
        if (why := _no_way(measured, measure)) is None:
            bound, error = _on_the_way(measured, measure, share), _way_noise(measured, config, measure, share)
            words, low = _way(measured, measure, share), _low(measured, measure, "min_worst_rls_above_floor")
            yield _least(name, measured, measure, bound, error, words, "min_worst_rls_above_floor", low)
        else:
            yield _cannot(name, "The least stable scenario", why, "min_worst_rls_above_floor")
    if measure == "rbo" and config.min_worst_rls_rbo is not None:
        bound = _fixed(config.min_worst_rls_rbo, measured.probes[0].means["tuned"][measure])
        noise = measured.training("tuned", measure, config.training_noise)
        name, option = "stability.worst_rbo_absolute", "min_worst_rls_rbo"
        yield _least(name, measured, measure, bound, noise, f"gate.{option}", option)


def _least(
    name: str,
    measured: Measured,
    measure: str,
    bound: Statistic,
    noise: Error,
    bound_is: str,
    option: str,
    low: str = LOW,
) -> RuleResult:
    """Returns the result of the scenario whose lower bound is least above what all are held against."""
    samples = {probe.name: probe.means["tuned"][measure] for probe in measured.probes}
    leads = {one: _one(sample - bound, noise) for one, sample in samples.items()}
    worst = min(leads, key=lambda one: leads[one].low)
    said = f"The least stable scenario, {worst}, has an RLS ({WORDS[measure]})"
    return _level(name, leads[worst], [samples[worst]], said, bound_is, option, low)


def _one(sample: Statistic, training: Error) -> Uncertain:
    return Uncertain(sample.value, {"users": sample.error, "training": training}, sample.confidence)


def _fixed(bound: float, like: Statistic) -> Statistic:
    """Returns a bound that is known, to be held against a number of the same users."""
    return Statistic(bound, 0 * like.parts, like.users, like.confidence)


def _level(
    name: str, lead: Uncertain, samples: list[Statistic], said: str, bound_is: str, option: str, low: str = LOW
) -> RuleResult:
    """Returns whether the lead of a mean RLS on its bound is proven; shown are the RLS itself and the bound."""
    value = sum(sample.value for sample in samples) / len(samples)
    bound, holds = value - lead.value, lead.low >= 0
    sentence = (
        f"{said} {'is' if len(samples) > 1 else 'of'} {value:.3f}, with {sure(lead.confidence)} confidence at least "
        f"{value - lead.margin:.3f}: {'not below' if holds else 'below'} the bound of {bound:.3f} ({bound_is})."
    )
    return at_least(name, lead, 0.0, sentence, option=option, low=low, wide=_narrower(lead), shown=value)


def _narrower(lead: Uncertain) -> str:
    """Says what would prove a lead that its interval leaves open."""
    widest, spread = lead.widest, lead.errors.get("scenarios")
    if widest == "users":
        return "The number holds, too few users prove it: hold out more rows or more days."
    if widest == "training" or spread is None:
        return (
            "The number holds, the noise of training is too large to prove it: more groups, or earlier nights of the "
            "line, measure it better."
        )
    count = int(spread.degrees) + 1
    for more in range(count + 1, MOST_SCENARIOS + 1):
        scenarios = Error(spread.standard * (count / more) ** 0.5, more - 1)
        if Uncertain(lead.value, lead.errors | {"scenarios": scenarios}, lead.confidence).low >= 0:
            return (
                f"The number holds, {count} scenarios that differ this much do not prove it: {more} of this spread "
                "would (perturb.scenarios)."
            )
    return f"The number is so near to its bound that {MOST_SCENARIOS} scenarios would not prove it: take it as low."


def _no_way(measured: Measured, measure: str) -> str | None:
    """Returns why there is no way from floor to ceiling; None where there is one."""
    if measured.floor is None or measured.ceiling is None:
        return "the control `seed` or `rounding` is missing"
    floor, ceiling = measured.floor[measure].value, measured.ceiling[measure].value
    if ceiling > floor:
        return None
    return (
        f"the ceiling, {ceiling:.3f}, is not above the noise floor, {floor:.3f} (rounding moves lists as much as "
        "another seed)"
    )


def _on_the_way(measured: Measured, measure: str, share: float) -> Statistic:
    """Returns what lies `share` of the way from floor to ceiling: random, as both ends are."""
    assert measured.floor is not None and measured.ceiling is not None
    return (1 - share) * measured.floor[measure] + share * measured.ceiling[measure]


def _way_noise(measured: Measured, config: Gate, measure: str, share: float) -> Error:
    """Returns the noise of training of a mean RLS less what lies on the way.

    Floor and ceiling are of one pair of trainings each, and each of the two has the noise of one. What all share, the
    clean training, would lessen the sum, and is left out.
    """
    tuned = measured.training("tuned", measure, config.training_noise)
    plain = measured.training(measured.plain, measure, config.training_noise)
    variance = tuned.standard**2 + 2 * plain.standard**2 * ((1 - share) ** 2 + share**2)
    return Error(float(variance**0.5), min(tuned.degrees, plain.degrees))


def _way(measured: Measured, measure: str, share: float) -> str:
    assert measured.floor is not None and measured.ceiling is not None
    floor, ceiling = measured.floor[measure].value, measured.ceiling[measure].value
    return f"{share:.0%} of the way from the noise floor, {floor:.3f}, to the ceiling, {ceiling:.3f}"


def _low(measured: Measured, measure: str, option: str) -> str:
    """Says what to do about a level that is too low on the way from floor to ceiling."""
    assert measured.ceiling is not None
    if (ceiling := measured.ceiling[measure].value) < CALM:
        return LOW
    return (
        f"{LOW} Or set gate.{option} for this network: rounding hardly moves it (ceiling {ceiling:.3f}), so the same "
        "share of the way asks more of it than of others."
    )


def _cannot(name: str, said: str, why: str, option: str) -> RuleResult:
    todo = "Look at the two controls' training, and train them longer or mend them; without a scale nothing is judged."
    return decide(name, False, f"{said} cannot be judged, since {why}.", option=option, todo=todo)
