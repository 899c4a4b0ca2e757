"""A training's process that is killed: by hand at chosen moments, for want of memory, and more often than it may be."""

import logging
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest

from components import memory
from components import supervised as module
from components.memory import Memory
from components.supervised import supervised
from finest.errors import ConfigError, FinestError, KilledError, OutOfMemoryError
from finest.perturb.config import Perturb, Scenario
from finest.perturb.plan import plan
from finest.processes import portable
from finest.training.progress import Progress, Report
from storage import checkpoint_store
from tests.builders import random_dataset
from tests.integration.components.works import dies, fails, leaves, odd, said, score
from tests.integration.training.test_steps import PRETRAIN, lists

SCENARIOS = Perturb(scenarios=[Scenario(kind="deletion", share=0.02)])
EPOCHS = 6


class Kernel:
    """A kernel that says how many processes it has killed for want of memory: those that die from now on."""

    looked = 0
    short: tuple[int, ...] = ()
    """Numbers of the looks, from 1, before which it has killed one more."""

    def __call__(self) -> Memory:
        self.looked += 1
        return Memory(629145600, True, 628000000, sum(number <= self.looked for number in self.short))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(module, "look", made)
    return made


def test_a_killed_process_is_started_again_and_its_log_is_heard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Progress] = []
    with caplog.at_level(logging.INFO):
        assert supervised(partial(dies, tmp_path / "count", 1, [3]), "pretrain", heard.append) == 1
    assert heard == [said(3)]
    assert (
        "the training's process was killed by SIGKILL; started again from the checkpoints, restart 1 of 2"
        in caplog.text
    )
    assert "all is well" in caplog.text


def test_the_third_kill_is_the_last(tmp_path: Path) -> None:
    with pytest.raises(FinestError, match="pretrain: the training's process was killed by SIGKILL, and 3 times in all"):
        supervised(partial(dies, tmp_path / "count", 5, [1, 2, 3]), "pretrain", lambda progress: None)
    assert (tmp_path / "count").read_text() == "3"


def test_out_of_memory_twice_at_the_same_place_is_one_line_that_says_what_to_raise(
    tmp_path: Path, kernel: Kernel
) -> None:
    kernel.short = (2, 4)  # before and after each death it is asked once
    with pytest.raises(OutOfMemoryError) as caught:
        supervised(partial(dies, tmp_path / "count", 5, [2]), "pretrain", lambda progress: None)
    text = str(caught.value)
    assert text.startswith(
        "pretrain: out of memory twice at the same place (after clean epoch 2): more is needed than 600Mi, the limit of"
    )
    assert "the peak was 599Mi" in text and "raise placement.memory" in text and "\n" not in text
    assert (tmp_path / "count").read_text() == "2"


def test_out_of_memory_with_an_epoch_in_between_goes_on(
    tmp_path: Path, kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.short = (2, 4)
    assert supervised(partial(dies, tmp_path / "count", 2, [2, 3]), "pretrain", lambda progress: None) == 2
    assert caplog.text.count("out of memory: the training's process was killed by SIGKILL") == 2


def test_a_kill_that_was_not_the_kernels_is_not_called_out_of_memory(
    tmp_path: Path, kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    assert supervised(partial(dies, tmp_path / "count", 1, []), "pretrain", lambda progress: None) == 1
    assert "out of memory" not in caplog.text


def test_where_memory_is_short_the_training_goes_before_its_step(tmp_path: Path) -> None:
    before = memory.SCORE.read_text()
    supervised(partial(score, tmp_path / "score"), "pretrain", lambda progress: None)
    assert (tmp_path / "score").read_text() == "1000\n" and memory.SCORE.read_text() == before


def test_an_error_of_the_work_is_raised_as_it_is_and_nothing_is_started_again() -> None:
    with pytest.raises(ConfigError, match="heads: 3 does not divide 8") as caught:
        supervised(fails, "pretrain", lambda progress: None)
    assert "in fails" in "".join(caught.value.__notes__)  # where it came from, for the log
    with pytest.raises(RuntimeError, match="OddError: nobody else knows me"):
        supervised(odd, "pretrain", lambda progress: None)
    with pytest.raises(FinestError, match="ended with exit code 7 and without a word"):
        supervised(leaves, "pretrain", lambda progress: None)


def test_errors_cross_to_the_step_with_their_kind_and_exit_code() -> None:
    class SpecialError(ConfigError):
        def __init__(self, cause: str, fix: str):
            super().__init__(f"{cause}; {fix}")

    crossed = portable(SpecialError("a", "b"))
    assert type(crossed) is ConfigError and str(crossed) == "a; b"
    killed = portable(KilledError("it", 9))
    assert isinstance(killed, KilledError) and killed.number == 9
    full = OSError(28, "No space left on device")
    assert portable(full) is full


def pretrains(checkpoints: Path, out: Path, report: Report, processes: int = 2) -> None:
    from finest.training.pretrain import pretrain

    data = random_dataset(users=24, items=40)
    edits, planned = plan(data, SCENARIOS, 0)
    config = PRETRAIN.model_copy(update={"epochs": EPOCHS, "processes": processes})
    pretrain(data, edits, planned, "0", config, checkpoint_store(str(checkpoints)), out, report)


def trained(folder: Path, report: Report) -> int:
    return supervised(partial(pretrains, folder / "checkpoints", folder / "bases"), "pretrain", report)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a training in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    pretrains(folder / "checkpoints", folder / "bases", lambda progress: None, processes=1)
    return folder / "bases"


def kill_when(reports: int, chosen: str) -> Report:
    """Kills one of the training's processes, or the one that they work for, once so much is reported."""
    left = [reports]

    def report(progress: Progress) -> None:
        left[0] -= 1
        if left[0] == 0:
            child = next(
                one for one in psutil.Process().children() if "multiprocessing.spawn" in " ".join(one.cmdline())
            )
            workers = [one for one in child.children() if "multiprocessing.spawn" in " ".join(one.cmdline())]
            (child if chosen == "main" else workers[int(chosen)]).send_signal(signal.SIGKILL)

    return report


MOMENTS = [(1, "main"), (4, "0")]


@pytest.mark.parametrize(("reports", "chosen"), MOMENTS)
def test_killed_at_any_moment_it_ends_with_the_same_weights(
    undisturbed: Path, tmp_path: Path, reports: int, chosen: str
) -> None:
    assert trained(tmp_path, kill_when(reports, chosen)) == 1
    for variant in ("clean", "identity", "rounding", "seed", "random-deletion-0.02-s0"):
        ours, theirs = (lists(folder, "base", variant) for folder in (tmp_path / "bases", undisturbed))
        assert (ours.scores == theirs.scores).all()
        weights = [
            (folder / "models" / variant / "weights.safetensors").read_bytes()
            for folder in (tmp_path / "bases", undisturbed)
        ]
        assert weights[0] == weights[1]
    assert [
        one for one in psutil.Process().children(recursive=True) if "multiprocessing.spawn" in " ".join(one.cmdline())
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reports", "chosen"), [(1 + 3 * number, ["main", "0", "1"][number % 3]) for number in range(10)]
)
def test_killed_at_ten_moments_it_ends_with_the_same_weights(
    undisturbed: Path, tmp_path: Path, reports: int, chosen: str
) -> None:
    test_killed_at_any_moment_it_ends_with_the_same_weights(undisturbed, tmp_path, reports, chosen)
