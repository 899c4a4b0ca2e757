"""Versions that nothing refers to go, with their files; nothing else does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from finest.errors import FinestError
from tests.integration.tracking.conftest import NAME, Begun
from tests.integration.tracking.test_approval import MANUAL
from tracking import awaiting, ledger, production, registry, retention, standing, store

Step = Callable[..., registry.Version]


def listed(keep: int = 1, days: float = 0.0) -> list[str]:
    return [one.version.version for one in retention.unused(NAME, keep, days)]


def there() -> set[str]:
    return {one.version for one in registry.list_versions(NAME)}


def files(version: str, state: Path) -> list[Path]:
    id = str(store.connect().get_model_version(NAME, version).source).removeprefix("models:/")
    return [file for file in state.rglob(f"*{id}/**/*") if file.is_file()]


@pytest.fixture
def five(promoted: Step, begun: Begun) -> None:
    """Five champions, one after the other."""
    begun("five", lambda: [promoted(f"run-{seed + 1}", seed, str(seed) if seed else None) for seed in range(5)])


def test_what_nothing_refers_to_goes_with_its_files_and_the_ledger_says_so(five: None, state: Path) -> None:
    kept = {version: files(version, state) for version in there()}
    assert all(kept.values())
    unused = retention.unused(NAME, 1, 0.0)
    assert [one.version.version for one in unused] == ["1", "2"], "version 4 was compared with version 3"
    assert [one.size for one in unused] == [sum(file.stat().st_size for file in kept[number]) for number in "12"]
    assert retention.prune(NAME, unused, 1) == unused and there() == {"3", "4", "5"}
    assert not [file for number in "12" for file in kept[number] if file.exists()]
    assert all(file.exists() for number in "345" for file in kept[number])
    entry = ledger.read(NAME).written[-1].entry
    assert entry and (entry.kind, entry.why) == ("hand", "retention deletes version 1 to 2")
    assert standing.check(NAME).champion == "5" and ledger.read(NAME).breaks() == []
    assert [production.make(production.rollback(NAME), "odd lists").version for _ in range(2)] == ["4", "3"]
    with pytest.raises(FinestError, match="has no previous champion to go back to"):
        production.rollback(NAME)


def test_nothing_goes_that_the_ledger_an_alias_or_another_model_names(five: None, state: Path) -> None:
    assert listed(keep=10) == [] and listed(keep=2) == ["1"]
    assert listed(days=1.0) == [], "a night may be at work on it"
    assert listed() == ["1", "2"]
    client = store.connect()
    client.set_registered_model_alias(NAME, "reference", "2")
    assert listed() == [], "and what version 2 was compared with, version 1"
    client.delete_registered_model_alias(NAME, "reference")
    production.make(production.rollback(NAME, "1"), "far back")
    assert listed() == ["2", "3"]


def test_a_version_that_another_registered_model_has_stays(five: None) -> None:
    client = store.connect()
    client.create_registered_model("elsewhere")
    client.copy_model_version(f"models:/{NAME}/2", "elsewhere")
    assert listed() == ["1"]
    client.create_model_version("elsewhere", str(client.get_model_version(NAME, "1").source))
    assert listed() == []


def test_what_finest_has_not_registered_stays(five: None) -> None:
    made = store.connect().create_model_version(NAME, "elsewhere:/model")
    assert str(made.version) not in listed()


def test_what_awaits_approval_and_what_it_was_compared_with_stay(promoted: Step, five: None) -> None:
    promoted("run-6", 5, "5", person=MANUAL)
    client = store.connect()
    client.set_registered_model_alias(NAME, "challenger", "5")
    for number in range(3):
        ledger.append(NAME, ledger.entry("hand", f"noise {number}"), ledger.read(NAME))
    assert listed() == ["1", "2"] and awaiting.waiting(ledger.read(NAME))


def test_what_was_refused_goes_once_the_ledgers_last_entries_no_longer_name_it(promoted: Step, five: None) -> None:
    with pytest.raises(FinestError, match="does not serve what was judged"):
        promoted("run-6", 5, "5", lists=8)
    assert "6" not in listed()
    promoted("run-7", 6, "5")
    promoted("run-8", 7, "7")
    assert "6" in listed()


def test_what_is_named_meanwhile_stays(five: None) -> None:
    unused = retention.unused(NAME, 1, 0.0)
    production.make(production.rollback(NAME, "2"), "in between")
    gone = retention.prune(NAME, unused, 1)
    assert gone == [] and there() == {"1", "2", "3", "4", "5"}, "version 1 is what version 2 was compared with"
    assert standing.check(NAME).champion == "2"


@pytest.mark.parametrize("moment", ["delete_model_version", "delete_artifacts"])
def test_what_a_kill_has_left_goes_the_next_time(
    five: None, state: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    kept = files("1", state)
    unused = retention.unused(NAME, 1, 0.0)[:1]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(retention, "_delete", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        if moment == "delete_model_version":
            patch.setattr(
                "mlflow.MlflowClient.delete_model_version", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
        retention.prune(NAME, unused, 1)
    assert any(file.exists() for file in kept)
    assert ("1" in there()) == (moment == "delete_model_version")
    retention.prune(NAME, retention.unused(NAME, 1, 0.0), 1)
    assert there() == {"3", "4", "5"} and not any(file.exists() for file in kept)


def test_a_ledger_that_was_changed_or_a_moved_alias_stops_it(five: None) -> None:
    store.connect().set_registered_model_alias(NAME, "champion", "1")
    with pytest.raises(FinestError, match="somebody has moved it by hand"):
        retention.unused(NAME, 1, 0.0)


def test_where_a_nights_end_cannot_delete_it_goes_on(
    five: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention, "unused", lambda *_: (_ for _ in ()).throw(FinestError("the bucket is locked")))
    retention.at_the_end(NAME, 1)
    assert "old versions were not deleted: the bucket is locked" in caplog.text and len(there()) == 5


def test_ages_are_counted_from_now(five: None) -> None:
    later = datetime.now(UTC) + timedelta(days=8)
    assert [one.version.version for one in retention.unused(NAME, 1, 7.0, later)] == ["1", "2"]
    assert retention.unused(NAME, 1, 9.0, later) == []
