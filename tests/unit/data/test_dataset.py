"""What a data set takes in memory does not depend on its longest id."""

import tracemalloc

import numpy as np
import pyarrow as pa

from finest.data import dataset
from finest.data.dataset import Dataset
from finest.models.config import ModelConfig
from finest.models.registry import MODELS, build
from finest.models.saved import Facts, SavedModel
from finest.ranklists.champion import in_codes_of
from tests.builders import written_dataset

USERS, EACH = 100, 40


def data_of(longest: int) -> Dataset:
    """Users who all have the same items, of which one has a long id."""
    items = ["x" * longest, *(f"item-{number}" for number in range(1, EACH))]
    return written_dataset({f"user-{user}": f"{' '.join(items)} | {items[1]}" for user in range(USERS)}, depth=5)


def champion_of(data: Dataset) -> SavedModel:
    config: ModelConfig = MODELS["gru4rec"].Config.model_validate({"hidden_size": 4})
    facts = Facts(model=config, seed=0, data_fingerprint="", depth=5, exclude_seen=False, stage="base")
    return SavedModel(build(config, data.items), facts, [*data.item_ids[:-1].tolist(), "another"])


def test_rows_of_an_item_share_its_id() -> None:
    column = pa.chunked_array([["a", "b"], [], ["b", "c" * 4000, "a"]], pa.string())
    found = dataset._texts(column)
    assert found.tolist() == column.to_pylist() and len({id(text) for text in found}) == 3
    assert dataset._texts(pa.chunked_array([], pa.string())).tolist() == []


def test_a_long_id_takes_no_room_in_rows_that_lack_it() -> None:
    peaks = []
    for longest in (6, 4000):
        data = data_of(longest)
        champion = champion_of(data)
        tracemalloc.start()
        theirs = in_codes_of(champion, data)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        lacks = data.target_ids == data.item_ids[-1]
        assert np.array_equal(theirs.item == 0, lacks) and np.array_equal(theirs.item[~lacks], data.item[~lacks])
    assert peaks[1] - peaks[0] < 50_000
