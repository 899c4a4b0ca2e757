"""Nights in a row over S3, as a schedule runs them. `python -m benchmarks.nights` runs nine, with every rule of the gate."""

from collections.abc import Iterator

import pytest

from tests.night_runs import FIRST, Ended, Feed, Night, Place, check, simulate, world
from tests.services import s3
from tests.services.process import UnavailableError

pytestmark = pytest.mark.timeout(600)

WINDOW = 4
SETTINGS = [
    f"ingest.window_days={WINDOW}", "ingest.evaluation.depth=20", "finetune.top=50", "gate.rules=[sanity]", "gate.bootstrap_draws=200",
]  # fmt: skip
PLAN = [Night("the first", says="There is no champion"), Night("a day delivered twice", "twice", says="repeat another")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("nights")
    try:
        with s3.serve(folder) as server:
            server.bucket("finest")
            yield Place("s3://finest/interactions", folder / "state", SETTINGS, server.environment())
    except UnavailableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def ended(place: Place) -> list[Ended]:
    bucket = place.state.parent / "s3" / "finest"
    feed = Feed(bucket / "interactions", world(len(PLAN), WINDOW, users=120, items=220), WINDOW)
    return simulate(PLAN, feed, place)


def test_each_night_keeps_the_lists_of_the_champion_before_and_is_judged_on_what_that_has_not_seen(ended: list[Ended]) -> None:
    first, second = (one.verdict for one in ended)
    assert (first["reference"], second["reference"]) == ("base", "champion/1")
    assert second["metrics"]["churn/rbo"] < 1.0 and second["metrics"]["catalogue/new"] > 0
    assert any("left out are 0 before its own cut" in note for note in second["notes"])
    assert [one["age"]["as_of"][:10] for one in (first, second)] == ["2026-11-16", "2026-11-17"]
    assert 24 <= second["age"]["hours"] < 30


def test_the_same_night_again_is_skipped_once_its_model_is_champion(ended: list[Ended], place: Place) -> None:
    last = ended[-1]
    again = place.run(Night("again", verdict="skipped", says="made from this very data"), last.as_of)
    check([last, again])
    folder = max((place.state / "runs").iterdir())
    assert not list(folder.glob("lists/shard-*")) and not (folder / "edits").exists()
    assert "The model in production stays as it is." in (folder / "report.html").read_text()
    assert again.verdict["data"]["fingerprint"] == last.verdict["data"]["fingerprint"]


def test_an_earlier_night_does_not_take_production_back(ended: list[Ended], place: Place) -> None:
    earlier = place.run(Night("earlier", verdict="skipped", says="made from newer data"), FIRST)
    check([ended[-1], earlier])
