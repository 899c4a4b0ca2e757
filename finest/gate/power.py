"""What a night's data can tell: whether a bad candidate of the self-test is so bad that a rule must refuse it.

Each function takes a night and what was measured of the bad candidate. It looks at no rule: it returns nothing where
the harm is beyond what the config accepts even at its favourable one-sided 95% bound, so that every sound test refuses
it, else why that cannot be told, with the numbers.
"""

from collections.abc import Callable

from finest.gate.controlled import HONEST
from finest.gate.measure import Measured
from finest.gate.rls import HEADLINE
from finest.gate.significance import below_zero, more_than
from finest.gate.statistic import CONFIDENCE, average
from finest.gate.tampered import Tonight
from finest.metrics.accuracy import reciprocal_rank

Told = Callable[[Tonight, Measured], str]


def always(night: Tonight, measured: Measured) -> str:
    """Returns nothing: what is the same to the last item is told on any data."""
    return ""


def accuracy(night: Tonight, measured: Measured) -> str:
    """Tells by the MRR against the base model's."""
    if "base" not in measured.mrr:
        return "there is no base model to compare MRR with"
    ratio, accepted = measured.mrr["candidate"] / measured.mrr["base"], night.config.max_accuracy_drop_base
    if ratio.high < 1 - accepted:
        return ""
    return (
        f"its MRR is {ratio.value - 1:+.1%} against the base model's, at best {ratio.high - 1:+.1%} (standard error "
        f"{ratio.standard_error:.1%}), where a drop of {accepted:.0%} is accepted"
    )


def plasticity(night: Tonight, measured: Measured) -> str:
    """Tells by how far lists move from one interaction of a user to the next."""
    if not {"candidate", "base"} <= set(measured.plasticity):
        return "there is no plasticity to compare"
    ratio, least = measured.plasticity["candidate"] / measured.plasticity["base"], night.config.min_plasticity
    if ratio.high < least:
        return ""
    return f"its lists move {ratio.value:.1%} as far as the base model's, at most {ratio.high:.1%}; {least:.0%} will do"


def stability(night: Tonight, measured: Measured) -> str:
    """Tells by whether lists are less alike than under another seed, by rbo or Jaccard at 10."""
    floor = measured.floor
    if floor is None or not measured.probes:
        return "without probes and a control of another seed, nothing says how alike lists must be"
    means = {name: average([probe.means["tuned"][name] for probe in measured.probes]) for name in HEADLINE}
    if any((means[name] - floor[name]).high < 0 for name in HEADLINE):
        return ""
    return (
        f"lists as short or as alike as tonight's have an rbo of {means['rbo'].value:.3f} even so, not clearly under "
        f"the noise floor of {floor['rbo'].value:.3f}"
    )


def segments(night: Tonight, measured: Measured) -> str:
    """Tells by each segment's MRR and RLS, and by the users with odd lists, with as many tests allowed for."""
    config, odd = night.config, measured.odd
    least, share = config.min_segment_users, 1 - config.max_segment_drop
    pairs = [pair for segment in measured.segments for pair in segment.compared.values() if pair.own.users >= least]
    p = [below_zero(pair.own - share * pair.other) for pair in pairs]
    if odd is not None and len(odd.excess_U) >= least:
        p.append(more_than(odd.excess, odd.excess_U, config.max_odd_users))
    if p and min(p) * len(p) < 1 - CONFIDENCE:  # by Bonferroni, which proves less than any step-down procedure
        return ""
    worst = f"the least p-value of {len(p)} tests is {min(p):.2g}" if p else f"no segment has {least} users"
    return f"by segments and users with odd lists, {worst}, which proves no harm beyond what is accepted"


def yardsticks(night: Tonight, measured: Measured) -> str:
    """Tells by the MRR of the seed control before fine-tuning, which that of an honest training is near to."""
    control = next(control for control in measured.controls if control.name == "seed")
    pairs = [pair for stage, pair in control.pairs.items() if stage != "tuned"]
    for pair in pairs:
        clean, seed = measured.by_user.means([reciprocal_rank(listed.target_rank) for listed in pair])
        if (seed / clean).high < 1 - HONEST:
            return ""
    return "the model before fine-tuning finds hardly more targets than chance does"
