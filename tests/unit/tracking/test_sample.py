import numpy as np
import pytest

from finest.data.dataset import Dataset
from finest.errors import FinestError
from finest.ranklists.schema import Catalogue, Description, RankLists
from tests.builders import written_dataset
from tracking.sample import equal, take

ITEMS, SCORES = ["x", "y"], [2.0, 1.0]


def test_equal_lists_and_rounded_scores_are_accepted() -> None:
    assert equal(ITEMS, SCORES, ITEMS, [2.00001, 1.0])


@pytest.mark.parametrize(
    ("items", "scores"),
    [
        (["y", "x"], SCORES),  # swapped far apart
        (["x"], [2.0]),  # shorter
        (["x", "y"], [2.0, 1.1]),  # another score
        (["x", "q"], [2.0, 1.1]),  # another item
        (["x", "y"], [2.0, float("nan")]),
    ],
)
def test_any_other_list_is_refused(items: list[str], scores: list[float]) -> None:
    assert not equal(ITEMS, SCORES, items, scores)


def test_items_that_tie_may_swap() -> None:
    assert equal(["x", "y"], [1.00001, 1.0], ["y", "x"], [1.00001, 1.0])


def data_set() -> Dataset:
    """Two users; each one's last two interactions are held out, one of them with an item outside the catalogue."""
    seconds = [5, 60, 61, 62, 7, 7, 9, 10]
    times = [1_000_000 * second + 999_999 for second in seconds]
    return written_dataset({"u": "a b | z c", "v": "c a | b b"}, timestamps=times)


def rank_lists(instances: int) -> RankLists:
    description = Description(
        catalogue=Catalogue(items=3, digest="d"), model="m", role="clean", stage="tuned", depth=2, exclude_seen=True
    )
    return RankLists(
        user=np.array(["u"] * instances, dtype=object),
        position=np.arange(instances),
        target=np.array(["a"] * instances, dtype=object),
        target_rank=np.ones(instances),
        items=np.array([[2, -1], [0, 1], [1, 2], [0, 1]])[:instances],
        scores=np.array([[1.0, np.nan], [4.0, 3.0], [2.0, 1.0], [4.0, 3.0]], np.float32)[:instances],
        vocabulary=np.array(["a", "b", "c"], dtype=object),
        description=description,
    )


def test_a_sample_is_the_whole_history_before_an_instance_and_its_list_without_padding() -> None:
    sample = take(rank_lists(4), data_set(), instances=4)
    assert sample.histories == [["a", "b"], ["a", "b"], ["c", "a"], ["c", "a", "b"]]
    assert sample.timestamps == [
        [5, 60],
        [5, 60],
        [7, 7],
        [7, 7, 9],
    ]  # without that of z, which is not in the catalogue
    assert (sample.items[0], sample.scores[0]) == (["c"], [1.0])
    assert (sample.items[1], sample.scores[1]) == (["a", "b"], [4.0, 3.0])


def test_a_sample_has_as_many_instances_as_asked_from_first_to_last() -> None:
    assert take(rank_lists(4), data_set(), instances=2).histories == [["a", "b"], ["c", "a", "b"]]


def test_lists_of_another_data_set_are_refused() -> None:
    with pytest.raises(FinestError, match="3 instances and the data set 4"):
        take(rank_lists(3), data_set())
