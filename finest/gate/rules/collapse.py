"""Rule `collapse`: the lists are still a recommender's, not the same popular items for everybody."""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import decide, interval
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE, POPULARITY, REPEAT_LAST
from finest.gate.verdict import RuleResult


@RULES.register("collapse")
@rule(needs=[CANDIDATE, BASE, POPULARITY, REPEAT_LAST])
def collapse(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks coverage and overlap between users against the base model's, and MRR against the two simple baselines'."""
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
        )
    )

    for name, words in (("popularity", "the most popular items"), ("repeat_last", "repeating the last item")):
        lead = measured.mrr["candidate"] - measured.mrr[name]
        beats = lead.low > 0
        sentence = (
            f"MRR is {measured.mrr['candidate'].value:.4f}, and {measured.mrr[name].value:.4f} for {words}: "
            f"{'better' if beats else 'not proven to be better'} (lower bound of the difference {lead.low:+.4f})."
        )
        results.append(
            decide(f"collapse.{name}", beats, sentence, value=lead.value, bound=0.0, interval=interval(lead))
        )
    return results
