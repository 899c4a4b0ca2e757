"""Rule `accuracy`: stability was not bought with accuracy.

It is about the very models that serve: what another training of them would give is not asked, so the noise of training
has no part in these bounds.
"""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.measure import Measured
from finest.gate.outcome import at_least, decide, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE
from finest.gate.statistic import Statistic, sure
from finest.gate.verdict import RuleResult

LOW = {
    "base": "FINEST costs too much: lower finetune.alpha or finetune.epochs.",
    "champion": "See what changed since the champion (data, config, code); the champion goes on serving.",
}
WIDE = (
    "The number holds, its interval does not: hold out more rows or more days, or allow a drop that {instances} "
    "instances of {users} users can tell from none."
)


@RULES.register("accuracy")
@rule(needs=[CANDIDATE, BASE])
def accuracy(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks that MRR is not inferior to the base model's and the champion's, by ratios over the same users."""
    candidate, base, instances = measured.mrr["candidate"], measured.mrr["base"], len(evidence.user)
    results = [_ratio("base", "the base model's", candidate, base, config.max_accuracy_drop_base, instances)]
    newer, option = measured.newer, "max_accuracy_drop_champion"
    if newer is None:
        sentence = "There is no champion to compare accuracy with."
        return [*results, not_applicable("accuracy.champion", sentence, option)]
    if newer.candidate.users < config.min_users:
        sentence = (
            f"{newer.instances} instances of {newer.candidate.users} users are after the champion's own cut with a "
            f"target that both catalogues hold, and with fewer than {config.min_users} users (gate.min_users) nothing "
            "is decided."
        )
        todo = "Judge on newer data, or on more users."
        return [*results, decide("accuracy.champion", False, sentence, option=option, todo=todo)]
    after = "after its cut" if newer.told else "that are all taken for later than its cut, which its lists do not tell"
    missed = f", {newer.missed} of which the candidate does not rank" if newer.missed else ""
    whose = f"the champion's on {newer.instances} instances {after}{missed}"
    drop = config.max_accuracy_drop_champion
    return [*results, _ratio("champion", whose, newer.candidate, newer.champion, drop, newer.instances)]


def _ratio(name: str, whose: str, candidate: Statistic, other: Statistic, drop: float, instances: int) -> RuleResult:
    ratio, bound = candidate / other, 1 - drop
    holds = ratio.low >= bound
    sentence = (
        f"MRR is {candidate.value:.4f}, {ratio.value - 1:+.1%} against {whose} ({other.value:.4f}); with "
        f"{sure(ratio.confidence)} confidence {'no more than' if holds else 'not proven to be no more than'} "
        f"{drop:.0%} lower (lower bound {ratio.low - 1:+.1%})."
    )
    return at_least(
        f"accuracy.{name}",
        ratio,
        bound,
        sentence,
        option=f"max_accuracy_drop_{name}",
        low=LOW[name],
        wide=WIDE.format(instances=instances, users=ratio.users),
        equal=1.0,
    )
