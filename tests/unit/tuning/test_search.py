"""A search sees training rows alone, goes on where it was killed, and spends what it was given."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finest.data.dataset import Dataset
from finest.errors import FinestError
from finest.perturb.config import Scenario
from finest.training.config import Finetune, Pretrain
from finest.training.progress import Progress
from finest.tuning.config import Tune
from finest.tuning.search import search
from finest.tuning.space import Pair
from finest.tuning.trial import Trial
from storage.folder import FolderStore
from tests.builders import random_dataset

SPACE = {"pretrain": {"lr": {"low": 0.001, "high": 0.02, "log": True}, "epochs": {"low": 4, "high": 6}}}
CONFIG = Pair(
    Pretrain.model_validate(
        {
            "processes": 1,
            "epochs": 5,
            "model": {"name": "sasrec", "hidden_size": 8, "num_layers": 1, "max_length": 10},
            "memory": {"instances": 100},
        }
    ),
    Finetune(epochs=1, top_k=10),
)


PLAIN = Pair(CONFIG.pretrain.model_copy(update={"memory": "off"}), CONFIG.finetune)
"""Without a memory the network is always served."""


def quiet(told: object) -> None:
    return


def made(
    data: Dataset,
    store: Path,
    trials: int,
    config: Pair = CONFIG,
    report: Callable[[Progress], None] = quiet,
    on_trial: Callable[[Trial], None] = quiet,
    **tune: Any,
) -> list[Trial]:
    """The trials of a search."""
    budget = Tune(space=SPACE, trials=trials, **tune)
    return search(data, config, Scenario(kind="deletion"), budget, 0, FolderStore(store), report, on_trial)


def stable(trials: list[Trial]) -> list[Trial]:
    """Trials without what no two attempts have alike."""
    return [trial.model_copy(update={"seconds": 0.0}) for trial in trials]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return random_dataset(users=40, longest=40)


def with_other_held_out_rows(data: Dataset) -> Dataset:
    """The data with garbage in place of what is held out: items, moments, and who they are said to be."""
    rng, test = np.random.default_rng(7), ~data.train
    item, timestamp, ids = data.item.copy(), data.timestamp.copy(), data.target_ids.copy()
    item[test] = rng.integers(1, data.items + 1, test.sum())
    timestamp[test] = rng.integers(0, 10**6, test.sum())
    ids[test] = data.item_ids[item[test]]
    return dataclasses.replace(data, item=item, timestamp=timestamp, target_ids=ids)


def test_held_out_rows_change_nothing(data: Dataset, tmp_path: Path) -> None:
    garbage = with_other_held_out_rows(data)
    assert (garbage.item != data.item).any()
    found = stable(made(data, tmp_path / "one", 3))
    assert stable(made(garbage, tmp_path / "other", 3)) == found
    assert found[0].values == {"pretrain.lr": 0.002, "pretrain.epochs": 5} and len(found) == 3
    training = dataclasses.replace(data, item=np.where(data.train, np.roll(data.item, 1), data.item))
    assert stable(made(training, tmp_path / "training", 1)) != found[:1]  # as every row that it may see does


def test_a_killed_search_goes_on_to_the_same_end_and_makes_no_finished_trial_again(
    data: Dataset, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    heard: list[Progress] = []
    killed_at: list[str] = []

    def stop(progress: Progress) -> None:
        if progress.variant == "trial-1" and progress.stage == "finetune":
            killed_at.append(progress.variant)
            raise KilledError

    whole = made(data, tmp_path / "whole", 3, PLAIN)
    with pytest.raises(KilledError):
        made(data, tmp_path / "killed", 3, PLAIN, report=stop)
    assert killed_at
    told: list[Trial] = []
    again = made(data, tmp_path / "killed", 3, PLAIN, report=heard.append, on_trial=told.append)
    assert stable(again) == stable(whole) and told == again
    trained = {(one.variant, one.stage) for one in heard if not one.resumed}
    assert not any(variant == "trial-0" for variant, _ in trained) and ("trial-2", "pretrain") in trained
    assert ("trial-1", "finetune") in trained and ("trial-1", "pretrain") not in trained  # its checkpoint has that

    heard.clear()
    assert made(data, tmp_path / "killed", 3, PLAIN, report=heard.append) == again and heard == []
    assert FolderStore(tmp_path / "killed").list("tune/")[0].endswith("/journal")
    assert len(FolderStore(tmp_path / "killed").list("tune/")) == 1


def test_no_epoch_of_a_trial_is_trained_twice(data: Dataset, tmp_path: Path) -> None:
    """A training goes on from the rung where it was compared with others, and weights are fitted to what it made."""
    heard: list[Progress] = []
    (trial,) = made(data, tmp_path, 1, report=heard.append)
    epochs = [(one.stage, one.epoch) for one in heard if not one.resumed]
    assert list(trial.rungs) == [4] and len(epochs) == (5 if trial.served == "memory" else 2 * (5 + 1))
    assert not list((tmp_path / "tune").rglob("*.safetensors"))


def test_a_trial_trains_as_long_as_it_improves_where_the_config_says_so(data: Dataset, tmp_path: Path) -> None:
    steps = {"epochs": None, "steps": "auto", "patience": 3, "max_epochs": 6, "memory": "off"}
    auto = Pair(CONFIG.pretrain.model_copy(update=steps), CONFIG.finetune)
    heard: list[Progress] = []
    budget = Tune(space={"pretrain": {"lr": [0.002, 0.02]}}, trials=2)
    found = search(data, auto, Scenario(kind="deletion"), budget, 0, FolderStore(tmp_path), heard.append, quiet)
    assert [trial.state for trial in found] == ["finished"] * 2 and all(trial.rungs == {} for trial in found)
    epochs = [one.epoch for one in heard if one.variant == "trial-0" and one.stage == "pretrain"]
    assert epochs.count(1) == 2  # the clean variant's, and the probe's, which is as long as that one's best


def test_the_minutes_end_a_search_and_more_of_them_go_on_with_it(data: Dataset, tmp_path: Path) -> None:
    """The config's own trial is measured whatever it takes."""
    first = made(data, tmp_path, 3, minutes=1e-6)
    assert [trial.number for trial in first] == [0] and first[0].state == "finished"
    assert [trial.number for trial in made(data, tmp_path, 3, minutes=60)] == [0, 1, 2]


def test_a_trial_that_cannot_be_trained_is_a_row_and_the_config_itself_an_error(data: Dataset, tmp_path: Path) -> None:
    def tried(tune: Tune, finetune: Finetune) -> list[Trial]:
        given = Pair(CONFIG.pretrain, finetune), Scenario(kind="deletion"), tune, 0
        return search(data, *given, FolderStore(tmp_path), quiet, quiet)

    large = Tune(space={"finetune": {"top_k": [10, 1000]}}, trials=6)
    states = {trial.values["finetune.top_k"]: trial for trial in tried(large, Finetune(epochs=1, top_k=10))}
    assert states[1000].state == "failed" and "2000 items, of 60" in states[1000].reason
    with pytest.raises(FinestError, match=r"the config that the search begins with cannot be trained: finetune\.top_k"):
        tried(large, Finetune(epochs=1, top_k=500))
