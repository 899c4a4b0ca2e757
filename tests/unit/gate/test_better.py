"""Which of two verdicts is proven to be the better one."""

from typing import Any

import pytest

from finest.gate.better import better
from finest.gate.verdict import Night, Verdict


def verdict(
    log_ratio: float | None, rls: float | None = 0.9, error: float | None = 0.02, champion: str = "4"
) -> Verdict:
    night = Night(run="n", verdict="pass", champion=champion, log_ratio=log_ratio, standard_error=error)
    metrics = {} if rls is None else {"rls/rbo": rls}
    return Verdict(
        verdict="pass", reason="", protocol="anchored", given="", reference="base", night=night, metrics=metrics
    )


OLD = verdict(0.01)


@pytest.mark.parametrize(
    ("new", "proven"),
    [
        (verdict(0.06), True),
        (verdict(0.01), False),
        (verdict(0.05), False),
        (verdict(0.0566), True),  # 1.645 * sqrt(2) * 0.02 = 0.0465 above 0.01
        (verdict(0.0564), False),
        (verdict(0.06, rls=0.899), False),
        (verdict(0.06, error=0.1), False),
        (verdict(0.06, champion="3"), False),
        (verdict(None), False),
        (verdict(0.06, error=None), False),
        (verdict(0.06, rls=None), False),
    ],
)
def test_it_takes_a_gain_above_chance_over_the_same_champion_and_lists_that_are_as_stable(
    new: Verdict, proven: bool
) -> None:
    assert better(new, OLD) == proven
    assert not better(OLD, new)


@pytest.mark.parametrize("lacks", [{"night": None}, {"metrics": {}}])
def test_an_old_verdict_that_does_not_say_enough_proves_nothing(lacks: dict[str, Any]) -> None:
    assert not better(verdict(0.06), OLD.model_copy(update=lacks))
    assert not better(verdict(0.06, champion=""), verdict(0.01, champion=""))
