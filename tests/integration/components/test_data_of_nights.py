"""Nights of a line whose feed goes wrong: the data is held against earlier nights' before anything is trained.

Nights go as far as the step `champion`; good ones are then recorded as gate and skip do.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from components import events
from components.champion import compare
from components.champion.component import champion
from components.config import Sections
from components.ingest.component import ingest
from components.preflight.component import preflight
from components.sections import parameters
from finest.data.compared import Compared
from finest.data.dataset import load as load_data
from finest.errors import DataError
from finest.gate import judge
from pipeline.config import load
from tests.nights import days, deliver
from tracking.records import log_verdict
from tracking.runs import NIGHT_DATA, find_parent, parent_of, step_run
from tracking.store import connect

FIRST = date(2026, 11, 1)
WINDOW = 10
NIGHTS = 4
SETTINGS = [
    f"ingest={{window_days: {WINDOW}, evaluation: {{depth: 20, exclude_seen: false}},"
    " split: {method: temporal, held_out_days: 1}}",
    "finetune.top_k=50",
    "preflight.min_free_gb=0",
]


@dataclass
class Line:
    """A line of nights, in a state and with a feed of its own."""

    folder: Path
    patch: pytest.MonkeyPatch
    days: list[tuple[date, pa.Table]]
    name: str = "shop"
    runs: list[str] = field(default_factory=list)

    @property
    def feed(self) -> Path:
        return self.folder / "feed"

    def begin(self) -> None:
        """Sets the environment that `run` gives its steps."""
        self.patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        self.patch.setenv("FINEST_STATE", str(self.folder / "state"))
        self.patch.setenv(events.VARIABLE, str(self.folder / "events.jsonl"))

    def delivered(self, until: int, wrong: Callable[[int, date, pa.Table], pa.Table] | None = None) -> None:
        """Delivers the days up to a number of them, wrong ones where it is said how."""
        for number, (day, rows) in enumerate(self.days[:until]):
            deliver(self.feed, day, wrong(number, day, rows) if wrong else rows)

    def night(self, days_there: int, *settings: str, as_of: str = "", rebase: bool = False) -> Compared:
        """Runs the night after so many days, up to the step `champion`, and records it."""
        moment = as_of or f"{FIRST + timedelta(days=days_there)}T02:00:00+00:00"
        self.runs.append(f"night-{len(self.runs)}")
        self.patch.setenv("KFP_RUN_ID", self.runs[-1])
        config = parameters(load(None, [*SETTINGS, *settings]))
        sections = {name: config[name] for name in Sections.model_fields}
        checked = preflight.python_func(
            str(self.feed), moment, "", 0, str(self.folder / "kept"), [], False, self.name, rebase, False, **sections
        )
        here = self.folder / self.runs[-1]
        data, lists, model = (SimpleNamespace(path=str(here / name), metadata={}) for name in ("data", "lists", "m"))
        ingest.python_func(str(self.feed), checked.listing, checked.items_needed, checked.ingest, "", data)
        champion.python_func(
            checked.line, checked.champion, checked.seen, data, config["promote"], checked.ingest, "", model, lists
        )
        found = compare.read(Path(lists.path))
        assert found is not None
        with step_run("gate") as run:
            manifest = load_data(Path(data.path)).manifest
            verdict = judge.skipped("recorded", manifest, datetime.now(UTC), {}, found)
            log_verdict(run, verdict, {}, {})
        return found


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Four nights that were as they should be."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("line")
        made = Line(folder, patch, list(days(FIRST, WINDOW + NIGHTS + 1, users=120, items=220, seed=5)))
        made.begin()
        for number in range(NIGHTS):
            made.delivered(WINDOW + number)
            made.night(WINDOW + number)
        yield made


@pytest.fixture
def line(over: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    """A copy of them."""
    shutil.copytree(over.folder, tmp_path / "copy")
    made = replace(over, folder=tmp_path / "copy", patch=monkeypatch, days=[*over.days], runs=[*over.runs])
    made.begin()
    return made


LAST = WINDOW + NIGHTS
"""Number of days that there are when the wrong night comes."""


def half(number: int, day: date, rows: pa.Table) -> pa.Table:
    """Every second row of every day is missing."""
    return rows.take(np.arange(0, len(rows), 2))


def one_user(number: int, day: date, rows: pa.Table) -> pa.Table:
    """Every third row is of one user."""
    users = rows["user_id"].to_pylist()
    return rows.set_column(0, "user_id", pa.array(["bot" if at % 3 == 0 else user for at, user in enumerate(users)]))


def one_time(number: int, day: date, rows: pa.Table) -> pa.Table:
    """All timestamps are that of the load."""
    return rows.set_column(2, "timestamp", pa.array([1_794_600_000] * len(rows)))


def one_time_today(number: int, day: date, rows: pa.Table) -> pa.Table:
    """All timestamps of the newest day are noon."""
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    return rows.set_column(2, "timestamp", pa.array([noon] * len(rows))) if number == LAST - 1 else rows


WRONG: dict[str, tuple[Callable[[int, date, pa.Table], pa.Table], str]] = {
    "half the rows missing": (half, "min_rows"),
    "one user with a third of the rows": (one_user, "max_user_rise"),
    "all timestamps equal": (one_time, "max_same_time"),
    "all timestamps of the newest day equal": (one_time_today, "max_same_time_rise"),
}


def refused(line: Line, *settings: str) -> str:
    """Returns the line with which tonight's data is refused; nothing is kept of it for later nights."""
    with pytest.raises(DataError) as error:
        line.night(LAST, *settings)
    client = connect()
    tags = client.get_run(str(parent_of(client, line.runs[-1]))).data
    assert NIGHT_DATA not in tags.tags and tags.metrics["data/unusual"] >= 1
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_wrong_feed_is_refused_by_the_key_that_the_error_names_and_a_right_one_goes_on(line: Line) -> None:
    for what, (wrong, key) in WRONG.items():
        line.delivered(LAST, wrong)
        said = refused(line)
        assert f"[ingest.expect.{key}]" in said, (what, said)
    line.delivered(LAST)
    found = line.night(LAST)
    assert found.nights == NIGHTS and not found.refused
    assert [one.sentence for one in found.found if one.status == "unusual"] == []


def test_a_day_that_is_last_weeks_again_is_refused_with_its_old_times_and_with_new_ones(line: Line) -> None:
    (_, week_ago), (day, _) = line.days[LAST - 8], line.days[LAST - 1]
    line.delivered(LAST - 1)
    deliver(line.feed, day, week_ago)
    assert "[ingest.expect.max_repeated_rise]" in refused(line)
    deliver(line.feed, day, week_ago.set_column(2, "timestamp", pc.add(week_ago["timestamp"], 7 * 86_400)))
    assert "[ingest.expect.max_echoed_rise]" in refused(line)


def test_a_bound_that_is_off_or_wider_lets_the_data_through_and_later_nights_know_it(line: Line) -> None:
    line.delivered(LAST, half)
    assert "[ingest.expect.min_rows]" in refused(line, "ingest.expect.min_day_rows_a_user=off")
    found = line.night(LAST, "ingest.expect={min_rows: off, min_day_rows_a_user: off}")
    assert {one.name for one in found.found if one.status == "unusual"} >= {"rows", "kept_rows"}
    assert any("of days that are read again" in note for note in found.notes())
    line.delivered(LAST + 1, half)
    assert not line.night(LAST + 1, "ingest.expect.min_day_rows_a_user=off").refused


def test_a_night_is_never_compared_with_itself_nor_with_later_ones_nor_with_another_line(line: Line) -> None:
    assert line.night(LAST - 1).nights == NIGHTS - 1, "the same night again"
    assert line.night(LAST - 1, "ingest.min_user_interactions=6").nights == NIGHTS - 1, "of other data"
    assert line.night(WINDOW).nights == 0, "the first night again"
    line.delivered(LAST)
    line.name = "another"
    found = line.night(LAST)
    assert (found.nights, found.why_none) == (0, "the line has none that says what its data was like")


def test_a_line_that_starts_over_is_compared_with_nothing_and_one_that_failed_to_does_not_count(line: Line) -> None:
    line.delivered(LAST, half)
    assert line.night(LAST, rebase=True).nights == 0
    line.delivered(LAST + 1)
    found = line.night(LAST + 1)
    assert (found.nights, found.refused) == (NIGHTS, [])


def test_once_it_has_started_over_nights_before_that_do_not_count(line: Line) -> None:
    line.delivered(LAST, half)
    line.night(LAST, rebase=True)
    client = connect()
    client.set_tag(find_parent(), "verdict", "pass")
    line.delivered(LAST + 1, half)
    assert line.night(LAST + 1).nights == 1


def test_nights_that_were_deleted_are_missed_by_none(line: Line) -> None:
    client = connect()
    for run in line.runs[:2]:
        client.delete_run(str(parent_of(client, run)))
    line.delivered(LAST)
    found = line.night(LAST)
    assert found.nights == NIGHTS - 2 and {one.status for one in found.found} <= {"usual", "alone"}


def test_a_night_months_later_is_held_against_the_last_ones(line: Line) -> None:
    later = [(day + timedelta(days=120), rows) for day, rows in line.days]
    line.days = [(day, rows.set_column(2, "timestamp", pc.add(rows["timestamp"], 120 * 86_400))) for day, rows in later]
    line.delivered(LAST)
    found = line.night(LAST, as_of=f"{FIRST + timedelta(days=120 + LAST)}T02:00:00+00:00")
    assert (found.nights, found.refused) == (NIGHTS, [])


def test_what_a_night_leaves_fits_a_tag(line: Line) -> None:
    client = connect()
    tag = client.get_run(str(parent_of(client, line.runs[-1]))).data.tags[NIGHT_DATA]
    assert 500 < len(tag) < 3000
