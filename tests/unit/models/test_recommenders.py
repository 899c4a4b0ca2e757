from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from components.sections import parse
from finest.errors import ConfigError, DataError
from finest.models.config import GRU4RecConfig, ModelConfig, SASRecConfig
from finest.models.ranking import rank, top
from finest.models.recommender import Recommender
from finest.models.registry import MODELS, build
from finest.models.saved import Facts, load, recommend, save
from finest.ranklists.schema import Description, describe_catalogue
from finest.ranklists.take import take
from finest.testing import check_model
from finest.training.config import Pretrain
from tests.builders import random_dataset


def model_of(name: str, items: int = 40, length: int = 8) -> tuple[ModelConfig, Recommender]:
    config = MODELS[name].Config.model_validate({"hidden_size": 16, "num_layers": 2, "max_length": length})
    model = build(config, items)
    model.initialise(0, 0.3)
    return config, model.eval()


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_keeps_the_contract(name: str) -> None:
    check_model(name)


@pytest.mark.parametrize("name", list(MODELS))
def test_weights_depend_on_the_seed_alone_and_not_on_the_catalogues_size(name: str) -> None:
    _, small = model_of(name, items=40)
    _, again = model_of(name, items=40)
    _, large = model_of(name, items=41)
    for (label, weight), (_, same), (_, other) in zip(
        small.named_parameters(), again.named_parameters(), large.named_parameters(), strict=True
    ):
        assert torch.equal(weight, same)
        assert label in ("embedding", "bias") or torch.equal(weight, other)


def test_heads_that_do_not_divide_the_hidden_units_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^pretrain\.model: num_heads \(3\) must divide hidden_size \(16\)$"):
        parse(Pretrain, {"model": {"name": "sasrec", "hidden_size": 16, "num_heads": 3}}, "pretrain")


def test_a_model_has_its_own_keys_and_takes_them_as_a_pipeline_hands_them_on() -> None:
    with pytest.raises(ConfigError, match=r"^pretrain\.model\.num_heads: there is no such config key"):
        parse(Pretrain, {"model": {"name": "gru4rec", "num_heads": 1}}, "pretrain")
    assert parse(Pretrain, {"model": {"name": "gru4rec", "hidden_size": 8.0}}).model == GRU4RecConfig(hidden_size=8)
    assert (
        Pretrain().model
        == SASRecConfig()
        == parse(Pretrain, {"model": {"num_layers": 2.0}}).model
        == parse(Pretrain, {"model": "sasrec"}).model
    )


def test_ranks_are_mean_ranks_under_ties_and_missing_where_nothing_can_be_ranked() -> None:
    scores = torch.tensor([[3.0, 1.0, 1.0, 1.0, -torch.inf]])
    ranks = [rank(scores, np.array([code]))[0] for code in (1, 2, 5, 0)]
    assert ranks[:2] == [1.0, 3.0] and np.isnan(ranks[2:]).all()


def test_a_rank_among_many_items_is_counted_column_by_column() -> None:
    scores = torch.randint(0, 1000, (5, 200_000), generator=torch.Generator().manual_seed(0)).float()
    target = np.array([1, 70_000, 131_072, 200_000, 5])
    own = scores.numpy()[np.arange(5), target - 1][:, None]
    expected = (scores.numpy() > own).sum(1) + ((scores.numpy() == own).sum(1) + 1) / 2
    assert rank(scores, target).tolist() == expected.tolist()


def test_a_list_that_runs_out_of_items_is_short() -> None:
    items, scores = top(torch.tensor([[3.0, -torch.inf, 1.0]]), 4)
    assert items.tolist() == [[1, 3, -1, -1]] and np.isnan(scores[0, 2:]).all()


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_saved_model_serves_the_offline_lists_bit_for_bit_in_any_batch(
    tmp_path: Path, name: str, exclude_seen: bool
) -> None:
    data = random_dataset(users=30, items=40, exclude_seen=exclude_seen)
    data = replace(data, timestamp=1_700_000_000_000_123 + 3_600_000_000 * data.timestamp**2)
    config, model = model_of(name)
    description = Description(
        catalogue=describe_catalogue(data.item_ids),
        model=name,
        role="clean",
        stage="base",
        depth=10,
        exclude_seen=exclude_seen,
    )
    lists = take(model, data, description)
    facts = Facts(model=config, seed=0, data_fingerprint="x", depth=10, exclude_seen=exclude_seen, stage="base")
    save(tmp_path / "model", model, facts, list(data.item_ids))
    saved = load(tmp_path / "model")
    instances = data.instances()
    histories = [
        list(data.target_ids[data.starts[u] : row]) for u, row in zip(instances.user, instances.row, strict=True)
    ]
    seconds = [
        (data.timestamp[data.starts[u] : row] // 1_000_000).tolist()
        for u, row in zip(instances.user, instances.row, strict=True)
    ]
    for size in (1, 7, len(histories)):
        items, scores = [], []
        for first in range(0, len(histories), size):
            best, score = recommend(saved, histories[first : first + size], 10, seconds[first : first + size])
            items += best
            scores += score
        offline = [[lists.vocabulary[code] for code in row if code >= 0] for row in lists.items]
        assert items == offline
        assert scores == [[float(score) for score in row if not np.isnan(score)] for row in lists.scores]


def test_unknown_items_are_skipped_and_a_history_of_nothing_known_gets_an_empty_list(tmp_path: Path) -> None:
    data = random_dataset(items=40)
    config, model = model_of("sasrec")
    save(
        tmp_path,
        model,
        Facts(model=config, seed=0, data_fingerprint="x", depth=10, exclude_seen=True, stage="base"),
        list(data.item_ids),
    )
    saved = load(tmp_path)
    items, scores = recommend(saved, [["i001", "never seen", "i002"], ["i001", "i002"], ["never seen"], []], 5)
    assert items[0] == items[1] and len(items[0]) == 5 and not {"i001", "i002"} & set(items[0])
    assert items[2:] == [[], []] and scores[2:] == [[], []]


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a saved model \(model\.json is missing\)"):
        load(tmp_path)


def test_an_instance_whose_history_is_unknown_gets_an_empty_list() -> None:
    data = random_dataset(items=40)
    _, model = model_of("sasrec")
    strange = data.__class__(**{**data.__dict__, "item": np.where(data.user == 2, 0, data.item)})
    description = Description(
        catalogue=describe_catalogue(data.item_ids),
        model="sasrec",
        role="champion",
        stage="tuned",
        depth=10,
        exclude_seen=False,
    )
    lists = take(model, strange, description, data.instances())
    unknown = lists.user == "u002"
    assert (
        (lists.items[unknown] == -1).all()
        and np.isnan(lists.target_rank[unknown]).all()
        and (lists.items[~unknown] > 0).all()
    )
