"""Who wins of many promotions at one moment, and what is left of one that is killed."""

import logging
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finest.errors import FinestError
from tests import racers
from tests.integration.tracking.conftest import NAME, before, moved, version
from tests.services.process import HOST, answers, free_port, running
from tracking import ledger, production, registry, standing, store
from tracking.outcome import outcome
from tracking.promotion import Judged

Step = Callable[..., registry.Version]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(racers.MODULES)
RACERS = 8


@pytest.fixture(params=["sqlite", "server", "postgres"])
def any_store(request: pytest.FixtureRequest, state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The embedded store, MLflow's own server on SQLite, and one on PostgreSQL, each with a line that is new to it."""
    if request.param == "sqlite":
        yield
        return
    if request.param == "postgres":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("shared_mlflow"))
        yield
        return
    port, database = free_port(), f"sqlite:///{state}/mlflow/mlflow.db"
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database, "--artifacts-destination", str(state / "artifacts")]
    with running(command, state / "server.log", answers(f"http://{HOST}:{port}/health")):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{HOST}:{port}")
        yield


def race(line: str, folder: Path, count: int) -> None:
    """Many moves at one moment, each planned after the same entry: one wins, and all others are told why not."""
    versions = [version(line) for _ in range(count)]
    before = ledger.read(line)
    moves = [production.promotion(line, one, force=True) for one in versions]
    barrier = FORKS.Barrier(count)
    codes = racers.all_at_once(
        [
            FORKS.Process(target=racers.by_hand, args=(racers.place(), barrier, move, folder / move.to.version))
            for move in moves
        ]
    )
    assert sorted(codes, key=str) == [0, *[1] * (count - 1)], codes
    won, log = moves[codes.index(0)].to.version, ledger.read(line)
    assert log.top == before.top + count and log.champion == won and standing.stand(line).served == won
    assert {one.entry.to_version for one in log.written[-count:] if one.entry} == set(versions)
    assert [one.number for one in log.moves] == [*(one.number for one in before.moves), before.top + 1]
    for loser in set(versions) - {won}:
        said = (folder / loser).read_text()
        assert f"another move was quicker: entry {before.top + 1} of the ledger of {line}" in said
    assert production.problems(line) == []


def test_of_eight_moves_at_one_moment_the_lowest_entry_wins_and_seven_are_told(any_store: None, tmp_path: Path) -> None:
    line = f"race-{tmp_path.name}"
    moved(line, version(line))
    race(line, tmp_path, RACERS)


@pytest.mark.slow
def test_of_twenty_moves_at_one_moment_one_wins_twenty_times(
    shared_mlflow: str, tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared_mlflow)
    line = f"race-{tmp_path.name}"
    moved(line, version(line))
    for _ in range(20):
        race(line, tmp_path, 20)


def test_of_eight_steps_that_all_found_the_champion_unchanged_one_promotes(
    promoted: Step,
    judged: Callable[..., Judged],
    tmp_path: Path,
) -> None:
    promoted("run-1", 0, None)
    barrier, one = FORKS.Barrier(RACERS), judged(1)
    codes = racers.all_at_once(
        [
            FORKS.Process(
                target=racers.step,
                args=(
                    racers.place(KFP_RUN_ID=f"racer-{number}"),
                    barrier,
                    one,
                    before(NAME, "1"),
                    tmp_path / f"racer-{number}",
                ),
            )
            for number in range(RACERS)
        ]
    )
    assert sorted(codes, key=str) == [0, *[1] * 7], codes
    versions = {one.kfp_run_id: one for one in registry.list_versions(NAME)}
    won = versions[f"racer-{codes.index(0)}"]
    assert won.aliases == ("champion",) and versions["run-1"].aliases == ("previous",)
    log = ledger.read(NAME)
    assert [one.entry.to_version for one in log.moves if one.entry] == ["1", won.version]
    assert standing.check(NAME).served == won.version and log.breaks() == []
    assert [outcome(f"racer-{number}", NAME).promoted_version for number in range(RACERS)].count(None) == 7
    for number in range(RACERS):
        loser = versions[f"racer-{number}"]
        if loser != won:
            said = (tmp_path / f"racer-{number}").read_text()
            assert "another move was quicker" in said and loser.refused.startswith("another move was quicker")
            with pytest.raises(FinestError, match="stays out of production: another move was quicker"):
                production.promotion(NAME, loser.version)


@pytest.mark.parametrize("mend", [standing.check, production.repair])
def test_what_was_killed_between_entry_and_alias_is_finished_by_whoever_comes_next(
    line: str, mend: Callable[[str], object]
) -> None:
    killed = FORKS.Process(
        target=racers.killed_behind_the_entry, args=(racers.place(), production.rollback(line, "2", force=True))
    )
    assert racers.all_at_once([killed]) == [-signal.SIGKILL]
    now = standing.stand(line)
    assert (now.served, now.champion, now.unfinished, now.moved) == ("3", "2", True, None)
    assert production.problems(line) == [
        f"the alias champion of {line} has yet to follow entry 4 of the ledger to version 2: `finest models repair` "
        "lets it"
    ]
    mend(line)
    assert standing.stand(line).served == "2" and production.problems(line) == []


def test_a_late_alias_of_a_slow_winner_gives_way_to_the_move_after_it(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[str] = []
    real = standing._set

    def slow(client: object, name: str, alias: str, to: str, now: str) -> None:
        if alias == "champion" and not late:
            late.append(to)
            moved(line, "2", "in between")
        real(client, name, alias, to, now)  # type: ignore[arg-type]

    monkeypatch.setattr(standing, "_set", slow)
    moved(line, "1", "slow")
    assert late == ["1"] and ledger.read(line).champion == standing.stand(line).served == "2"
    assert production.problems(line) == []


def test_a_retry_of_a_step_whose_promotion_was_rolled_back_does_nothing_and_says_so(
    promoted: Step, caplog: pytest.LogCaptureFixture
) -> None:
    promoted("run-1", 0, None)
    promoted("run-2", 1, "1")
    assert promoted("run-2", 1, "1").aliases == ("champion",)
    production.make(production.rollback(NAME), "odd lists")
    before = ledger.read(NAME)
    with caplog.at_level(logging.WARNING):
        assert promoted("run-2", 1, "1").aliases == ()
    assert ledger.read(NAME) == before and standing.check(NAME).served == "1"
    assert (
        "has promoted version 2 of finest-test already (entry 2 of the ledger), and entry 3 has replaced it"
        in caplog.text
    )
    assert "odd lists): nothing is done" in caplog.text


def test_a_step_that_was_killed_behind_its_entry_ends_as_champion_when_it_is_tried_again(
    promoted: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted("run-1", 0, None)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(standing, "settle", lambda line: (_ for _ in ()).throw(KeyboardInterrupt))
        promoted("run-2", 1, "1")
    assert standing.stand(NAME).unfinished
    assert promoted("run-2", 1, "1").aliases[0] == "champion"
    assert ledger.read(NAME).top == 2 and standing.stand(NAME).served == "2"


@contextmanager
def watched(line: str, known: set[str]) -> Iterator[list[str]]:
    """Asks all the time what is in production; yields what was wrong with that, a line each.

    Args:
        line: The line, which has a champion.
        known: Versions whose packages were found whole.
    """
    wrong: list[str] = []
    over = threading.Event()

    def look() -> None:
        client = store.connect()
        while not over.is_set():
            found = client.get_model_version_by_alias(line, "champion")
            number = str(found.version)
            if not ledger.read(line).has_proven(number, found.tags.get(registry.VERIFIED, "")):
                wrong.append(f"version {number} is champion and nobody has proven it")
            if number not in known:
                try:
                    registry.package(registry.get(line, number), Path(os.environ["FINEST_STATE"], "seen", number))
                    known.add(number)
                except FinestError as error:
                    wrong.append(str(error))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield wrong
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
def test_a_promotion_that_is_killed_anywhere_leaves_a_proven_champion_and_ends_right_when_it_is_tried_again(
    promoted: Step, judged: Callable[..., Judged], tmp_path: Path
) -> None:
    promoted("run-0", 0, None)
    draw, one, known = random.Random(0), judged(1), set[str]()

    def step(run: str) -> multiprocessing.process.BaseProcess:
        expected = before(NAME, ledger.read(NAME).champion)
        arguments = racers.place(KFP_RUN_ID=run), None, one, expected, tmp_path / run
        process = FORKS.Process(target=racers.step, args=arguments)
        process.start()
        return process

    for name in ("run-first", "run-whole"):  # the first one of a server of forks is slow
        began = time.monotonic()
        whole = step(name)
        whole.join(racers.SECONDS)
        seconds = time.monotonic() - began
        assert whole.exitcode == 0, (tmp_path / name).read_text()
    killed = number = 0
    with watched(NAME, known) as wrong:
        while killed < 20:
            process = step(f"run-{number + 1}")
            time.sleep(draw.uniform(0, seconds))
            process.kill()
            process.join()
            killed += process.exitcode == -signal.SIGKILL
            again = step(f"run-{number + 1}")
            again.join(racers.SECONDS)
            assert again.exitcode == 0, (tmp_path / f"run-{number + 1}").read_text()
            made = registry.champion(NAME)
            assert made and made.kfp_run_id == f"run-{number + 1}" and production.problems(NAME) == []
            number += 1
    assert wrong == [] and len(known) > 10
    log = ledger.read(NAME)
    assert len(log.moves) == 3 + number and log.breaks() == []


def test_a_champion_that_was_another_one_and_is_back_is_not_the_one_that_was_compared_with(promoted: Step) -> None:
    promoted("run-1", 0, None)
    promoted("run-2", 1, "1")
    production.make(production.rollback(NAME), "odd lists")
    seen = before(NAME, "1")
    production.make(production.promotion(NAME, "2"), "they were right")
    production.make(production.rollback(NAME), "they were not")
    with pytest.raises(FinestError, match=r"version 1, and back again .*they were right; .*they were not"):
        promoted("run-3", 2, seen)
    assert ledger.read(NAME).champion == "1"
