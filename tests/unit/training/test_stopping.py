"""When a training ends that is watched, what is kept of it, and that an interruption changes neither."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from finest.data.cuts import validation
from finest.errors import DataError
from finest.models.config import SASRecConfig
from finest.perturb.plan import Variant
from finest.training.checkpoint import Checkpoint
from finest.training.config import Pretrain
from finest.training.history import Record
from finest.training.pretrain import pretrained
from finest.training.stopping import EVERY, LONGER, SHARE, HeldOut, Stopping
from finest.training.unit import TrainUnit
from finest.training.workers import Event
from storage import checkpoint_store
from tests.builders import random_dataset, written_dataset

CPU = torch.device("cpu")
CONFIG = Pretrain(model=SASRecConfig(hidden_size=8, num_layers=1, max_length=6), epochs=60, batch_size=8, lr=0.01)


def follow(values: Mapping[int, float] | list[float], patience: int, most: int = 10**6) -> Stopping:
    """A watch that has looked at a training of at most so many steps; `values` are those of its looks, in order."""
    left = iter(values)
    watch = Stopping(lambda state: float(state["value"]), patience)
    for step in range(1, most + 1):
        if watch.due(step) or step == most:
            if (value := next(left, None)) is None:
                break
            watch.look(step, {"value": torch.tensor(value, dtype=torch.float64)})
            if watch.over:
                break
    return watch


@settings(max_examples=60, deadline=None)
@given(
    rise=st.lists(st.floats(0.001, 0.1), min_size=1, max_size=40), patience=st.integers(1, 2000), seed=st.integers(0, 9)
)
def test_of_a_curve_that_peaks_the_peak_is_kept_and_training_ends_no_sooner_than_said(
    rise: list[float], patience: int, seed: int
) -> None:
    up = np.cumsum(rise)
    down = up[-1] - np.random.default_rng(seed).random(500) * 0.5 - 1e-6
    watch = follow([*up, *down], patience)
    found = watch.found()
    assert found.why == "patience" and found.value == up[-1] == float(watch.best["value"])
    assert watch.curve[len(up) - 1][0] == found.steps
    waited = max(patience, found.steps // LONGER)
    assert waited <= found.last - found.steps < waited + max(EVERY, found.last // SHARE)


def test_looks_are_fifty_steps_apart_and_later_a_fortieth() -> None:
    steps = [step for step, _ in follow(list(np.arange(160.0)), 10).curve]
    apart = np.diff(steps)
    assert steps[0] == EVERY and (apart[:19] == EVERY).all()
    assert (apart[60:] == np.array(steps[60:-1]) // SHARE).all() and apart[-1] > 2 * EVERY


def test_a_training_that_is_still_improving_at_the_maximum_says_so() -> None:
    found = follow([0.1, 0.2, 0.3], 200, most=120).found()
    assert (found.steps, found.last, found.why) == (120, 120, "maximum")


def test_of_equal_looks_the_first_is_kept() -> None:
    assert follow([0.2, 0.2, 0.2, 0.2, 0.2], 150).found().steps == EVERY


class InterruptedTrainingError(Exception):
    pass


def train(folder: Path, stop_after: int | None = None) -> tuple[dict[str, Tensor], list[Record], Stopping]:
    """A watched training on a validation cut."""
    data = validation(random_dataset(users=40, items=30))

    def on_event(event: Event) -> None:
        if event[1]["epoch"] == stop_after and not event[1].get("resumed"):
            raise InterruptedTrainingError

    watch = Stopping(HeldOut(CONFIG, data, 0, CPU), 100)
    unit = TrainUnit((Variant(name="clean", role="clean", seed=0),), (None,), 1, stacked=False)
    saved = Checkpoint(checkpoint_store(str(folder)), "c")
    (model,), (history,) = pretrained(data, unit, CONFIG, CPU, saved, on_event, watch)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}, history, watch


def test_a_watched_training_keeps_its_best_weights_and_stops_within_an_epoch(tmp_path: Path) -> None:
    state, history, watch = train(tmp_path)
    found = watch.found()
    assert found.why == "patience" and history[-1]["step"] == found.last
    assert found.value == max(value for _, value in watch.curve) == watch.measure(state)


@pytest.mark.parametrize("epoch", [1, 5])
def test_interrupted_it_decides_the_same_and_ends_with_the_same_weights(tmp_path: Path, epoch: int) -> None:
    whole, history, watch = train(tmp_path / "whole")
    with pytest.raises(InterruptedTrainingError):
        train(tmp_path / "cut", stop_after=epoch)
    for _ in range(2):  # the second finds a training that has ended
        resumed, again, other = train(tmp_path / "cut")
        assert other.curve == watch.curve and other.found() == watch.found()
        assert [one["step"] for one in again] == [one["step"] for one in history]
        assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())


def test_without_a_held_out_row_one_line_says_what_to_set() -> None:
    data = written_dataset({"ann": "a", "bob": "b", "cid": "c"})
    with pytest.raises(DataError, match=r"pretrain\.steps: auto has no held-out row"):
        HeldOut(CONFIG, validation(data), 0, CPU)
