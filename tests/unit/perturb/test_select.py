import numpy as np
import pytest

from finest.data.dataset import Dataset, Ints
from finest.errors import ConfigError, DataError
from finest.perturb import kinds
from finest.perturb.config import Scenario
from finest.perturb.edits import draw
from finest.perturb.families.casper import cascades
from finest.perturb.registry import FAMILIES
from tests.builders import written_dataset

CASPER = {"name": "casper", "look_back": 5}
"""With enough start nodes in a small data set."""
SMALL = {"casper": CASPER, "sessions": {"name": "sessions", "gap_minutes": 1e-9}}
"""Families as they find enough rows in a small data set whose rows are a microsecond apart."""


def many() -> Dataset:
    """40 users with 5 to 44 training rows each, and one held-out row."""
    generator = np.random.default_rng(0)
    return written_dataset(
        {
            f"u{user}": " ".join(f"i{item}" for item in generator.integers(0, 60, user + 5)) + " | i1"
            for user in range(40)
        }
    )


def rows_of(data: Dataset, scenario: Scenario) -> Ints:
    """The rows that a scenario edits."""
    (edits,) = draw(data, scenario)
    return edits.row


@pytest.mark.parametrize("family", [SMALL.get(name, name) for name in FAMILIES])
def test_a_share_of_the_training_rows_is_chosen_and_never_a_held_out_one(family: str) -> None:
    data = many()
    row = rows_of(data, Scenario(family=family, kind="deletion", share=0.02))
    assert len(row) == round(0.02 * data.train.sum())
    assert data.train[row].all()
    assert (np.diff(row) > 0).all()


@pytest.mark.parametrize("family", [SMALL.get(name, name) for name in FAMILIES])
def test_at_least_one_row_is_chosen(family: str) -> None:
    assert len(rows_of(many(), Scenario(family=family, kind="deletion", share=1e-6))) == 1


@pytest.mark.parametrize(("family", "from_end"), [("earliest", False), ("latest", True)])
def test_earliest_and_latest_draw_from_a_tenth_of_each_users_training_rows(family: str, from_end: bool) -> None:
    data = many()
    size = np.bincount(data.user[data.train])
    pool = int(np.maximum(1, size // 10).sum())
    row = rows_of(data, Scenario(family=family, kind="deletion", share=pool / data.train.sum()))
    assert len(row) == pool  # all of it: one row of each small user, up to four of a large one
    place = data.position[row]
    edge = (size[data.user[row]] - 1 - place) if from_end else place
    assert (edge < np.maximum(1, size[data.user[row]] // 10)).all()
    assert set(data.user[row]) == set(range(40))


def test_casper_takes_the_rows_with_the_largest_cascades() -> None:
    data = many()
    start, reached = cascades(data, 5)
    row = rows_of(data, Scenario(family=CASPER, kind="deletion", share=0.01))
    assert sorted(reached[np.isin(start, row)]) == sorted(reached)[-len(row) :]


def test_too_few_start_nodes_are_an_error_that_names_the_scenario() -> None:
    with pytest.raises(ConfigError, match=r"casper-deletion-0.5-s0 edits 2 rows, but there are only 1 start nodes"):
        draw(written_dataset({"ann": "a b c d"}), Scenario(family="casper", kind="deletion", share=0.5))


def test_too_few_early_rows_are_an_error_that_names_the_scenario() -> None:
    with pytest.raises(ConfigError, match=r"earliest-deletion-0.5-s0 edits 2 rows, but there are only 1 training rows"):
        draw(written_dataset({"ann": "a b c d"}), Scenario(family="earliest", kind="deletion", share=0.5))


def test_another_seed_or_kind_chooses_other_rows_and_the_same_scenario_the_same() -> None:
    data = many()
    first, again, seed, kind = (
        rows_of(data, scenario).tolist()
        for scenario in (
            Scenario(kind="deletion", share=0.02),
            Scenario(kind="deletion", share=0.02),
            Scenario(kind="deletion", share=0.02, seed=1),
            Scenario(kind="insertion", share=0.02),
        )
    )
    assert first == again
    assert first != seed
    assert first != kind


def test_a_random_new_item_is_any_but_the_old_one() -> None:
    old = np.repeat(np.arange(1, 6), 400)
    new = kinds.random(written_dataset({"ann": "a b c d e"}), old, np.random.default_rng(0))
    assert (new != old).all()
    for item in range(1, 6):
        drawn = np.bincount(new[old == item], minlength=6)[1:]
        assert drawn[np.arange(1, 6) != item].min() > 60  # 100 expected of each


def test_the_least_popular_new_item_has_the_fewest_interactions_and_is_not_the_old_one() -> None:
    counts = np.array([0, 3, 1, 9, 1, 1])
    old = np.array([1, 2, 4, 5] * 50)
    new = kinds.least_popular(counts, old, np.random.default_rng(0))
    assert set(new.tolist()) == {2, 4, 5}
    assert (new != old).all()


def test_where_the_old_item_is_the_only_least_popular_one_the_next_takes_its_place() -> None:
    assert (
        kinds.least_popular(np.array([0, 1, 2, 2, 7]), np.array([4, 1, 1, 1, 1, 1, 1, 1]), np.random.default_rng(0))[0]
        == 1
    )
    assert set(kinds.least_popular(np.array([0, 1, 2, 2, 7]), np.full(50, 1), np.random.default_rng(0)).tolist()) == {
        2,
        3,
    }


def test_a_catalogue_of_one_item_has_nothing_to_put_in_its_place() -> None:
    with pytest.raises(DataError, match="a single item"):
        kinds.random(written_dataset({"ann": "a a"}), np.array([1]), np.random.default_rng(0))
    with pytest.raises(DataError, match="a single item"):
        kinds.least_popular(np.array([0, 4]), np.array([1]), np.random.default_rng(0))


def test_the_single_least_popular_item_is_replaced_by_the_single_second_least() -> None:
    counts = np.array([0, 5, 1, 2, 9])
    assert kinds.least_popular(counts, np.array([2, 2, 1, 3]), np.random.default_rng(0)).tolist() == [3, 3, 2, 2]
