"""How long all variants train: found on a validation cut, scaled to all rows, and kept by a line for some nights."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from components.sections import parse
from finest.data.cuts import split, validation
from finest.data.dataset import Dataset
from finest.data.epoch import DAY
from finest.errors import ConfigError, FinestError
from finest.memory.config import MemoryConfig
from finest.models.config import SASRecConfig
from finest.models.saved import read_facts
from finest.perturb.config import Perturb, Scenario
from finest.perturb.plan import plan
from finest.training import trial, unseen
from finest.training.calibrate import calibrate
from finest.training.config import Finetune, Pretrain
from finest.training.finetune import finetune
from finest.training.history import read_history
from finest.training.pretrain import pretrain, pretrained
from finest.training.recipe import Recipe
from storage import checkpoint_store
from tests.builders import random_dataset

AUTO = Pretrain(
    model=SASRecConfig(hidden_size=8, num_layers=1, max_length=3),
    steps="auto",
    patience=60,
    memory="off",
    batch_size=4,
    lr=0.01,
    device="cpu",
    processes=1,
)
SCENARIOS = Perturb(scenarios=[Scenario(kind="deletion", share=0.02)])


def dataset(nights: int) -> Dataset:
    """So many days of a line: a user has a row a day, and the newest tenth of rows is held out."""
    data = random_dataset(users=60, items=30)
    data = replace(data, timestamp=data.position * DAY)
    keep = data.timestamp <= (nights + 10) * DAY
    night = split(data, data.train & (data.timestamp < (nights + 10) * DAY), keep)
    return replace(night, manifest=data.manifest.model_copy(update={"fingerprint": f"night {nights}"}))


def recipe(data: Dataset, folder: Path, champion: Path | None = None, config: Pretrain = AUTO) -> Recipe:
    """What `calibrate` finds."""
    calibrate(
        data, config, 0, champion, checkpoint_store(str(folder / "checkpoints")), folder / "recipe", lambda _: None
    )
    return Recipe.read(folder / "recipe")


def night(data: Dataset, folder: Path, champion: Path | None = None, config: Pretrain = AUTO) -> tuple[Recipe, Path]:
    """The trainings of a night, and the folder of their results."""
    found, store = recipe(data, folder, champion, config), checkpoint_store(str(folder / "checkpoints"))
    edits, planned = plan(data, SCENARIOS, 0)
    pretrain(data, edits, planned, "0", config, store, folder / "bases", lambda _: None, found)
    tuning = Finetune(epochs=1, top_k=5)
    bases, tuned = folder / "bases", folder / "tuned"
    finetune(data, edits, planned, "0", config, tuning, bases, champion, store, tuned, lambda _: None)
    return found, tuned


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recipe, Path]]:
    """The first night of a line: no champion, nothing known."""
    yield night(dataset(0), tmp_path_factory.mktemp("first"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Pretrain]:
    """The configs of the trainings on a validation cut that are made."""
    made: list[Pretrain] = []
    train = pretrained

    def counting(data, unit, config, *rest):  # type: ignore[no-untyped-def]
        made.append(config)
        return train(data, unit, config, *rest)

    monkeypatch.setattr(trial, "pretrained", counting)
    return made


def test_the_first_night_measures_and_scales_the_steps_to_all_rows(first: tuple[Recipe, Path]) -> None:
    found, data = first[0], dataset(0)
    assert found.found and found.length and found.found.why == "patience"
    short, whole = (trial.steps_of_epoch(rows, AUTO) for rows in (validation(data), data))
    assert short < whole and found.scale == whole / short
    assert found.length.steps == round(found.found.steps * whole / short)
    assert f"Every variant trains {found.length.steps} steps" in found.sentence
    assert f"MRR was best after {found.found.steps} steps" in found.sentence


def test_every_variant_trains_that_many_steps_and_the_package_says_so(first: tuple[Recipe, Path]) -> None:
    found, folder = first
    assert found.length
    for file in (folder / "history").iterdir():
        steps = [one["step"] for one in read_history(folder, file.stem) if one["stage"] == "pretrain"]
        assert steps[-1] == found.length.steps and len(steps) == -(-found.length.steps // steps[0])
    assert read_facts(folder / "candidate").length == found.length


def test_nights_in_between_keep_the_champions_length_by_windows_and_train_nothing(
    first: tuple[Recipe, Path], tmp_path: Path, trainings: list[Pretrain]
) -> None:
    champion, data = first[1] / "candidate", dataset(3)
    found = recipe(data, tmp_path, champion)
    assert not trainings and found.kept and found.found is None
    assert found.length and first[0].length and found.length.measured == first[0].length.measured
    assert (
        found.length.steps == round(first[0].length.epochs * trial.steps_of_epoch(data, AUTO)) > first[0].length.steps
    )
    assert "as long as the champion" in found.sentence


@pytest.mark.parametrize(
    ("nights", "changes"),
    [(7, {}), (3, {"lr": 0.02}), (3, {"patience": 70}), (3, {"remeasure_nights": 2})],
)
def test_it_is_measured_again_after_some_nights_and_under_other_settings(
    first: tuple[Recipe, Path], tmp_path: Path, trainings: list[Pretrain], nights: int, changes: dict[str, float]
) -> None:
    config = AUTO.model_copy(update=changes)
    found = recipe(dataset(nights), tmp_path, first[1] / "candidate", config)
    assert len(trainings) == 1 and found.found and not found.kept


@pytest.mark.parametrize(("instances", "network"), [(100, "champion"), (100_000, "cut")])
def test_a_memorys_weights_are_fitted_to_the_champion_where_it_has_not_seen_enough_rows(
    first: tuple[Recipe, Path], tmp_path: Path, trainings: list[Pretrain], instances: int, network: str
) -> None:
    """Where it has, the training on the cut is as long as is known, and nothing is measured."""
    data = dataset(4)
    config = AUTO.model_copy(update={"memory": MemoryConfig(instances=instances)})
    found = recipe(data, tmp_path, first[1] / "candidate", config)
    assert found.network == network and found.kept and found.found is None and found.mrr
    cut = validation(data)
    known = [round(first[0].length.epochs * trial.steps_of_epoch(cut, AUTO))] if first[0].length else []
    assert [config.steps for config in trainings] == ([] if network == "champion" else known)
    assert ("that the champion has not seen" in found.sentence) == (network == "champion")


def test_a_known_number_of_steps_is_trained_and_nothing_measured(tmp_path: Path, trainings: list[Pretrain]) -> None:
    config = AUTO.model_copy(update={"steps": 37})
    found, folder = night(dataset(0), tmp_path, config=config)
    assert not trainings and found.length is None and not found.sentence
    assert [one["step"] for one in read_history(folder, "clean") if one["stage"] == "pretrain"][-1] == 37


def test_as_many_steps_as_epochs_have_give_the_same_weights(tmp_path: Path) -> None:
    data = dataset(0)
    lengths: list[dict[str, int | None]] = [
        {"steps": None, "epochs": 3},
        {"steps": 3 * trial.steps_of_epoch(data, AUTO)},
    ]
    one, other = (
        night(data, tmp_path / str(number), config=AUTO.model_copy(update=length))[1]
        for number, length in enumerate(lengths)
    )
    weights = "candidate/weights.safetensors"
    assert (one / weights).read_bytes() == (other / weights).read_bytes()


def test_variants_do_not_train_before_it_is_known_how_long(tmp_path: Path) -> None:
    data = dataset(0)
    edits, planned = plan(data, SCENARIOS, 0)
    store = checkpoint_store(str(tmp_path))
    with pytest.raises(FinestError, match="has no number of steps: calibrate first"):
        pretrain(data, edits, planned, "0", AUTO, store, tmp_path / "bases", lambda _: None)


def test_one_of_epochs_and_steps_is_given() -> None:
    assert Pretrain().epochs == 12 and Pretrain(steps="auto").epochs is None
    with pytest.raises(ConfigError, match=r"^pretrain: epochs and steps exclude each other: unset one of the two$"):
        parse(Pretrain, {"epochs": 12, "steps": "auto"}, "pretrain")
    with pytest.raises(ConfigError, match=r"^pretrain\.steps = 'atuo'"):
        parse(Pretrain, {"steps": "atuo"}, "pretrain")


def test_counts_of_a_night_in_between_do_not_hold_what_weights_are_fitted_on(first: tuple[Recipe, Path]) -> None:
    champion, data = first[1] / "candidate", dataset(4)
    fitting = unseen.of_champion(champion, data, MemoryConfig(instances=1000), 0, torch.device("cpu"))
    newest = {user: dataset(0).position[(dataset(0).user == user) & dataset(0).train].max() for user in fitting.user}
    length = np.diff(fitting.featured.histories.start)
    assert len(fitting.target) and all(size > newest[user] for user, size in zip(fitting.user, length, strict=True))
    seen = data.train & (data.timestamp < 10 * DAY)
    share = (np.bincount(data.item[seen], minlength=data.items + 1)[1:] + 1) / (seen.sum() + data.items)
    assert np.allclose(fitting.featured.counts.popularity[1:], share)
