"""A model with a memory: its lists, what is served of it, and its file."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finest.data.dataset import Dataset
from finest.histories import Histories
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.memory.features import Memory
from finest.memory.registry import FEATURES
from finest.memory.seen import Seen
from finest.models import ranking
from finest.models.config import SASRecConfig
from finest.models.ranking import scored
from finest.models.recommender import Recommender
from finest.models.registry import build
from finest.models.saved import Facts, load, recommend, save
from finest.ranklists.schema import Description, describe_catalogue
from finest.ranklists.take import take
from tests.builders import random_dataset

CONFIG = SASRecConfig(hidden_size=8, num_layers=1, max_length=6)
WEIGHTS = {"network": 0.7, "popularity": 0.2, **{name: 0.1 * number for number, name in enumerate(FEATURES, 1)}}


@pytest.fixture(scope="module")
def data() -> Dataset:
    made = random_dataset()
    return replace(made, manifest=made.manifest.model_copy(update={"exclude_seen": False}))


@pytest.fixture(scope="module")
def model(data: Dataset) -> Recommender:
    made = build(CONFIG, data.items)
    made.initialise(0, 0.3)
    return made.eval()


def memory(data: Dataset, **weights: float) -> Memory:
    return Memory(counted(data, data.training_rows(), MemoryConfig(), threads=1), WEIGHTS | weights)


def some(given: Histories, low: int, high: int) -> Histories:
    start = given.start[low : high + 1]
    return Histories(given.item[start[0] : start[-1]], start - start[0])


def scores(model: Recommender, given: Histories, memory: Memory | None) -> torch.Tensor:
    parts = scored(model, lambda part: some(given, part.start, part.stop), len(given), False, memory)
    return torch.cat([found for _, found in parts])


def test_scores_are_the_networks_log_probabilities_and_the_features_each_by_its_weight(
    data: Dataset, model: Recommender
) -> None:
    given = data.histories(data.instances().row)
    plain = scores(model, given, None).log_softmax(1)
    without = scores(model, given, memory(data, network=0.0))
    assert torch.allclose(scores(model, given, memory(data)), without + 0.7 * plain, atol=1e-5)
    more = scores(model, given, memory(data, network=0.0, follows=WEIGHTS["follows"] + 1)) - without
    pairs, values = FEATURES["follows"].values(Seen(memory(data).counts, given))
    expected = torch.zeros_like(more)
    expected[pairs.history, pairs.item - 1] = torch.from_numpy(values)
    assert torch.allclose(more, expected, atol=1e-5)


@pytest.mark.parametrize("cached", [1, 100, 2**20])
@pytest.mark.parametrize("weights", [{}, {"network": 0.0}, dict.fromkeys(FEATURES, 0.0)], ids=["all", "counts", "none"])
def test_sums_have_one_order_however_many_scores_are_added_at_a_time(
    data: Dataset, model: Recommender, weights: dict[str, float], cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "CACHED", cached)
    given, whole = data.histories(data.instances().row), memory(data, **weights)
    expected = torch.from_numpy(whole.everywhere).repeat(len(given), 1)
    for pairs, values in whole.sparse(given):
        expected[pairs.history, pairs.item - 1] += torch.from_numpy(values)
    if whole.network:
        expected += whole.network * scores(model, given, None).log_softmax(1)
    assert torch.equal(scores(model, given, whole), expected)


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_scores_of_any_layout_are_ranked(
    data: Dataset, model: Recommender, exclude_seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, whole = data.histories(data.instances().row), memory(data)

    def ranked() -> list[torch.Tensor]:
        parts = scored(model, lambda part: some(given, part.start, part.stop), len(given), exclude_seen, whole)
        return [found for _, found in parts]

    expected, plain = ranked(), model.scores
    monkeypatch.setattr(model, "scores", lambda hidden_ND: plain(hidden_ND).t().contiguous().t())
    assert all(torch.equal(*pair) for pair in zip(ranked(), expected, strict=True))


def test_a_history_scores_the_same_to_the_bit_whoever_is_scored_with_it(data: Dataset, model: Recommender) -> None:
    given, counts = data.histories(data.instances().row), memory(data)
    whole = scores(model, given, counts)
    for row in (0, 5, len(given) - 1):
        assert torch.equal(scores(model, some(given, row, row + 1), counts)[0], whole[row])


def test_what_is_served_is_what_was_listed_of_whole_histories(
    data: Dataset, model: Recommender, tmp_path: Path
) -> None:
    facts = Facts(model=CONFIG, seed=0, data_fingerprint="", depth=10, exclude_seen=False, stage="tuned")
    save(tmp_path, model, facts, [str(item) for item in data.item_ids], memory(data))
    served = load(tmp_path)
    assert served.memory is not None and served.memory.weights == WEIGHTS
    description = Description(
        catalogue=describe_catalogue(data.item_ids),
        model="sasrec",
        role="clean",
        stage="tuned",
        depth=10,
        exclude_seen=False,
    )
    lists = take(model, data, description, memory=memory(data))
    given = data.histories(data.instances().row)
    assert (given.sizes > CONFIG.max_length).any()
    histories = [[str(data.item_ids[code]) for code in some(given, row, row + 1).item] for row in range(len(given))]
    items, values = recommend(served, histories, 10)
    for row, (names, listed) in enumerate(zip(items, values, strict=True)):
        assert names == [str(data.item_ids[code]) for code in lists.items[row]]
        assert listed == lists.scores[row].tolist()
