"""What a ledger's entries come to, where a person stands in between."""

from datetime import UTC, datetime

import pytest

from tracking.entries import Entry, Log, Written

WHEN = datetime(2026, 11, 27, 2, tzinfo=UTC)


def log(*said: tuple[str, str, int] | tuple[str, str, int, str]) -> Log:
    """A ledger of entries, each a kind, the version that it is about, the move that it came after, and perhaps who."""
    written = []
    for number, (kind, to, after, *who) in enumerate(said, 1):
        name = who[0] if who else "pipeline"
        entry = Entry(kind=kind, who=name, when=WHEN, why="a test", to_version=to, after=after)
        written.append(Written(number, entry.model_dump_json(), entry, True))
    return Log("shop", True, tuple(written), "")


def awaits(found: Log) -> str:
    return found.awaiting.entry.to_version if found.awaiting and found.awaiting.entry else ""


FIRST = ("promotion", "1", 0)


def test_a_request_moves_nothing_and_awaits_until_it_is_approved() -> None:
    asked = log(FIRST, ("request", "2", 1))
    assert (asked.champion, awaits(asked), asked.over("2")) == ("1", "2", "")
    given = log(FIRST, ("request", "2", 1), ("approval", "2", 1, "anna"))
    assert (given.champion, awaits(given), given.over("2")) == ("2", "", "it became champion (entry 3)")
    assert given.lost(3) is None and given.earlier == ("1",)


def test_a_first_candidate_can_await_approval_too() -> None:
    given = log(("request", "1", 0), ("approval", "1", 0))
    assert (given.champion, awaits(log(("request", "1", 0)))) == ("1", "1")


@pytest.mark.parametrize(
    ("between", "said"),
    [
        (("refusal", "2", 0, "bert"), "bert has refused it: a test (entry 3)"),
        (("request", "3", 1), "superseded by version 3 (entry 3)"),
        (("promotion", "3", 1), "the champion is no longer the one that it was judged against: promotion from no "),
        (("rollback", "0", 1), "the champion is no longer the one that it was judged against: rollback"),
        (("adoption", "1", 1), "the champion is no longer the one that it was judged against: adoption"),
    ],
)
def test_what_came_between_request_and_approval_is_what_counts(between: tuple[str, str, int], said: str) -> None:
    found = log(FIRST, ("request", "2", 1), between, ("approval", "2", 1, "anna"))
    assert found.over("2").startswith(said) and found.champion != "2"
    lost = found.lost(4)
    assert lost is not None
    if between[0] in ("refusal", "request"):
        assert lost == f"version 2 of shop no longer awaited approval: {said}"
    else:
        assert lost.startswith("another move was quicker: entry 3 of the ledger of shop")


def test_of_approvals_at_once_the_lowest_counts_and_the_others_are_told() -> None:
    found = log(FIRST, ("request", "2", 1), ("approval", "2", 1, "anna"), ("approval", "2", 1, "bert"))
    assert [one.number for one in found.moves] == [1, 3] and found.champion == "2"
    assert (found.lost(4) or "").startswith("another move was quicker: entry 3 of the ledger of shop is an approval")


def test_an_approval_of_what_nobody_asked_for_is_none() -> None:
    found = log(FIRST, ("approval", "2", 1, "mallory"), ("request", "3", 1), ("approval", "2", 1, "mallory"))
    assert (found.champion, awaits(found)) == ("1", "3")


def test_a_request_that_was_written_after_the_champion_had_moved_awaits_nothing() -> None:
    found = log(FIRST, ("promotion", "3", 1), ("request", "2", 1), ("approval", "2", 1, "anna"))
    assert (found.champion, awaits(found)) == ("3", "")
    assert found.over("2").startswith("the champion is no longer the one that it was judged against: promotion")


def test_a_champion_that_went_and_came_back_is_not_the_one_that_a_request_was_judged_against() -> None:
    moved = [("promotion", "3", 1), ("rollback", "1", 3)]
    found = log(FIRST, ("request", "2", 1), *moved, ("approval", "2", 1, "anna"))
    assert found.champion == "1" and found.over("2").endswith("(entry 3)")


def test_a_refusal_of_another_version_leaves_a_request_alone_and_one_may_be_asked_for_again() -> None:
    assert awaits(log(FIRST, ("request", "2", 1), ("refusal", "3", 0), ("hand", "1", 0), ("refusal", "", 0))) == "2"
    again = log(FIRST, ("request", "2", 1), ("refusal", "2", 0), ("request", "2", 1))
    assert (awaits(again), again.over("2")) == ("2", "")
