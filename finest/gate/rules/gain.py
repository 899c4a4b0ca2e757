"""Rule `gain`: FINEST is on, and did stability no harm."""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import at_least
from finest.gate.registry import RULES, rule
from finest.gate.rls import HEADLINE, over_scenarios
from finest.gate.roles import BASE, CANDIDATE, PROBES, PROBES_BASE
from finest.gate.rules.stability import WORDS
from finest.gate.statistic import Uncertain
from finest.gate.verdict import RuleResult

LOW = "Raise finetune.alpha or finetune.epochs, or lower finetune.lr; the report has both numbers of every scenario."
WIDE = "The number holds, its interval does not: more scenarios (perturb.scenarios) or more users narrow it."


@RULES.register("gain")
@rule(needs=[CANDIDATE, BASE, PROBES, PROBES_BASE])
def gain(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that RLS with FINEST is proven to be no more than a margin below RLS without, as means over scenarios."""
    return [_gain(measured, config, measure) for measure in HEADLINE]


def _gain(measured: Measured, config: Gate, measure: str) -> RuleResult:
    gains = [probe.means["tuned"][measure] - probe.means["base"][measure] for probe in measured.probes]
    noise, margin = measured.training("gain", measure, config.training_noise), config.max_stability_loss
    if len(gains) > 1:
        found = over_scenarios(gains, noise)
    else:
        found = Uncertain(gains[0].value, {"users": gains[0].error, "training": noise}, gains[0].confidence)
    holds = found.low >= -margin
    sentence = (
        f"Fine-tuning {'raised' if found.value >= 0 else 'lowered'} mean RLS ({WORDS[measure]}) by "
        f"{abs(found.value):.3f} (from {found.low:+.3f} to {found.high:+.3f}): {'' if holds else 'not '}proven to cost "
        f"at most {margin:g}."
    )
    option = "max_stability_loss"
    return at_least(f"gain.{measure}", found, -margin, sentence, option=option, low=LOW, wide=WIDE, equal=0.0)
