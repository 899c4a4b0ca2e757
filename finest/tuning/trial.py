"""What a trial of a search is, and what it was measured to be."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from finest.section import Section

State = Literal["finished", "pruned", "failed"]


class Trial(Section):
    """Holds a config that was tried, and what came of it: the search's record of it."""

    number: int
    """From 0; 0 is the config that the search began with."""
    values: dict[str, bool | int | float | str]
    """Values of the searched keys, by dotted key."""
    state: State
    """`finished`: measured; `pruned`: left early, as less accurate than half of the others; `failed`: could not be
    trained."""
    mrr: float | None = None
    """MRR of the served lists on validation rows."""
    standard_error: float | None = None
    """Standard error of the MRR, by user."""
    rbo: float | None = None
    """RBO of these lists and of those of the probe: another seed, and edited rows."""
    served: str = ""
    """What is served: `network`, `memory` (counts alone) or `stack` (both)."""
    rungs: dict[int, float] = Field(default={})
    """MRR of the network alone after some epochs, where trials are pruned."""
    seconds: float = 0.0
    """Wall time that it took, of the attempt that ended it."""
    reason: str = ""
    """Why it failed, or where it was pruned."""


def finished(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials that have both values."""
    return [trial for trial in trials if trial.state == "finished"]


def front(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the Pareto front, most accurate first: no other trial is as good in both values and better in one.

    >>> made = [Trial(number=n, values={}, state="finished", mrr=m, rbo=r) for n, m, r in
    ...         ((0, 0.1, 0.8), (1, 0.2, 0.7), (2, 0.1, 0.7))]
    >>> [trial.number for trial in front(made)]
    [1, 0]
    """
    best, found = -1.0, []
    for trial in sorted(finished(trials), key=lambda one: (-_mrr(one), -_rbo(one), one.number)):
        if _rbo(trial) > best:
            best = _rbo(trial)
            found.append(trial)
    return found


def choose(trials: Sequence[Trial]) -> Trial:
    """Returns the most stable trial whose MRR is within one standard error of the best one's.

    Of trials that are as stable the more accurate one is taken, then the earlier one.
    """
    best = max(finished(trials), key=lambda one: (_mrr(one), -one.number))
    assert best.standard_error is not None
    bound = _mrr(best) - best.standard_error
    return max(
        (one for one in finished(trials) if _mrr(one) >= bound), key=lambda one: (_rbo(one), _mrr(one), -one.number)
    )


def _mrr(trial: Trial) -> float:
    assert trial.mrr is not None
    return trial.mrr


def _rbo(trial: Trial) -> float:
    assert trial.rbo is not None
    return trial.rbo
