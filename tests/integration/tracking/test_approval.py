"""A person between a candidate that passed and production: who waits, who may approve what, and who wins."""

import logging
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.notify.work import message
from finest.errors import FinestError
from finest.gate.verdict import Night, Verdict
from finest.gate.verdict_file import write_verdict
from pipeline.ending import AWAITING, REFUSED, unapproved
from tests import racers
from tests.integration.tracking import conftest
from tests.integration.tracking.conftest import NAME, Begun
from tracking import approval, awaiting, ledger, production, promotion, registry, standing, store
from tracking.entries import Entry, Log
from tracking.outcome import outcome
from tracking.promotion import Person

Step = Callable[..., registry.Version]
MANUAL = Person("promote.approval: manual", 24.0)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(racers.MODULES)


def hours(count: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=count)


def approved(version: str, now: datetime | None = None, held: str = "", force: bool = False) -> registry.Version:
    return production.make(approval.approval(NAME, version, held, force, now), "looked at the lists")


def champion() -> str:
    now = standing.check(NAME)
    assert now.champion == now.served and now.log.breaks() == []
    return now.served


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Outside of a pipeline run, where a person is who does it."""
    monkeypatch.setattr(ledger, "who", lambda: "anna@desk")
    yield


@pytest.fixture
def night(promoted: Step, begun: Begun, monkeypatch: pytest.MonkeyPatch) -> registry.Version:
    """A champion, version 1, and the candidate of the night after it, which waits."""

    def make() -> None:
        promoted("run-1", 0, None)
        promoted("run-2", 1, "1", person=MANUAL)

    begun("night", make)
    monkeypatch.setenv("KFP_RUN_ID", "run-2")
    return registry.get(NAME, "2")


def test_a_candidate_that_waits_is_seen_everywhere_and_the_champion_serves_on(night: registry.Version) -> None:
    assert champion() == "1" and night.version == "2" and night.aliases == ("challenger",)
    until = awaiting.waiting(ledger.read(NAME))
    assert until and night.awaiting == f"until {until.until:%Y-%m-%d %H:%M UTC}: promote.approval: manual"
    assert hours(23.9) < until.until < hours(24)
    found = outcome("run-2", NAME)
    assert found.promoted_version is None and found.awaiting == until and found.unapproved is None
    said = (
        f"version 2 awaits approval until {until.until:%Y-%m-%d %H:%M UTC} (promote.approval: manual): finest models "
        "approve 2 --name finest-test --reason WHY"
    )
    assert unapproved(NAME, found) == (f"Awaiting approval: {said}", AWAITING) and AWAITING == 5
    told = message(NAME, found._replace(verdict="pass"), "SUCCEEDED")
    assert told["text"].endswith(f"verdict pass; {said}") and told["awaiting"] == until.facts()
    run = store.connect().get_run(night.mlflow_run_id)
    assert run.info.run_name.split()[1] == "awaiting" and run.data.tags["approval"] == "awaiting"
    entry = ledger.read(NAME).written[-1].entry
    assert entry and (entry.kind, entry.run, entry.to_version, entry.after) == ("request", "run-2", "2", 1)
    with pytest.raises(
        FinestError, match=r"version 2 .* stays out of production: it awaits approval: finest models app"
    ):
        production.promotion(NAME, "2")


def test_approved_an_hour_later_it_is_champion_and_the_ledger_says_by_whom(
    night: registry.Version, by_hand: None
) -> None:
    now = approved("2", hours(1))
    assert now.aliases == ("champion",) and champion() == "2" and now.awaiting == ""
    entry = ledger.read(NAME).written[-1].entry
    assert entry and (entry.kind, entry.who, entry.why, entry.verdict) == (
        "approval",
        "anna@desk",
        "looked at the lists",
        night.verified,
    )
    run = store.connect().get_run(night.mlflow_run_id)
    assert run.info.run_name.split()[1] == "pass" and run.data.tags["approval"] == "approved"
    found = outcome("run-2", NAME)
    assert (found.promoted_version, found.awaiting, found.unapproved) == ("2", None, None)
    with pytest.raises(FinestError, match="version 2 of finest-test is the champion already"):
        approved("2", hours(1))
    with pytest.raises(FinestError, match="is the champion already"):
        approval.refuse(NAME, "2", "too late")
    assert ledger.read(NAME).top == 3


def test_after_its_hours_it_is_nobodys_to_approve(night: registry.Version) -> None:
    before = ledger.read(NAME)
    with pytest.raises(
        FinestError, match=r"version 2 of finest-test does not await approval: nobody had approved it by 2"
    ):
        approved("2", hours(24.01))
    assert ledger.read(NAME) == before and champion() == "1"


def test_what_was_judged_against_another_champion_is_refused(promoted: Step, night: registry.Version) -> None:
    promoted("run-3", 2, "1")
    assert champion() == "3"
    with pytest.raises(
        FinestError, match=r"does not await approval: the champion is no longer the one that it was judged"
    ):
        approved("2")
    two = registry.get(NAME, "2")
    assert two.awaiting == "" and two.refused.startswith("the champion is no longer the one that it was judged against")
    found = outcome("run-2", NAME)
    assert found.awaiting is None
    said, code = unapproved(NAME, found) or ("", 0)
    assert code == REFUSED and said.startswith(
        "Not promoted: version 2 passed, and was not approved: the champion is no"
    )
    production.make(production.rollback(NAME), "odd lists")
    with pytest.raises(FinestError, match=r"does not await approval: the champion is no longer the one"):
        approved("2")
    assert champion() == "1", "the champion of then, by another move"


def test_a_newer_candidate_takes_the_place_of_an_older_one_that_waits(promoted: Step, night: registry.Version) -> None:
    assert promoted("run-3", 2, "1", person=MANUAL).aliases == ("challenger",)
    two = registry.get(NAME, "2")
    assert (two.awaiting, two.refused) == ("", "superseded by version 3 (entry 3)")
    assert store.connect().get_run(two.mlflow_run_id).info.run_name.split()[1] == "refused"
    with pytest.raises(FinestError, match=r"version 2 .* does not await approval: superseded by version 3"):
        approved("2")
    assert approved("3").version == champion() == "3"


def test_a_person_who_refuses_is_in_the_ledger_and_nobody_approves_after_that(
    promoted: Step, night: registry.Version, by_hand: None, caplog: pytest.LogCaptureFixture
) -> None:
    approval.refuse(NAME, "2", "odd lists\nof new users")
    entry = ledger.read(NAME).written[-1].entry
    assert entry and (entry.kind, entry.who, entry.to_version) == ("refusal", "anna@desk", "2")
    two = registry.get(NAME, "2")
    assert (two.awaiting, two.refused) == ("", "anna@desk has refused it: odd lists of new users (entry 3)")
    for again in (lambda: approved("2"), lambda: approval.refuse(NAME, "2", "again")):
        with pytest.raises(
            FinestError, match="does not await approval: anna@desk has refused it: odd lists of new users"
        ):
            again()
    said, code = unapproved(NAME, outcome("run-2", NAME)) or ("", 0)
    assert code == REFUSED and "was not approved: anna@desk has refused it" in said and "the champion of" in said
    with caplog.at_level(logging.WARNING):
        promoted("run-2", 1, "1", person=MANUAL)
    assert "and that is over (anna@desk has refused it" in caplog.text
    assert ledger.read(NAME).top == 3 and champion() == "1"


def test_a_version_that_nobody_asked_for_is_not_approved(night: registry.Version) -> None:
    for version, said in (("1", "is the champion already"), ("9", "has no version 9"), ("odd'", "has no version odd'")):
        with pytest.raises(FinestError, match=said):
            approved(version)


def test_in_a_freeze_it_takes_force_and_the_ledger_says_so(night: registry.Version) -> None:
    with pytest.raises(
        FinestError, match=r"is not approved now: promote.freeze \(Christmas\) .*; wait, or add --force"
    ):
        approved("2", held="promote.freeze (Christmas) until 2026-12-27 00:00 UTC")
    approved("2", held="promote.freeze (Christmas) until 2026-12-27 00:00 UTC", force=True)
    entry = ledger.read(NAME).written[-1].entry
    assert (
        entry
        and entry.forced
        and entry.why.endswith("forced although promote.freeze (Christmas) until 2026-12-27 00:00 UTC")
    )
    assert champion() == "2"


def test_a_package_that_was_changed_while_it_waited_is_not_approved(night: registry.Version, state: Path) -> None:
    found = max(state.rglob("*.safetensors"), key=lambda file: file.stat().st_mtime_ns)
    content = bytearray(found.read_bytes())
    content[-1] ^= 1
    found.write_bytes(content)
    with pytest.raises(FinestError, match="version 2 of finest-test is damaged: artifacts/model/"):
        approved("2")
    assert champion() == "1" and ledger.read(NAME).top == 2


def test_a_tag_that_pretends_another_verdict_moves_nothing(night: registry.Version) -> None:
    store.connect().set_model_version_tag(NAME, "2", registry.VERIFIED, "ab" * 32)
    with pytest.raises(FinestError, match="does not have the verdict by which it awaits approval"):
        approved("2")


def test_tags_say_nothing_that_the_ledger_does_not(promoted: Step, night: registry.Version) -> None:
    client = store.connect()
    client.set_model_version_tag(NAME, "2", "awaiting", "until 2036-01-01 00:00 UTC: please")
    with pytest.raises(FinestError, match="nobody had approved it by 2"):
        approved("2", hours(25))
    client.set_model_version_tag(NAME, "1", "awaiting", "until 2036-01-01 00:00 UTC: please")
    promoted("run-3", 2, "1")
    with pytest.raises(FinestError, match=r"version 1 .* does not await approval: nobody has asked for that"):
        approved("1")


def test_a_step_that_was_killed_behind_its_request_ends_as_it_should_when_it_is_tried_again(
    promoted: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted("run-1", 0, None)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(awaiting, "show", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        promoted("run-2", 1, "1", person=MANUAL)
    assert registry.get(NAME, "2").awaiting == ""
    again = promoted("run-2", 1, "1", person=MANUAL)
    assert again.version == "2" and again.awaiting and again.aliases == ("challenger",)
    assert ledger.read(NAME).top == 2 and champion() == "1"


@pytest.mark.parametrize("person", [MANUAL, promotion.NOBODY])
def test_approved_and_rolled_back_a_retry_of_the_old_step_moves_nothing(
    promoted: Step, night: registry.Version, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    approved("2")
    production.make(production.rollback(NAME), "odd lists")
    before = ledger.read(NAME)
    with caplog.at_level(logging.WARNING):
        promoted("run-2", 1, "1", person=person)
    assert ledger.read(NAME) == before and champion() == "1"
    assert "that is over (it became champion (entry 3)): nothing is done" in caplog.text
    with pytest.raises(FinestError, match="does not await approval: it became champion"):
        approved("2")
    assert outcome("run-2", NAME).promoted_version is None


def test_an_alias_that_was_moved_by_hand_stops_an_approval(night: registry.Version) -> None:
    store.connect().set_registered_model_alias(NAME, "champion", "2")
    with pytest.raises(FinestError, match="somebody has moved it by hand"):
        approved("2")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def any_store(request: pytest.FixtureRequest, state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The embedded store, and MLflow's server on PostgreSQL with a line that is new to it."""
    if request.param == "postgres":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("shared_mlflow"))
        for module in (sys.modules[__name__], conftest):
            monkeypatch.setattr(module, "NAME", f"approvals-{tmp_path.name}")


def test_of_five_approvals_of_two_versions_at_once_one_wins(
    any_store: None, promoted: Step, night: registry.Version, tmp_path: Path
) -> None:
    two = approval.approval(NAME, "2")
    promoted("run-3", 2, "1", person=MANUAL)
    moves = [two, approval.approval(NAME, "3"), two, approval.approval(NAME, "3"), approval.approval(NAME, "3")]
    barrier = FORKS.Barrier(len(moves))
    codes = racers.all_at_once(
        [
            FORKS.Process(target=racers.by_hand, args=(racers.place(), barrier, move, tmp_path / str(number)))
            for number, move in enumerate(moves)
        ]
    )
    assert sorted(codes, key=str) == [0, 1, 1, 1, 1], codes
    assert moves[codes.index(0)].to.version == "3" == champion()
    log = ledger.read(NAME)
    assert [one.entry.kind for one in log.written[3:] if one.entry] == ["approval"] * 5 and log.breaks() == []
    said = [(tmp_path / str(number)).read_text() for number, code in enumerate(codes) if code]
    assert all("another move was quicker" in one or "superseded by version 3" in one for one in said), said


def test_of_two_approvals_and_two_refusals_at_once_the_first_one_counts_and_all_others_are_told(
    any_store: None, night: registry.Version, tmp_path: Path
) -> None:
    move, barrier = approval.approval(NAME, "2"), FORKS.Barrier(4)
    codes = racers.all_at_once(
        [
            *(
                FORKS.Process(target=racers.by_hand, args=(racers.place(), barrier, move, tmp_path / one))
                for one in "ab"
            ),
            *(
                FORKS.Process(target=racers.refusal, args=(racers.place(), barrier, NAME, "2", tmp_path / one))
                for one in "cd"
            ),
        ]
    )
    assert sorted(codes, key=str) == [0, 1, 1, 1], codes
    first = ledger.read(NAME).written[2].entry
    assert first and first.kind == ("approval" if codes.index(0) < 2 else "refusal")
    assert champion() == ("2" if first.kind == "approval" else "1") and awaiting.waiting(ledger.read(NAME)) is None
    said = {one: (tmp_path / one).read_text() for one, code in zip("abcd", codes, strict=True) if code}
    assert all("version 2" in one and ("entry 3" in one or "has refused it" in one) for one in said.values()), said


def test_of_an_approval_and_a_refusal_that_both_found_it_waiting_the_first_one_counts(
    night: registry.Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = approval.approval(NAME, "2")
    approval.refuse(NAME, "2", "odd lists")
    with pytest.raises(
        FinestError, match=r"version 2 of finest-test no longer awaited approval: .* has refused it: odd"
    ):
        production.make(planned, "fine")
    assert champion() == "1"


def test_a_refusal_that_came_after_an_approval_says_so(
    night: registry.Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ledger.append

    def late(line: str, entry: Entry, log: Log) -> tuple[int, Log]:
        monkeypatch.setattr(ledger, "append", real)
        approved("2")
        return real(line, entry, log)

    monkeypatch.setattr(ledger, "append", late)
    with pytest.raises(FinestError, match=r"version 2 of finest-test is not refused: it became champion \(entry 3\)"):
        approval.refuse(NAME, "2", "odd lists")
    assert champion() == "2" and registry.get(NAME, "2").refused == ""


def leave(version: registry.Version, verdict: Verdict, folder: Path) -> None:
    """Leaves a verdict at a version's run, as the gate does."""
    write_verdict(verdict, folder / "verdict.json")
    store.connect().log_artifact(version.mlflow_run_id, str(folder / "verdict.json"))


def of_night(log_ratio: float) -> dict[str, object]:
    return {"night": Night(run="n", verdict="pass", champion="1", log_ratio=log_ratio, standard_error=0.01)}


@pytest.fixture
def rolled_back(promoted: Step, verdict: Callable[..., Verdict], tmp_path: Path) -> None:
    """Version 2 was 1% better than version 1, and rolled back all the same."""
    promoted("run-1", 0, None, fingerprint="11" * 32)
    left = promoted("run-2", 1, "1", fingerprint="22" * 32, **of_night(0.01))
    leave(left, verdict(**of_night(0.01)), tmp_path)
    production.make(production.rollback(NAME), "odd lists")
    assert champion() == "1"


@pytest.mark.parametrize(
    ("fingerprint", "gain", "why"),
    [
        (
            "33",
            0.01,
            "version 2 was rolled back by pipeline (entry 3), and this verdict is not proven to be better than its",
        ),
        (
            "33",
            0.03,
            "version 2 was rolled back by pipeline (entry 3), and this verdict is not proven to be better than its",
        ),
        ("33", 0.05, ""),
        ("22", 0.05, "version 2, of the same data, was rolled back by pipeline (entry 3)"),
    ],
)
def test_after_a_rollback_the_next_night_needs_a_person_or_a_better_verdict(
    promoted: Step, rolled_back: None, fingerprint: str, gain: float, why: str
) -> None:
    made = promoted("run-3", 2, "1", fingerprint=fingerprint * 32, **of_night(gain))
    found = awaiting.waiting(ledger.read(NAME))
    assert (found.why if found else "") == why and champion() == ("1" if why else made.version)


def test_once_a_person_has_approved_a_version_nights_go_on_by_themselves_but_not_with_the_data_of_then(
    promoted: Step, rolled_back: None
) -> None:
    waits = promoted("run-3", 2, "1", fingerprint="33" * 32)
    assert approved(waits.version).version == champion() == "3"
    assert promoted("run-4", 3, "3", fingerprint="44" * 32).version == champion() == "4"
    assert promoted("run-5", 4, "4", fingerprint="22" * 32).awaiting.endswith(
        "same data, was rolled back by pipeline (entry 3)"
    )
    assert champion() == "4"


@pytest.mark.parametrize("lost", ["version", "verdict", "changed"])
def test_where_the_verdict_of_what_was_rolled_back_is_lost_or_another_a_person_decides(
    promoted: Step, rolled_back: None, lost: str, verdict: Callable[..., Verdict], tmp_path: Path
) -> None:
    client, left = store.connect(), registry.get(NAME, "2")
    if lost == "version":
        client.delete_model_version(NAME, "2")
    elif lost == "verdict":
        client.delete_run(left.mlflow_run_id)
    else:
        leave(left, verdict(**of_night(-0.5)), tmp_path)
    promoted("run-3", 2, "1", fingerprint="33" * 32, **of_night(0.05))
    assert champion() == "1" and awaiting.waiting(ledger.read(NAME)) is not None
