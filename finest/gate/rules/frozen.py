"""Rule `frozen`: the lists are stable since training is, not since they were copied or no longer follow the user.

Point estimates decide here: the rule stops near-copies, which are nowhere near its bounds. What is the same to the last
item is the rule `sanity`'s.
"""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import decide, interval, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE, PROBES, control
from finest.gate.statistic import CONFIDENCE, Error
from finest.gate.verdict import RuleResult

COPIED = "Look at what wrote the lists: a cache, one checkpoint for several variants, a fine-tuning that did nothing."


@RULES.register("frozen")
@rule(needs=[CANDIDATE, BASE, control("rounding", "base"), control("rounding", "tuned"), PROBES])
def frozen(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that lists follow the history, are no copy of the reference's, and gain from new data."""
    return [
        _plasticity(measured, config),
        _reference(evidence, measured),
        _ceiling(measured, config),
        _new_data(measured, config),
    ]


def _plasticity(measured: Measured, config: Gate) -> RuleResult:
    name, option = "frozen.plasticity", "min_plasticity"
    if not measured.plasticity:
        sentence = (
            "No user has two instances, so no list follows another of the same user, and nothing measures whether "
            "lists follow the history; copies are still told by the reference and the ceiling."
        )
        return not_applicable(name, sentence, option)
    candidate, base = measured.plasticity["candidate"], measured.plasticity["base"]
    ratio = candidate / base
    follows = ratio.value >= config.min_plasticity
    sentence = (
        f"From one interaction of a user to the next, lists move by {candidate.value:.3f} (1 - rbo), "
        f"{'at least' if follows else 'less than'} {config.min_plasticity:.0%} of the base model's {base.value:.3f}."
    )
    todo = "Lists follow the history less than the base model's: lower finetune.alpha, and look for a stale cache."
    return decide(
        name,
        follows,
        sentence,
        value=ratio.value,
        bound=config.min_plasticity,
        interval=interval(ratio),
        confidence=ratio.confidence,
        option=option,
        todo=todo,
    )


def _reference(evidence: Evidence, measured: Measured) -> RuleResult:
    """Checks that the candidate is no nearer to its reference than rounding alone leaves a training to itself.

    A champion is another training's model: the bound is what rounding leaves of the base lists, which no retraining
    reaches. The base model is the candidate's own past, and fine-tuning that keeps its lists may come nearer (measured:
    .956 against .951; .924 against .861 where lists are long and data is little): there the bound is halfway from what
    rounding leaves of the candidate to a copy, which has 1.
    """
    own = evidence.reference == "base"
    name, rounding = "frozen.reference", measured.control("rounding", "tuned" if own else "base")
    near, whose = measured.near_reference, "base model" if own else evidence.reference
    if near is None or rounding is None:
        return decide(
            name,
            False,
            f"The lists of the reference model ({whose}) or of the rounding control are not there to compare with.",
            todo="Give these lists too.",
        )
    bound = (1 + rounding["rbo"].value) / 2 if own else rounding["rbo"].value
    what = (
        "halfway from what rounding leaves of the candidate's own to a copy"
        if own
        else "that rounding alone leaves of the base lists"
    )
    differs = near.value <= bound
    sentence = (
        f"Mean rbo with the reference model's lists ({whose}) is {near.value:.3f}, "
        f"{'not above' if differs else 'above'} the {bound:.3f} {what}"
        f"{'.' if differs else ': the candidate copies its reference.'}"
    )
    return decide(
        name,
        differs,
        sentence,
        value=near.value,
        bound=bound,
        interval=interval(near),
        confidence=near.confidence,
        todo=COPIED,
    )


def _ceiling(measured: Measured, config: Gate) -> RuleResult:
    name, ceiling = "frozen.ceiling", measured.own_ceiling
    if ceiling is None or not measured.probes:
        sentence = "The rounding control or the probes are missing, so the two cannot be compared."
        return decide(name, False, sentence, todo="Give these lists too.")
    best = max(measured.probes, key=lambda probe: probe.means["tuned"]["rbo"].value)
    rls, top = best.means["tuned"]["rbo"], ceiling["rbo"].value
    value = rls.value
    bound = max((1 + top) / 2, top + _noise(measured, config))
    under = value <= bound
    sentence = (
        f"The most stable scenario, {best.name}, has an RLS (rbo) of {value:.3f}, "
        f"{'not above' if under else 'above'} {bound:.3f}: "
        f"halfway from the {top:.3f} that rounding alone leaves to a copy, or beyond the noise of training"
        f"{'.' if under else '; edits cannot cost that much less than rounding, so something is copied.'}"
    )
    return decide(
        name, under, sentence, value=value, bound=bound, interval=interval(rls), confidence=rls.confidence, todo=COPIED
    )


def _noise(measured: Measured, config: Gate) -> float:
    """Returns how far two RLS without FINEST may be apart by the noise of training.

    With FINEST, near-copies would pass for it.
    """
    one = measured.training(measured.plain, "rbo", config.training_noise)
    return Error(2**0.5 * one.standard, one.degrees).margin(CONFIDENCE)


def _new_data(measured: Measured, config: Gate) -> RuleResult:
    """Checks the share that fine-tuning keeps of what the base model learns from data that the champion has not seen.

    It is (MRR_candidate - MRR_champion) / (MRR_base - MRR_champion), on instances after the champion's cut.
    """
    name, option, newer = "frozen.new_data", "min_new_data_gain", measured.newer
    if newer is None or newer.base is None:
        return not_applicable(name, "There is no champion to gain on.", option)
    if newer.base.users < config.min_users:
        sentence = f"{newer.base.users} users have an instance after the champion's own cut, too few to tell."
        return not_applicable(name, sentence, option)
    available = newer.base - newer.champion
    if not available.low > 0:
        gain = f"MRR {available.value:+.4f}, lower bound {available.low:+.4f}"
        sentence = f"The base model itself does not gain significantly over the champion ({gain})."
        return not_applicable(name, sentence, option)
    kept = (newer.candidate - newer.champion) / available
    learns = kept.value >= config.min_new_data_gain
    sentence = (
        f"On instances after the champion's cut, the candidate keeps {kept.value:.0%} of the "
        f"{available.value:+.4f} MRR that its base "
        f"gains, {'at least' if learns else 'less than'} {config.min_new_data_gain:.0%}."
    )
    todo = "The reference holds the candidate back: lower finetune.alpha, or finetune.reference: base for one night."
    return decide(
        name,
        learns,
        sentence,
        value=kept.value,
        bound=config.min_new_data_gain,
        interval=interval(kept),
        confidence=kept.confidence,
        option=option,
        todo=todo,
    )
