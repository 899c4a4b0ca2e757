"""Rule `gain`: FINEST is on, and did stability no harm."""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import decide, interval
from finest.gate.registry import RULES, rule
from finest.gate.rls import HEADLINE, over_scenarios
from finest.gate.roles import BASE, CANDIDATE, PROBES, PROBES_BASE
from finest.gate.rules.stability import WORDS
from finest.gate.verdict import RuleResult


@RULES.register("gain")
@rule(needs=[CANDIDATE, BASE, PROBES, PROBES_BASE])
def gain(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that RLS with FINEST minus RLS without is not negative, as the mean over scenarios.

    The number itself decides.
    """
    results = []
    for measure in HEADLINE:
        gains = [probe.means["tuned"][measure] - probe.means["base"][measure] for probe in measured.probes]
        mean, low, high = over_scenarios(gains) if len(gains) > 1 else (gains[0].value, *interval(gains[0]))
        holds = mean >= 0
        moved = f"{'did not lower' if holds else 'lowered'} mean RLS ({WORDS[measure]}): {mean:+.3f}"
        sentence = f"Fine-tuning {moved}, with a 90% interval from {low:+.3f} to {high:+.3f}."
        results.append(decide(f"gain.{measure}", holds, sentence, value=mean, bound=0.0, interval=(low, high)))
    return results
