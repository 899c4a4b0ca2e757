from pathlib import Path

import pytest

from pipeline.cluster.schedule import named
from tests.integration.cluster.conftest import Call, model
from tests.services.fake_http import Answer, Request
from tests.services.fake_kfp import FakeKfp

NIGHT = "--cron", "0 2 * * *"


def test_however_often_it_is_set_there_is_one(kfp: FakeKfp, call: Call) -> None:
    said = [call("schedule", *NIGHT) for _ in range(3)]
    assert [one.code for one in said] == [0, 0, 0]
    [night] = kfp.recurring.values()
    assert night.trigger.cron_schedule.cron == "0 0 2 * * *" and night.mode == "ENABLE"
    assert str(night.max_concurrency) == "1" and night.no_catchup and night.service_account == "finest-pipeline"
    assert "created" in said[0].out and "unchanged" in said[1].out
    assert not any(request.method == "DELETE" for request in kfp.http.asked)


@pytest.mark.parametrize(
    "changed", [("--cron", "30 3 * * *"), (*NIGHT, "--set", "seed=1"), (*NIGHT, "--service-account", "other")]
)
def test_another_time_config_or_account_replaces_it(kfp: FakeKfp, call: Call, changed: tuple[str, ...]) -> None:
    call("schedule", *NIGHT)
    [old] = kfp.recurring
    assert "replaced" in call("schedule", *changed).out
    [(new, night)] = kfp.recurring.items()
    assert new != old and night.mode == "ENABLE"


def test_duplicates_that_someone_else_made_are_removed_and_schedules_of_other_names_stay(
    kfp: FakeKfp, call: Call, tmp_path: Path
) -> None:
    call("schedule", *NIGHT)
    [night] = kfp.recurring.values()
    for number in range(4):
        kfp.recurring[f"copy-{number}"] = type(night)(
            recurring_run_id=f"copy-{number}", display_name=night.display_name, mode="ENABLE"
        )
    kfp.recurring["other"] = type(night)(recurring_run_id="other", display_name="weekly report", mode="ENABLE")
    call("schedule", *NIGHT)
    assert sorted(one.display_name for one in kfp.recurring.values()) == sorted(
        [named(model(tmp_path)), "weekly report"]
    )


def test_at_no_moment_do_two_schedules_run(kfp: FakeKfp, call: Call) -> None:
    call("schedule", *NIGHT)
    most: list[int] = []
    answer = kfp.http.before

    def count(request: Request) -> Answer | None:
        most.append(sum(one.mode == "ENABLE" for one in kfp.recurring.values()))
        return answer(request)

    kfp.http.before = count
    call("schedule", "--cron", "30 3 * * *")
    assert max(most) == 1


def test_it_can_be_turned_off_on_and_removed(kfp: FakeKfp, call: Call) -> None:
    call("schedule", *NIGHT)
    assert call("schedule", "--disable").code == 0
    [night] = kfp.recurring.values()
    assert night.mode == "DISABLE"
    call("schedule", *NIGHT)
    assert [one.mode for one in kfp.recurring.values()] == ["ENABLE"]
    assert call("schedule", "--delete").code == 0 and not kfp.recurring
    assert call("schedule", "--delete").code == 1


def test_the_time_is_the_users_and_a_zone_that_changes_its_clocks_is_named(kfp: FakeKfp, call: Call) -> None:
    fixed = call("schedule", "--cron", "0 2 * * *", "--time-zone", "Asia/Kolkata")
    [night] = kfp.recurring.values()
    assert night.trigger.cron_schedule.cron == "0 30 20 * * *" and "note:" not in fixed.out
    moving = call("schedule", "--cron", "0 4 * * *", "--time-zone", "Europe/Berlin")
    [night] = kfp.recurring.values()
    assert night.trigger.cron_schedule.cron in ("0 0 3 * * *", "0 0 2 * * *")
    assert "60 minutes" in moving.out and "CRON_SCHEDULE_TIMEZONE=Europe/Berlin" in moving.out
    same = call("schedule", "--cron", "0 4 * * *", "--time-zone", "Europe/Berlin", "--server-zone", "Europe/Berlin")
    [night] = kfp.recurring.values()
    assert night.trigger.cron_schedule.cron == "0 0 4 * * *" and "note:" not in same.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--cron", "0 2 * *"), "4 fields"),
        (("--cron", "0 25 * * *"), "'25' is no hour"),
        (("--cron", "0 2 * * *", "--time-zone", "Berlin"), "time zone 'Berlin'"),
        ((*NIGHT, "--disable"), "give one of"),
        ((*NIGHT, "--set", "as_of=2026-11-24"), "as_of"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    kfp: FakeKfp, call: Call, arguments: tuple[str, ...], named: str
) -> None:
    said = call("schedule", *arguments)
    assert said.code == 2 and named in said.error and not kfp.http.asked


def test_lines_have_schedules_of_their_own_side_by_side(kfp: FakeKfp, call: Call) -> None:
    for name, hour in (("shop-de", 1), ("shop-fr", 3)):
        assert "created" in call("schedule", "--cron", f"0 {hour} * * *", "--name", name).out
    assert "replaced" in call("schedule", "--cron", "0 2 * * *", "--name", "shop-de").out
    found = {one.display_name: one for one in kfp.recurring.values()}
    assert {name: one.trigger.cron_schedule.cron for name, one in found.items()} == {
        "shop-de-nightly": "0 0 2 * * *",
        "shop-fr-nightly": "0 0 3 * * *",
    }
    assert [one.runtime_config.parameters["name"] for one in found.values()] == ["shop-fr", "shop-de"]
    said = call("schedule", "--delete")
    assert said.code == 1 and "(there are: shop-de-nightly, shop-fr-nightly)" in said.error
    assert call("schedule", "--delete", "--name", "shop-de").code == 0
    assert [one.display_name for one in kfp.recurring.values()] == ["shop-fr-nightly"]


def test_a_line_does_not_start_over_every_night(kfp: FakeKfp, call: Call) -> None:
    said = call("schedule", *NIGHT, "--set", "rebase=true")
    assert said.code == 2 and "submit --rebase" in said.error and not kfp.recurring
