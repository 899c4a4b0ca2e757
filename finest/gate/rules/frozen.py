"""Rule `frozen`: the lists are stable since training is, not since they were copied or no longer follow the user.

Point estimates decide here: the rule stops near-copies, which are nowhere near its bounds.
"""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import decide, interval, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE, PROBES, control
from finest.gate.verdict import RuleResult

TRAINING_NOISE = 0.01
"""Standard error of the difference of two RLS by rounding alone: .007 each, as measured on ml-100k."""
COPIED = 3 * TRAINING_NOISE
"""An RLS above what rounding alone leaves by more than this, or by half of what is left to 1, is no accident. From one
time the noise on, the verdict has a note; one time alone would refuse an honest run in six for a scenario whose edits
cost as little as rounding does."""


@RULES.register("frozen")
@rule(needs=[CANDIDATE, BASE, control("rounding", "base"), control("rounding", "tuned"), PROBES])
def frozen(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that lists follow the history, are no copy of the reference's, and gain from new data."""
    return [
        _plasticity(measured, config),
        _reference(evidence, measured),
        _ceiling(measured),
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
    return decide(
        name, follows, sentence, value=ratio.value, bound=config.min_plasticity, interval=interval(ratio), option=option
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
    return decide(name, differs, sentence, value=near.value, bound=bound, interval=interval(near))


def _ceiling(measured: Measured) -> RuleResult:
    name, ceiling = "frozen.ceiling", measured.own_ceiling
    if ceiling is None or not measured.probes:
        return decide(name, False, "The rounding control or the probes are missing, so the two cannot be compared.")
    best = max(measured.probes, key=lambda probe: probe.means["tuned"]["rbo"].value)
    value, top = best.means["tuned"]["rbo"].value, ceiling["rbo"].value
    bound = _beyond_noise(top)
    under = value <= bound
    sentence = (
        f"The most stable scenario, {best.name}, has an RLS (rbo) of {value:.3f}, "
        f"{'not above' if under else 'above'} {bound:.3f}: "
        f"the {top:.3f} that rounding alone leaves, and the noise of training"
        f"{'.' if under else ': edits cannot cost less than rounding, so something is copied.'}"
    )
    return decide(name, under, sentence, value=value, bound=bound, interval=interval(best.means["tuned"]["rbo"]))


def _beyond_noise(similarity: float) -> float:
    """Returns the bound that only a copy is above, where training alone leaves `similarity`."""
    return similarity + min(COPIED, (1 - similarity) / 2)


def _new_data(measured: Measured, config: Gate) -> RuleResult:
    """Checks the share that fine-tuning keeps of what the base model learns from data that the champion has not seen.

    It is (MRR_candidate - MRR_champion) / (MRR_base - MRR_champion), on instances after the champion's cut.
    """
    name, option, newer = "frozen.new_data", "min_new_data_gain", measured.newer
    if newer is None or newer.base is None:
        return not_applicable(name, "There is no champion to gain on.", option)
    if newer.instances == 0:
        return not_applicable(name, "No instance is after the champion's own cut.", option)
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
    return decide(
        name, learns, sentence, value=kept.value, bound=config.min_new_data_gain, interval=interval(kept), option=option
    )
