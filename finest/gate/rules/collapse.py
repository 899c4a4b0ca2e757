"""Rule `collapse`: the lists are still a recommender's, not the same popular items for everybody."""

from collections.abc import Iterator

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import decide, interval, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE, POPULARITY, REPEAT_LAST
from finest.gate.statistic import sure
from finest.gate.verdict import RuleResult

TRIVIALS = ("popularity", "repeat_last")
COVERAGE = "See in the report which items everybody gets; a model that is trained longer, or with less decay, spreads."
TRIVIAL = "The model has learned next to nothing: train it longer (pretrain.steps: auto), and look at its loss."
UNTRAINED = (
    "A network that loses to what followed the last item is not trained enough for this data: pretrain.steps: auto, or "
    "pretrain.memory.serve: best, which takes the counts where they are better."
)
WORSE = "Serve the better of network and counts (pretrain.memory.serve: best), train longer, or serve {name} itself."


@RULES.register("collapse")
@rule(needs=[CANDIDATE, BASE, POPULARITY, REPEAT_LAST])
def collapse(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks coverage and overlap between users against the base model's, and MRR against the simple recommenders'."""
    candidate, base = measured.accuracy["candidate"], measured.accuracy["base"]
    results = []

    least = config.min_coverage_ratio * base.coverage_at_10
    covers = candidate.coverage_at_10 >= least and candidate.coverage_at_10 > 0
    sentence = (
        f"The top 10 of all lists show {candidate.coverage_at_10:.1%} of the catalogue, "
        f"{'at least' if covers else 'less than'} "
        f"{config.min_coverage_ratio:.0%} of the base model's {base.coverage_at_10:.1%}."
    )
    value = candidate.coverage_at_10 / base.coverage_at_10 if base.coverage_at_10 else None
    results.append(
        decide(
            "collapse.coverage",
            covers,
            sentence,
            value=value,
            bound=config.min_coverage_ratio,
            option="min_coverage_ratio",
            todo=COVERAGE,
        )
    )

    differs = candidate.overlap <= config.max_overlap_ratio * base.overlap
    sentence = (
        f"Two users' top 10 share {candidate.overlap:.1%} of their items on average, "
        f"{'at most' if differs else 'more than'} "
        f"{config.max_overlap_ratio:g} times the base model's {base.overlap:.1%}."
    )
    value = candidate.overlap / base.overlap if base.overlap else None
    results.append(
        decide(
            "collapse.overlap",
            differs,
            sentence,
            value=value,
            bound=config.max_overlap_ratio,
            option="max_overlap_ratio",
            todo=COVERAGE,
        )
    )

    return [*results, *_baselines(measured)]


def _baselines(measured: Measured) -> Iterator[RuleResult]:
    """Checks that the candidate is better than the two trivial baselines, and loses to no other one."""
    candidate = measured.mrr["candidate"]
    for name, words in (("popularity", "the most popular items"), ("repeat_last", "repeating the last item")):
        lead = candidate - measured.mrr[name]
        holds = lead.low > 0
        sentence = (
            f"MRR is {candidate.value:.4f}, and {measured.mrr[name].value:.4f} for {words}: "
            f"{'better' if holds else 'not proven to be better'} (lower bound of the difference {lead.low:+.4f})."
        )
        result = decide(
            f"collapse.{name}",
            holds,
            sentence,
            value=lead.value,
            bound=0.0,
            interval=interval(lead),
            confidence=lead.confidence,
            todo=TRIVIAL,
        )
        yield result
    others = {name: (candidate - measured.mrr[name]).as_proof() for name in measured.baselines if name not in TRIVIALS}
    if not others:
        yield not_applicable("collapse.baselines", "No lists of further simple recommenders were given.")
        return
    name = min(others, key=lambda one: others[one].value)
    lead, lost = others[name], [one for one, each in others.items() if each.high < 0]
    if lost:
        name = lost[0]
        lead = others[name]
    of = f"{name} ({measured.baselines[name]}; {measured.mrr[name].value:.4f})"
    sentence = (
        f"MRR is {candidate.value:.4f}, with {sure(lead.confidence)} confidence below that of {of}."
        if lost
        else f"MRR is {candidate.value:.4f}, not proven to be below that of any of {len(others)} simple recommenders, "
        f"the best of which is {of}."
    )
    todo = UNTRAINED if name == "markov" else WORSE.format(name=name)
    yield decide(
        "collapse.baselines",
        not lost,
        sentence,
        value=lead.value,
        bound=0.0,
        interval=interval(lead),
        confidence=lead.confidence,
        todo=todo,
    )
