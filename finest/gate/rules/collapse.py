"""Rule `collapse`: the lists are still a recommender's, not the same popular items for everybody."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from finest.data.layout import shown
from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.listed import Listed
from finest.gate.measure import Measured
from finest.gate.outcome import decide, interval, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE, POPULARITY, REPEAT_LAST, TRIVIAL
from finest.gate.statistic import sure
from finest.gate.verdict import RuleResult
from finest.metrics import guards

Users = npt.NDArray[np.int64]
"""Number of users who are shown an item [I]."""
COVERAGE = "See in the report which items everybody gets; a model that is trained longer, or with less decay, spreads."
OFTEN = 0.01
"""Share of users from which on an item is shown often."""
PUSHED = "Look for what puts such an item in: a campaign, a fixed place, rows of a few users that are not people's."
VANISHED = "Look for what leaves such an item out: a filter, a join by its id, a catalogue that lacks it."
SOME = 5
"""Least number of users who are shown an item that should not be shown to nobody."""
LOST, LOST_ITEMS = 0.01, 2
"""Largest share of such items that may be shown to nobody, or their number where that is less than one. Of candidates
on four kinds of data none is lost; of another seed's lists up to .4%."""
UNLEARNED = "The model has learned next to nothing: train it longer (pretrain.steps: auto), and look at its loss."
UNTRAINED = (
    "A network that loses to what followed the last item is not trained enough for this data: pretrain.steps: auto, or "
    "pretrain.memory.serve: best, which takes the counts where they are better."
)
WORSE = "Serve the better of network and counts (pretrain.memory.serve: best), train longer, or serve {name} itself."


class _Exposure(NamedTuple):
    """Holds how many users are shown each item, by one that shows it to many and by another."""

    name: str
    show: str
    """Who shows items to many."""
    many: Users
    other: str
    few: Users
    todo: str


@RULES.register("collapse")
@rule(needs=[CANDIDATE, BASE, POPULARITY, REPEAT_LAST])
def collapse(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks what is shown and to whom against the base model, and MRR against the simple recommenders'."""
    candidate, base = measured.accuracy["candidate"], measured.accuracy["base"]
    return [
        _coverage(candidate.coverage_at_10, base.coverage_at_10, config),
        _overlap(candidate.overlap, base.overlap, config),
        *_exposures(evidence, config),
        _lost(evidence, config),
        *_baselines(measured),
    ]


def _coverage(candidate: float, base: float, config: Gate) -> RuleResult:
    """Checks how much of the catalogue is shown."""
    covers = candidate >= config.min_coverage_ratio * base and candidate > 0
    sentence = (
        f"The top 10 of all lists show {candidate:.1%} of the catalogue, {'at least' if covers else 'less than'} "
        f"{config.min_coverage_ratio:.0%} of the base model's {base:.1%}."
    )
    return decide(
        "collapse.coverage",
        covers,
        sentence,
        value=candidate / base if base else None,
        bound=config.min_coverage_ratio,
        option="min_coverage_ratio",
        todo=COVERAGE,
    )


def _overlap(candidate: float, base: float, config: Gate) -> RuleResult:
    """Checks that users' lists differ."""
    differs = candidate <= config.max_overlap_ratio * base
    sentence = (
        f"Two users' top 10 share {candidate:.1%} of their items on average, {'at most' if differs else 'more than'} "
        f"{config.max_overlap_ratio:g} times the base model's {base:.1%}."
    )
    return decide(
        "collapse.overlap",
        differs,
        sentence,
        value=candidate / base if base else None,
        bound=config.max_overlap_ratio,
        option="max_overlap_ratio",
        todo=COVERAGE,
    )


def _exposures(evidence: Evidence, config: Gate) -> Iterator[RuleResult]:
    """Checks that no item that many users were shown is shown to next to none, and the other way round.

    One that today's data no longer favour is shown by the champion alone, and one that they favour anew by the base
    model alone: only what both show can vanish, and only what neither shows is pushed.
    """
    users, now, usual = _usual(evidence), _users(evidence, evidence.candidate), _whose(evidence)
    show = f"{usual} {'show' if len(users) > 1 else 'shows'}"
    for each in (
        _Exposure("collapse.vanished", show, users.min(axis=0), "the candidate", now, VANISHED),
        _Exposure("collapse.pushed", "the candidate shows", now, usual, users.max(axis=0), PUSHED),
    ):
        yield _exposed(each, evidence, config)


def _usual(evidence: Evidence) -> Users:
    """Returns how many users are shown each item by the base model and, if there is one, the champion [1 or 2, I]."""
    others = evidence.clean(evidence.group, "base"), evidence.other("champion")
    return np.stack([_users(evidence, each) for each in others if each is not None])


def _whose(evidence: Evidence) -> str:
    return "the base model" + " and the champion" * (evidence.other("champion") is not None)


def _users(evidence: Evidence, listed: Listed) -> Users:
    return guards.users_shown(evidence.codes, listed.items, len(evidence.vocabulary))


def _exposed(exposure: _Exposure, evidence: Evidence, config: Gate) -> RuleResult:
    """Checks that none of the items that many users are shown by one is shown to next to none by the other."""
    name, option, bound = exposure.name, "min_item_ratio", config.min_item_ratio
    if bound == "off":
        return not_applicable(name, f"gate.{option} is off.", option)
    least = max(config.min_users, int(np.ceil(OFTEN * (evidence.codes[-1] + 1))))
    often = np.flatnonzero(exposure.many >= least)
    of = f"items that {exposure.show} to {least} users or more in a top 10"
    if not len(often):
        return not_applicable(name, f"There are no {of}.", option)
    many, few = exposure.many[often], exposure.few[often]
    ratio = few / many
    beyond, worst = int((ratio < bound).sum()), ratio.argmin()
    title = next(item for item, code in evidence.vocabulary.items() if code == often[worst])
    sentence = (
        f"Of {len(often)} {of}, {beyond or 'none'} {'is' if beyond < 2 else 'are'} shown to fewer than {bound:.0%} as "
        f"many by {exposure.other}; furthest apart is item {shown(title)}: {many[worst]} users, and {few[worst]} by "
        f"{exposure.other}."
    )
    return decide(name, not beyond, sentence, value=float(ratio[worst]), bound=bound, option=option, todo=exposure.todo)


def _lost(evidence: Evidence, config: Gate) -> RuleResult:
    """Checks that of the items that some users were shown, hardly any is shown to nobody: many may go together."""
    name, option = "collapse.lost", "min_item_ratio"
    if config.min_item_ratio == "off":
        return not_applicable(name, f"gate.{option} is off.", option)
    usual, now = _usual(evidence).min(axis=0), _users(evidence, evidence.candidate)
    there = usual >= SOME
    lost, items = int(np.count_nonzero(there & (now == 0))), int(np.count_nonzero(there))
    if not items:
        return not_applicable(name, f"No item is shown to {SOME} users in a top 10.", option)
    sentence = (
        f"Of {items} items that are shown to {SOME} users or more in a top 10 by {_whose(evidence)}, {lost or 'none'} "
        f"{'is' if lost < 2 else 'are'} in no top 10 of the candidate."
    )
    few = lost <= max(LOST_ITEMS, LOST * items)
    return decide(name, few, sentence, value=lost / items, bound=LOST, option=option, todo=VANISHED)


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
            todo=UNLEARNED,
        )
        yield result
    others = {name: (candidate - measured.mrr[name]).as_proof() for name in measured.baselines if name not in TRIVIAL}
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
