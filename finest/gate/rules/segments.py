"""Rule `segments`: nobody pays for the mean: no segment is proven to be hurt, and no users have odd lists."""

from finest.gate.config import Gate
from finest.gate.evidence import Evidence
from finest.gate.harm import Family, Test, tests
from finest.gate.measure import Measured
from finest.gate.outcome import decide, interval, not_applicable
from finest.gate.registry import RULES, rule
from finest.gate.roles import BASE, CANDIDATE
from finest.gate.segments import Kind
from finest.gate.significance import proves
from finest.gate.verdict import RuleResult
from finest.plural import counted

NAMED = 3
"""Number of further segments that a sentence names."""
WORDS: dict[Kind, tuple[str, str]] = {
    "base": ("MRR", "by the base model"),
    "champion": ("MRR", "by the champion"),
    "stability": ("RLS", "without FINEST"),
}
"""What is compared, and with what."""
OPTION = "max_segment_drop"
ODD = "Look at how such lists are made (a fallback, a cache), and take them anew."
APART = (
    "See whether these users' lists are somebody else's, or of another moment, as where users and lists are joined by "
    "place. If users are to get a new recommender, set gate.max_churn_over_seed to off for this night."
)


@RULES.register("segments")
@rule(needs=[CANDIDATE, BASE])
def segments(evidence: Evidence, measured: Measured, config: Gate) -> list[RuleResult]:
    """Checks every segment's MRR and RLS, and the users with odd lists, in one family of tests."""
    family = tests(measured, config)
    compared = [_compared(kind, family, measured, config) for kind in WORDS]
    return [*compared, _odd(family, measured, config), _apart(family, measured, config)]


def _compared(kind: Kind, family: Family, measured: Measured, config: Gate) -> RuleResult:
    """Checks one comparison over all segments; the numbers are those of the worst one."""
    name, (what, whose) = f"segments.{kind}", WORDS[kind]
    own = sorted((test for test in family.segments if test.kind == kind), key=lambda test: (test.p, _ratio(test)))
    if not own:
        there = any(kind in segment.compared for segment in measured.segments)
        few = f"fewer than {config.min_segment_users} users have one"
        why = few if there else "there are no such lists"
        return not_applicable(name, f"Nothing can be compared with the {what} {whose}: {why}.", OPTION)
    worst, hurt = own[0], [test for test in own if test.proven]
    against, drop = worst.against, config.max_segment_drop
    said = (
        f"{_called(worst)}: {what} is {against.own.value:.4f}, and {against.other.value:.4f} {whose} "
        f"({_ratio(worst) - 1:+.1%}), {'proven' if hurt else 'not proven'} to be more than {drop:.0%} lower "
        f"(p = {worst.p:.2g}, corrected for {family.size} tests)."
    )
    if hurt:
        others = "; ".join(_called(test) for test in hurt[1 : NAMED + 1])
        more = f" {len(hurt) - 1} more are hurt: {others}{'; ...' if len(hurt) > NAMED + 1 else ''}." if others else ""
        sentence = f"{said}{more}"
    else:
        small = sum(segment.users < config.min_segment_users for segment in measured.segments)
        few = f"{counted(small, 'segment')} of fewer than {config.min_segment_users} users"
        aside = f" Not tested: {few}." if small else ""
        sentence = f"Of {len(own)} segments, none is hurt. The worst is {said}{aside}"
    return decide(
        name,
        not hurt,
        sentence,
        value=_ratio(worst),
        bound=1 - drop,
        interval=interval(against.ratio),
        confidence=against.ratio.confidence,
        option=OPTION,
        todo="Look at what these users are shown, before and after (the report's table of segments has all that are "
        "hurt), and train anew without what changed it.",
    )


def _ratio(test: Test) -> float:
    return test.against.ratio.value


def _called(test: Test) -> str:
    segment = test.segment
    return f"{segment.cut}, {segment.value} ({segment.users} users, {segment.instances} instances)"


def _odd(family: Family, measured: Measured, config: Gate) -> RuleResult:
    """Checks the share of users whose lists are odd with the candidate, beyond those with the base model."""
    name, option, found = "segments.odd", "max_odd_users", measured.odd
    if found is None or family.odd is None:
        few = f"There are fewer than {config.min_segment_users} users, too few to tell who has odd lists."
        return not_applicable(name, few, option)
    proven = proves(family.odd)
    sentence = (
        f"{max(found.excess.value, 0):.1%} of a user's lists are odd with the candidate beyond those with the base "
        f"model: of {counted(found.still_U.sum(), 'user')} they stand still from one interaction to the next where the "
        f"base model's move, of {counted(found.strange_U.sum(), 'user')} they have next to nothing in common with the "
        f"base model's, and {counted(found.copied_M.sum(), 'list')} of {len(found.copied_M)} are a simple "
        "recommender's, the champion's or the same user's one before; "
        f"{'proven' if proven else 'not proven'} to be more than {config.max_odd_users:.1%} "
        f"(p = {family.odd:.2g}, corrected for {family.size} tests)."
    )
    return decide(
        name,
        not proven,
        sentence,
        value=found.excess.value,
        bound=config.max_odd_users,
        interval=interval(found.excess),
        confidence=found.excess.confidence,
        option=option,
        todo=ODD,
    )


def _apart(family: Family, measured: Measured, config: Gate) -> RuleResult:
    """Checks the share of users whose lists have nothing in common with the champion's."""
    name, option, found = "segments.apart", "max_odd_users", measured.odd
    if found is None or found.apart_U is None:
        return not_applicable(name, "There is no champion, or no other seed that says how far lists move.", option)
    if family.apart is None:
        few = f"There are fewer than {config.min_segment_users} users."
        wanted = "gate.max_churn_over_seed is off: users are to get a new recommender."
        return not_applicable(name, wanted if config.max_churn_over_seed == "off" else few, option)
    proven, share = proves(family.apart), float(found.apart_U.mean())
    sentence = (
        f"{counted(found.apart_U.sum(), 'user')} of {len(found.apart_U)} ({share:.1%}) have lists that have next to "
        f"nothing in common with the champion's, {'proven' if proven else 'not proven'} to be more than "
        f"{config.max_odd_users:.1%} (p = {family.apart:.2g}, corrected for {family.size} tests)."
    )
    return decide(name, not proven, sentence, value=share, bound=config.max_odd_users, option=option, todo=APART)
