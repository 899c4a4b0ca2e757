"""Rule `sanity`: the numbers can be believed at all."""

import math

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import decide, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE, control
from finest.gate.verdict import RuleResult


@RULES.register("sanity")
@rule(needs=[CANDIDATE, BASE, control("identity", "tuned"), control("identity", "base")])
def sanity(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that training is reproducible, and that the data is new."""
    return [
        _identity(measured),
        _age(measured, config),
        _new_data(evidence, measured, config),
    ]


def _identity(measured: Measured) -> RuleResult:
    """Checks that the clean variant trained once more gives the same lists: else RLS measures the machine too."""
    controls = [control for control in measured.controls if control.name == "identity"]
    worst = min(
        (control.means[stage]["rbo"].value for control in controls for stage in ("base", "tuned")), default=math.nan
    )
    holds = bool(controls) and worst == 1.0 and all(all(control.equal.values()) for control in controls)
    if holds:
        sentence = "The clean variant trained once more gives exactly the same lists, before and after fine-tuning."
    else:
        sentence = (
            "Training is not reproducible: the clean variant trained once more gives other lists (mean rbo "
            f"{worst:.6f} instead of 1), so RLS measures the machine too."
        )
    todo = "Check thread counts, device and seeds: one device, one count of threads, deterministic kernels."
    return decide("sanity.identity", holds, sentence, value=worst, bound=1.0, todo=todo)


def _age(measured: Measured, config: Gate) -> RuleResult:
    """Checks the age of the data. The hours stand in the verdict's `age`, apart from what the lists alone decide."""
    name, option, limit = "sanity.age", "max_age_hours", config.max_age_hours
    if limit is None:
        return not_applicable(name, "gate.max_age_hours is not set.", option)
    if measured.age_hours is None:
        sentence, todo = "The age of the data is not known.", "Give the gate the data set that ingest wrote (--data)."
        return decide(name, False, sentence, bound=limit, option=option, todo=todo)
    fresh = measured.age_hours <= limit
    sentence = f"The newest training interaction is {'not older' if fresh else 'older'} than {limit:g} hours."
    todo = "See why the feed is late; the night runs well once newer days are there."
    return decide(name, fresh, sentence, bound=limit, option=option, todo=todo)


def _new_data(evidence: Evidence, measured: Measured, config: Gate) -> RuleResult:
    name, option, champion = "sanity.new_data", "require_new_data", evidence.other("champion")
    if not config.require_new_data:
        return not_applicable(name, "gate.require_new_data is not set.", option)
    if champion is None:
        return not_applicable(name, "There is no champion whose data this could be.", option)
    theirs = champion.description.data_fingerprint
    if measured.fingerprint is None or theirs is None:
        sentence = "The rank lists do not say what data candidate and champion were trained on."
        return decide(name, False, sentence, option=option, todo="Write data_fingerprint into their metadata.")
    new = measured.fingerprint != theirs
    sentence = "other data than the champion" if new else "the champion's own data again"
    todo = "Wait for newer data; a second training of the same data brings users change and nothing else."
    return decide(name, new, f"The candidate was trained on {sentence}.", option=option, todo=todo)
