"""Rule `flips`: users keep what they had: no more hits are lost than another seed of training loses."""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import at_most, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE
from finest.gate.verdict import RuleResult


@RULES.register("flips")
@rule(needs=[CANDIDATE, BASE])
def flips(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that the lost share of hits is not proven to be above that between two seeds by more than the margin."""
    option, found, margin = "max_flips_above_seed", measured.flips, config.max_flips_above_seed
    if found is None or not found.hits:
        return [not_applicable("flips", "There is no hit in the top 10 that the candidate could lose.", option)]
    whose = "the champion's" if found.whose == "champion" else "the base model's"
    lost = f"Of {whose} {found.hits} hits in the top 10, {found.lost} are lost ({found.of_hits:.1%})"
    if found.excess is None or found.seed is None:
        sentence = f"{lost}; what another seed loses is not known: add the control `seed` without FINEST."
        return [not_applicable("flips", sentence, option)]
    holds = not found.excess.low > margin
    sentence = (
        f"{lost}, and {found.of_users:.1%} of the users who had one have none left; another seed alone loses "
        f"{found.seed:.1%}: {'not proven to be' if holds else 'with 95% confidence'} more than {margin:.0%} of hits "
        f"above that (lower bound {found.excess.low:+.1%})."
    )
    todo = "Look at what these users are shown now, and at what changed beside the data."
    return [at_most("flips", found.excess, margin, sentence, option=option, todo=todo)]
