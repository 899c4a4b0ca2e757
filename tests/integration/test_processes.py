"""Processes that die at any moment: the one that they work for is told, and never waits for them."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from finest.errors import FinestError, KilledError
from finest.processes import Returned, Told, Worker
from finest.training import workers

LARGE = bytes(50_000_000)
"""More than any pipe holds."""
Tell = Callable[[Any], None]


def nothing() -> None:
    return


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def doubled(number: int, tell: Tell) -> int:
    tell(number)
    return 2 * number


def size(of: bytes, tell: Tell) -> int:
    return len(of)


def says_more_than_a_pipe_holds(tell: Tell) -> bytes:
    tell("ready")
    return LARGE


def fails(tell: Tell) -> None:
    raise FinestError("what went wrong")


def tells_later(tell: Tell) -> None:
    tell("ready")
    time.sleep(0.5)
    tell("done")


def waits(tell: Tell) -> None:
    tell(os.getpid())
    time.sleep(600)


def test_a_worker_does_one_job_after_the_other_and_ends() -> None:
    with Worker("a worker", nothing) as worker:
        for number in (1, 2):
            worker.give(partial(doubled, number))
            assert worker.hear() == Told(number) and worker.hear() == Returned(2 * number)
        worker.give(partial(size, LARGE))
        assert worker.hear() == Returned(len(LARGE)) and worker.hear(0.0) is None
    assert worker.process.exitcode == 0


def test_one_that_dies_before_it_has_read_its_job_is_told() -> None:
    with pytest.raises(KilledError, match="a worker was killed by SIGKILL"), Worker("a worker", die) as worker:
        worker.give(partial(size, LARGE))
        worker.hear()


def test_one_that_dies_in_the_middle_of_its_result_is_told() -> None:
    with pytest.raises(KilledError), Worker("a worker", nothing) as worker:
        worker.give(says_more_than_a_pipe_holds)
        assert worker.hear() == Told("ready")
        time.sleep(0.5)  # the pipe is full by now
        os.kill(worker.process.pid or 0, signal.SIGKILL)
        worker.hear()


def test_an_error_has_its_own_words_and_says_where_it_came_from() -> None:
    with pytest.raises(FinestError) as caught, Worker("a worker", nothing) as worker:
        worker.give(fails)
        worker.hear()
    assert str(caught.value) == "what went wrong" and "in fails" in "".join(caught.value.__notes__)


def test_one_that_is_left_at_work_is_ended() -> None:
    with pytest.raises(RuntimeError), Worker("a worker", nothing) as worker:
        worker.give(waits)
        worker.hear()
        raise RuntimeError
    assert worker.process.exitcode == -signal.SIGTERM


def test_one_that_nobody_hears_any_more_ends_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    with Worker("a worker", nothing) as worker:
        worker.give(tells_later)
        assert worker.hear() == Told("ready")
        worker.connection.close()
        worker.process.join(60)
    assert worker.process.exitcode == 1 and capfd.readouterr().err == ""


def test_a_team_with_large_jobs_is_told_of_a_death_while_others_are_at_work() -> None:
    def kill(pid: Any) -> None:
        os.kill(pid, signal.SIGKILL)

    jobs: list[Callable[[Tell], object]] = [partial(size, LARGE), waits, *[partial(size, LARGE)] * 4]
    with pytest.raises(KilledError, match="a training process was killed by SIGKILL"):
        workers.run(jobs, torch.device("cpu"), 2, kill)


def test_a_team_returns_results_in_order() -> None:
    assert workers.run(
        [partial(doubled, number) for number in range(5)], torch.device("cpu"), 2, lambda event: None
    ) == [0, 2, 4, 6, 8]
