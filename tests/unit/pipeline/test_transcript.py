import io
from datetime import UTC, datetime, timedelta

import kfp_server_api as kfp
import pytest
from rich.console import Console

from pipeline.cluster.pods import Pods
from pipeline.cluster.steps import Attempt, State, Step
from pipeline.cluster.transcript import cancelled, ending, failure, lines
from pipeline.plain import say

NOW = datetime(2026, 11, 26, 16, tzinfo=UTC).astimezone()
NOTHING_KNOWN = Pods("kubeflow", "run", lambda text: None)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def attempt(
    state: State, created: float, running: float | None = None, ended: float | None = None, number: int = 0
) -> Attempt:
    """Times in minutes before now."""
    began, ran, over = (None if minutes is None else ago(minutes) for minutes in (created, running, ended))
    return Attempt(f"node-{number}", state, began, ran, over, number)


def step(
    *attempts: Attempt, component: str = "pretrain", title: str = "Train", driver: bool = False, open: bool = True
) -> Step:
    return Step(component, title, driver, open, attempts, f"{component} {driver}")


def told(*steps: Step, run: kfp.V2beta1Run | None = None) -> list[tuple[str, bool]]:
    """What is said, and whether that is worth a line while the run is followed."""
    return [
        (said.text, said.news)
        for said in lines(run or kfp.V2beta1Run(state="RUNNING"), list(steps), NOTHING_KNOWN, NOW)
    ]


def test_a_pod_that_has_just_been_made_is_no_news_and_one_that_stays_pending_is() -> None:
    assert told(step(attempt("pending", 0.1))) == [("Train: pending", False)]
    assert told(step(attempt("pending", 5))) == [("Train: pending", True)]


def test_what_has_run_for_a_while_says_since_when_with_the_day_where_that_is_another() -> None:
    assert told(step(attempt("running", 1, running=0.2))) == [("Train: running", True)]
    assert told(step(attempt("running", 9, running=5))) == [(f"Train: running since {ago(5):%H:%M:%S}", True)]
    assert told(step(attempt("running", 3000, running=2900))) == [
        (f"Train: running since {ago(2900):%Y-%m-%d %H:%M:%S}", True)
    ]


def test_a_long_wait_is_told_apart_from_the_work() -> None:
    assert told(step(attempt("done", 60, running=59.9, ended=50))) == [("Train: done in 10 min", True)]
    waited = step(attempt("done", 60, running=20, ended=10))
    assert told(waited) == [("Train: done in 50 min, 40 min of it pending", True)]


def test_the_wait_for_another_attempt_doubles_and_ends_with_the_last_one() -> None:
    attempts = [attempt("failed", 9 - number, ended=8.5 - number, number=number) for number in range(4)]
    waits = [told(step(*attempts[: number + 1]))[-1][0] for number in range(4)]
    assert waits[:3] == [
        f"Train: failed after 30 s; may be tried again at {ago(7.5):%H:%M:%S}",
        f"Train, attempt 2: failed after 30 s; may be tried again at {ago(5.5):%H:%M:%S}",
        f"Train, attempt 3: failed after 30 s; may be tried again at {ago(2.5):%H:%M:%S}",
    ]
    assert waits[3] == "Train, attempt 4: failed after 30 s"
    assert told(step(*attempts, open=False))[-1][0] == "Train, attempt 4: failed after 30 s; not tried again"


def test_what_is_said_of_a_failure_is_new_only_once_it_is_final() -> None:
    def topics(*attempts: Attempt, open: bool) -> list[tuple[str, ...]]:
        run = kfp.V2beta1Run(state="RUNNING")
        return [said.topic for said in lines(run, [step(*attempts, open=open)], NOTHING_KNOWN, NOW)]

    failed, again = attempt("failed", 9, ended=8), attempt("running", 1, number=1)
    [waiting] = topics(failed, open=True)
    assert topics(failed, again, open=True)[0] == waiting
    assert topics(failed, open=False) != [waiting]


def test_a_driver_is_worth_a_word_where_it_holds_a_run_up_or_fails_it() -> None:
    def driver(*attempts: Attempt, open: bool = True) -> Step:
        return step(*attempts, driver=True, open=open)

    assert (
        told(driver(attempt("running", 5)), driver(attempt("done", 5, ended=4)), driver(attempt("pending", 0.1))) == []
    )
    assert told(driver(attempt("pending", 5))) == [("KFP's driver of Train: pending", True)]
    failed = attempt("failed", 5, ended=4.5)
    assert told(driver(failed, open=False)) == [("KFP's driver of Train: failed after 30 s; not tried again", True)]


def test_what_failed_before_a_run_was_cancelled_is_told_from_what_that_ended() -> None:
    history = [kfp.V2beta1RuntimeStatus(update_time=ago(2), state="CANCELING")]
    run = kfp.V2beta1Run(state="FAILED", state_history=history)
    stopped, failed = attempt("failed", 4, ended=1.9), attempt("failed", 4, ended=3)
    assert told(
        step(stopped, open=False), step(failed, component="gate", title="Judge stability", open=False), run=run
    ) == [
        ("Train: cancelled after 2 min 6 s", True),
        ("Judge stability: failed after 1 min", True),
    ]
    assert cancelled(run)


def test_a_run_that_has_ended_leaves_nothing_running() -> None:
    run = kfp.V2beta1Run(state="SUCCEEDED")
    assert told(step(attempt("running", 4)), step(attempt("pending", 4), driver=True), run=run) == [
        ("Train: KFP has not said how it ended", True)
    ]


def test_the_step_that_failed_for_good_is_named_before_one_that_only_failed() -> None:
    run = kfp.V2beta1Run(state="FAILED")
    lost = step(attempt("failed", 9, ended=8), attempt("done", 7, ended=6, number=1))
    broken = step(attempt("failed", 5, ended=4), component="gate", title="Judge stability", open=False)
    later = step(attempt("failed", 3, ended=2), component="notify", title="Notify", open=False)
    said = list(lines(run, [lost, broken, later], NOTHING_KNOWN, NOW))
    assert failure(said) == "Judge stability: failed after 1 min; not tried again"
    assert failure([]) == ""


@pytest.mark.parametrize(
    ("state", "said"),
    [("SUCCEEDED", "succeeded"), ("FAILED", "failed"), ("SKIPPED", "skipped"), ("CANCELED", "cancelled")],
)
def test_a_run_ends_in_a_word(state: str, said: str) -> None:
    run = kfp.V2beta1Run(state=state, created_at=ago(5), finished_at=ago(1), error=kfp.GoogleRpcStatus(message="why"))
    assert ending(run) == f"run {said} after 4 min: why"


def test_a_long_line_goes_on_below_with_an_indent_and_no_word_is_broken() -> None:
    out = io.StringIO()
    digest = "registry.example.com/team/finest@sha256:" + "0" * 64
    say(
        Console(file=out, width=40),
        f"16:00:00 Train: pending: pulling image {digest} for [some] reason that is long",
        indent=9,
    )
    assert out.getvalue() == (
        f"16:00:00 Train: pending: pulling image\n         {digest}\n         for [some] reason that is long\n"
    )
