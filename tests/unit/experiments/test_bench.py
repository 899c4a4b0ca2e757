"""Treatments do what their names say, share what they may share, and leave nothing behind but records."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from finest.data.dataset import Dataset
from finest.experiments.bench import Bench
from finest.experiments.compare import accuracy, compared
from finest.experiments.kinds.cold_start import segments
from finest.experiments.record import Given, ImpossibleError
from finest.experiments.registry import EXPERIMENTS, TREATMENTS, cells
from finest.experiments.treatments.several import ensemble
from finest.models.registry import MODELS, build
from finest.models.saved import load
from finest.perturb.config import Perturb, Scenario
from finest.training.config import Finetune, Pretrain
from finest.training.regularisers.registry import REGULARISERS
from finest.tuning.shelf import Shelf
from storage.folder import FolderStore
from tests.builders import random_dataset, written_dataset

MODEL = {"name": "sasrec", "hidden_size": 4, "num_layers": 1, "max_length": 8}
GIVEN = Given(
    pretrain=Pretrain.model_validate({"epochs": 2, "processes": 1, "model": MODEL, "memory": "off"}),
    finetune=Finetune(epochs=1, top_k=5),
    perturb=Perturb(scenarios=[Scenario(kind="deletion", share=0.02)]),
    seeds=1,
)


def quiet(text: str) -> None:
    return


@pytest.fixture(scope="module")
def data() -> Dataset:
    return random_dataset(users=10, items=30, longest=20)


@pytest.fixture
def bench(data: Dataset, tmp_path: Path) -> Iterator[Bench]:
    with Bench(data, GIVEN, 0, Shelf(FolderStore(tmp_path), "t/"), quiet) as made:
        yield made


def weights(bench: Bench, name: str) -> dict[str, torch.Tensor]:
    return TREATMENTS[name]().make(bench, bench.clean, None).model.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_every_treatment_that_can_be_gives_another_model_and_the_same_one_again(bench: Bench) -> None:
    able = [name for name in TREATMENTS if not TREATMENTS[name]().missing()]
    found = {name: weights(bench, name) for name in able if not name.startswith(("ensemble", "best_of"))}
    for name, state in found.items():
        assert same(state, weights(bench, name)), name
        twins = [other for other, theirs in found.items() if other != name and same(state, theirs)]
        assert not twins, f"{name} is {twins}"
    assert same(found["none"], weights(bench, "best_of"))  # the clean one is its first seed
    assert ("kl" in REGULARISERS) == ("distillation" in able)


def test_the_average_of_nights_lies_half_way_between_them(bench: Bench) -> None:
    before = bench.before().model.state_dict()
    after, mean = weights(bench, "warm_start"), weights(bench, "average_of_nights")
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, (before[name] + after[name]) / 2)


def test_the_lists_that_are_kept_from_yesterday_are_those_of_yesterdays_model(bench: Bench) -> None:
    for night, model in (("yesterday", bench.before()), ("today", bench.base(bench.clean))):
        kept = load(bench.kept(5, night)[0].model)  # type: ignore[arg-type]
        assert same(kept.model.state_dict(), model.model.state_dict())


def test_yesterdays_model_has_seen_no_row_of_today(data: Dataset, tmp_path: Path) -> None:
    row = np.flatnonzero(data.train)
    last = [row[data.user[row] == user][-1] for user in range(len(data.user_ids)) if (data.user[row] == user).sum() > 1]
    item = data.item.copy()
    item[last] = item[last] % data.items + 1
    made = []
    for name, one in (("a", data), ("b", dataclasses.replace(data, item=item))):
        with Bench(one, GIVEN, 0, Shelf(FolderStore(tmp_path / name), "t/"), quiet) as bench:
            made.append(bench.before().model.state_dict())
    assert same(*made)


def test_what_trains_as_long_as_finest_does_so(bench: Bench) -> None:
    assert bench.passes == 2
    steps = bench.lasting(bench.passes + 1).steps
    assert isinstance(steps, int) and steps * 2 == 3 * (bench.lasting(2).steps or 0)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_ensembles_scores_are_the_mean_of_its_members(name: str) -> None:
    members = []
    for seed in range(3):
        model = build(MODELS[name].Config.model_validate({"name": name, "hidden_size": 8, "max_length": 6}), items=9)
        model.initialise(seed, 0.3)
        members.append(model.eval())
    histories = torch.tensor([[1, 2, 3, 0, 0, 0], [9, 0, 0, 0, 0, 0], [4, 5, 6, 7, 8, 9]])
    if members[0].timed:
        histories = torch.stack([histories, 60 * histories], 2)
    both = ensemble(members).eval()
    with torch.no_grad():
        mean = torch.stack([one.scores(one.summary(histories)) for one in members]).mean(0)
        torch.testing.assert_close(both.scores(both.summary(histories)), mean)


def test_equal_lists_are_not_inferior_where_there_are_users_enough_to_prove_it(bench: Bench, tmp_path: Path) -> None:
    few = bench.lists(bench.base(bench.clean).model, bench.clean, None, "network")
    found = accuracy(few, few, bench)
    assert found.items() >= {"mrr_ratio": 1.0, "non_inferior": 0.0}.items()
    shown = np.unique(few.items[:, :10])
    assert found["coverage_at_10"] == (shown > 0).sum() / bench.data.items
    with Bench(random_dataset(users=60), GIVEN, 0, Shelf(FolderStore(tmp_path / "many"), "t/"), quiet) as other:
        many = other.lists(other.base(other.clean).model, other.clean, None, "network")
        assert accuracy(many, many, other).items() >= {"mrr_ratio": 1.0, "non_inferior": 1.0}.items()


def test_a_row_a_sort_of_lists_with_costs_of_one_model(data: Dataset, tmp_path: Path) -> None:
    given = GIVEN.model_copy(
        update={"pretrain": Pretrain.model_validate({"epochs": 1, "model": MODEL, "memory": {"instances": 100}})}
    )
    with Bench(data, given, 0, Shelf(FolderStore(tmp_path), "t/"), quiet) as bench:
        rows = compared(bench, TREATMENTS["finest"](), "FINEST")
    assert [row.of for row in rows] == ["network", "served"]
    assert rows[0].values["rbo"] != rows[1].values["rbo"] and rows[0].cost == rows[1].cost
    assert rows[0].cost and rows[0].cost.cpu_s > 0 and rows[0].cost.peak_mb > 50


def test_a_training_that_another_cell_has_made_costs_the_same(bench: Bench) -> None:
    one, again = bench.base(bench.clean), bench.base(bench.clean)
    assert one.cost == again.cost and one.cost.wall_s > 0


def test_segments_are_of_everyone_and_none_is_empty() -> None:
    tiny = written_dataset({"ann": "a b | a", "bob": "b | b", "cat": "a b a b a | a"}, depth=2)
    found = segments(tiny)
    assert found["everyone"].all() and all(among.any() for among in found.values())
    assert found["history 1"].tolist() == [False, True, False] if "history 1" in found else True
    assert segments(written_dataset({"ann": "a b | a"}, depth=2))["everyone"].tolist() == [True]


def test_a_scenario_that_the_data_has_too_few_rows_for_is_impossible_and_not_broken(bench: Bench) -> None:
    (cell, *_) = [
        one for one in cells("intensity", GIVEN) if one.what == {"family": "earliest", "kind": "deletion", "share": 0.1}
    ]
    data = written_dataset({f"u{number}": "a b c d e f g h i j k l | a" for number in range(9)}, depth=2)
    with pytest.raises(ImpossibleError, match="but there are only 9"):
        EXPERIMENTS["intensity"]().measure(cell, Bench(data, GIVEN, 0, bench.shelf, quiet))
