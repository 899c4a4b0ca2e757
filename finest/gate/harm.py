"""Which segments are hurt: one family of one-sided tests on users, of which 5% at most refuse where there is no harm.

A test's null hypothesis is that there is none. The family is kept together by Holm.
"""

from typing import NamedTuple

from finest.gate.config import Gate
from finest.gate.measure import Measured
from finest.gate.outcome import interval
from finest.gate.segments import EVERYONE, Against, Kind, Measurement
from finest.gate.significance import below_zero, exceeds, holm, more_than, proves
from finest.gate.verdict import Ratio, Segment
from finest.gate.verdict_file import finite


class Test(NamedTuple):
    """Holds the test of one comparison in one segment."""

    kind: Kind
    segment: Measurement
    p: float
    """The p-value, corrected for the whole family."""

    @property
    def against(self) -> Against:
        """Returns what is tested."""
        return self.segment.compared[self.kind]

    @property
    def proven(self) -> bool:
        """Returns whether harm is proven."""
        return proves(self.p)


class Family(NamedTuple):
    """Holds all tests of a verdict."""

    segments: list[Test]
    odd: float | None
    """The corrected p-value of odd lists; None where users are too few."""
    apart: float | None
    """The same of users whose lists have nothing in common with the champion's; None also where that is no matter."""

    @property
    def size(self) -> int:
        """Returns the number of tests, for which the p-values are corrected."""
        return len(self.segments) + (self.odd is not None) + (self.apart is not None)


def tests(measured: Measured, config: Gate) -> Family:
    """Tests each comparison of each segment that has enough users for it, and the users with odd lists."""
    least, share, odd = config.min_segment_users, 1 - config.max_segment_drop, measured.odd
    chosen = [
        (kind, segment)
        for segment in measured.segments
        for kind, against in segment.compared.items()
        if against.own.users >= least
    ]
    compared = [segment.compared[kind] for kind, segment in chosen]
    p = [below_zero(each.own - share * each.other) for each in compared]
    many = odd is not None and len(odd.excess_U) >= least
    if odd is not None and many:
        p.append(more_than(odd.excess, odd.excess_U, config.max_odd_users))
    # A night that is to bring users a new recommender says so by `max_churn_over_seed`.
    tells_apart = odd is not None and odd.apart_U is not None and many and config.max_churn_over_seed != "off"
    if odd is not None and odd.apart_U is not None and tells_apart:
        p.append(exceeds(int(odd.apart_U.sum()), len(odd.apart_U), config.max_odd_users))
    p = holm(p)
    found = [Test(*each, corrected) for each, corrected in zip(chosen, p, strict=False)]
    rest = iter(p[len(chosen) :])
    return Family(found, next(rest) if many else None, next(rest) if tells_apart else None)


def parts(measured: Measured, config: Gate) -> list[Segment]:
    """Returns the segments as the verdict holds them: everyone first, then the worst."""
    family = tests(measured, config).segments
    found = []
    for segment in measured.segments:
        own = [test for test in family if test.segment is segment]
        ratios = {kind: each.ratio for kind, each in segment.compared.items()}
        found.append(
            Segment(
                cut=segment.cut,
                value=segment.value,
                users=segment.users,
                instances=segment.instances,
                mrr=segment.mrr,
                rls=segment.rls,
                churn=segment.churn,
                ratios={
                    kind: Ratio(value=finite(each.value), interval=interval(each)) for kind, each in ratios.items()
                },
                p=min((test.p for test in own), default=None),
                hurt=[test.kind for test in own if test.proven],
            )
        )
    return sorted(found, key=_worst_first)


def _worst_first(segment: Segment) -> tuple[bool, float, float]:
    least = min((ratio.value for ratio in segment.ratios.values() if ratio.value is not None), default=1.0)
    return segment.cut != EVERYONE, 2.0 if segment.p is None else segment.p, least
