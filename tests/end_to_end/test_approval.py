"""A night that waits for a person, and what the person types."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.end_to_end.conftest import Place

FROZEN = "promote.freeze=[{start: 2026-01-01, end: 2099-12-31, why: stocktaking}]"


@pytest.mark.slow
def test_a_night_waits_for_a_person_who_approves_it_an_hour_later_in_spite_of_a_freeze(place: Place) -> None:
    def models(*arguments: str) -> str:
        done = place.call("models", *arguments, state="asks")
        return (
            (done.stdout + done.stderr).strip() if not done.returncode else f"{done.returncode}: {done.stderr.strip()}"
        )

    ran = place.run("--set", "promote.approval=manual", "--set", FROZEN, state="asks")
    assert ran.returncode == 5, ran.stderr
    held = "promote.freeze (stocktaking) until 2100-01-01 00:00 UTC"
    (said,) = [line for line in ran.stdout.splitlines() if line.startswith("Awaiting approval: ")]
    assert f"({held}; promote.approval: manual): finest models approve 1 --name finest --reason WHY" in said
    listed = json.loads(models("list", "--json"))
    until = datetime.fromisoformat(listed["awaiting"]["until"]) - datetime.now(UTC)
    assert listed["awaiting"]["version"] == "1" and timedelta(hours=23) < until <= timedelta(hours=24)
    assert listed["versions"][0]["aliases"] == ["challenger"]
    assert "pass, awaits approval for 23 h" in " ".join(models("list").split())
    assert models("promote", "1").startswith(
        "1: error: version 1 of finest stays out of production: it awaits approval"
    )
    assert models("approve", "1", "--reason", " ").startswith("2: error: --reason is empty")
    frozen = f"1: error: version 1 of finest is not approved now: {held}; wait, or add --force"
    assert models("approve", "1", "--reason", "looked at it") == frozen
    given = models("approve", "1", "--reason", "looked at it", "--force")
    assert given.startswith("finest version 1 is the champion"), given
    assert models("approve", "1", "--reason", "again") == "1: error: version 1 of finest is the champion already"
    assert models("reject", "1", "--reason", "again") == "1: error: version 1 of finest is the champion already"
    kinds = [entry["kind"] for entry in json.loads(models("history", "--json"))["entries"]]
    assert kinds == ["request", "approval"] and models("verify") == "finest: 2 entries, all fits"
    assert models("prune", "--keep", "1", "--older-than", "0") == "finest: there is nothing to delete"
