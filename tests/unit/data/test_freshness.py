from typing import Any

import pytest

from finest.data.freshness import Seen, nothing_new
from finest.data.schema import Manifest


def manifest(**facts: Any) -> Manifest:
    """Three instances in today's data, the newest interaction at 500."""
    today: dict[str, Any] = {
        "instances": 3,
        "test_interactions": 3,
        "fingerprint": "this",
        "last_timestamp": 500,
        "split": {},
    }
    return Manifest.model_construct(**today | facts)


def test_without_a_champion_any_data_is_new() -> None:
    assert nothing_new(manifest(), None) is None


@pytest.mark.parametrize(
    ("held", "says"), [(0, "no interaction is held out"), (7, "none of the 7 held-out interactions is by a user")]
)
def test_without_an_instance_there_is_nothing_to_judge_by_champion_or_not(held: int, says: str) -> None:
    empty = manifest(instances=0, test_interactions=held)
    for seen in (None, Seen("3", "other", 0)):
        assert says in str(nothing_new(empty, seen))


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (Seen("3", "this", 500), "from this very data"),
        (Seen("3", "this", None), "from this very data"),
        (Seen("3", "other", 501), "from newer data"),
        (Seen("3", "other", 500), None),  # late rows of the same days
        (Seen("3", "other", 499), None),
        (Seen("3", "other", None), None),
    ],
)
def test_the_champions_own_data_or_older_data_is_nothing_new(seen: Seen, says: str | None) -> None:
    found = nothing_new(manifest(), seen)
    assert found is None if says is None else f"Champion version 3 was made {says}." == found
