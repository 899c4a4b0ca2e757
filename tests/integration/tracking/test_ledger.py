"""The ledger says who is champion: who wins of many, what a crash leaves, and what was changed behind its back."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from components.recommend.config import Recommend
from components.recommend.work import champion_of
from finest.errors import FinestError
from finest.gate.verdict import Verdict
from finest.gate.verdict_file import digest_of
from tests.integration.tracking import conftest
from tests.integration.tracking.conftest import NAME, moved, version
from tracking import ledger, production, promotion, registry, standing, store
from tracking.entries import Log

Step = Callable[..., registry.Version]


def test_an_alias_that_was_moved_by_hand_is_an_alarm_until_a_person_says_which_one_is_meant(
    line: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.connect().set_registered_model_alias(line, "champion", "1")
    alarm = (
        r"the alias champion of finest-test is on version 1, but by entry 3 of the ledger it is version 3: somebody "
        r"has moved it by hand; `finest models repair` puts it back; `finest models promote 1` makes that the champion"
    )
    with pytest.raises(FinestError, match=alarm):
        standing.check(line)
    assert champion_of(line, Recommend(out=str(tmp_path))).version == "3"
    assert re.search(f"the lists are version 3's: {alarm}", caplog.text)
    assert production.problems(line)[0].startswith("the alias champion of finest-test is on version 1")
    assert production.repair(line, why="by mistake") == ["champion: from version 1 to version 3"]
    assert standing.check(line).served == "3"
    last = ledger.read(line).written[-1].entry
    assert last and (last.kind, last.from_version, last.to_version) == ("hand", "1", "3") and "by mistake" in last.why
    store.connect().set_registered_model_alias(line, "champion", "1")
    moved(line, "1", "meant so")
    assert standing.check(line).served == "1" and production.problems(line) == []
    store.connect().delete_registered_model_alias(line, "champion")
    with pytest.raises(
        FinestError, match=r"the alias champion of finest-test is gone, but by entry 5 .* it is version 1"
    ):
        standing.check(line)
    assert production.repair(line) == ["champion: from no champion to version 1"]


def test_an_alias_that_was_set_by_hand_before_anything_was_promoted_is_an_alarm(line: str, state: Path) -> None:
    version("other")
    ledger.begin("other")
    ledger.append("other", ledger.entry("refusal", "too unstable", run="run-1"), ledger.read("other"))
    store.connect().set_registered_model_alias("other", "champion", "1")
    with pytest.raises(
        FinestError, match="is on version 1, but the ledger has made none: somebody has moved it by hand"
    ):
        standing.check("other")


def change(line: str, number: int, **fields: object) -> None:
    """Changes an entry as MLflow's UI lets anybody."""
    client = store.connect()
    said = json.loads(client.get_model_version(line + ledger.SUFFIX, str(number)).tags["entry"])
    client.set_model_version_tag(line + ledger.SUFFIX, str(number), "entry", json.dumps(said | fields))


def change_the_middle(line: str) -> str:
    change(line, 2, why="another reason")
    return "entry 2 was changed since entry 3 was written"


def change_the_newest(line: str) -> str:
    change(line, 3, to_version="1")
    return "entry 3 was changed since the newest one was written"


def delete_the_middle(line: str) -> str:
    store.connect().delete_model_version(line + ledger.SUFFIX, "2")
    return "entry 2 was deleted"


def delete_the_newest(line: str) -> str:
    store.connect().delete_model_version(line + ledger.SUFFIX, "3")
    return "entry 3 was deleted"


def write_rubbish(line: str) -> str:
    store.connect().set_model_version_tag(line + ledger.SUFFIX, "2", "entry", "none")
    return "entry 2 is none that this version of finest can read"


def delete_it_all(line: str) -> str:
    store.connect().delete_registered_model(line + ledger.SUFFIX)
    return "entries 1 to 3 were deleted"


@pytest.mark.parametrize(
    "attack",
    [change_the_middle, change_the_newest, delete_the_middle, delete_the_newest, write_rubbish, delete_it_all],
)
def test_a_ledger_that_was_changed_is_found_and_stops_everything_until_a_person_accepts_it(
    line: str, attack: Callable[[str], str]
) -> None:
    found = attack(line)
    assert f"the ledger of {line} was changed: {found}" in production.problems(line)
    for stopped in (
        standing.check,
        registry.champion,
        production.rollback,
        lambda name: moved(name, "1"),
        production.repair,
    ):
        with pytest.raises(FinestError, match=f"the ledger of {line} was changed: {found}"):
            stopped(line)
    with pytest.raises(FinestError, match="say why"):
        production.repair(line, accept=True)
    (said,) = production.repair(line, accept=True, why="a slip in the UI")
    assert "is accepted as it is, with version 3 as champion" in said
    assert production.problems(line) == [] and standing.check(line).served == "3"
    assert moved(line, "1").version == "1" and production.problems(line) == []
    change(line, ledger.read(line).top, why="once more")
    assert len(ledger.read(line).breaks()) == 1


def test_a_champion_that_was_deleted_asks_a_person_and_a_rollback_still_works(line: str) -> None:
    store.connect().delete_model_version(line, "3")
    asks = "the champion of finest-test is version 3 by entry 3 of the ledger, and that version was deleted; choose one"
    for asked in (standing.check, registry.champion, production.repair):
        with pytest.raises(FinestError, match=asks):
            asked(line)
    assert registry.serving(line) is None and production.problems(line)[0].startswith("the champion of finest-test is")
    assert production.make(production.rollback(line, "2", force=True), "deleted").version == "2"
    assert standing.check(line).served == "2"
    for one in ("1", "2"):
        store.connect().delete_model_version(line, one)
    with pytest.raises(FinestError, match="no version is left: start a line of another name"):
        standing.check(line)


def test_a_line_from_before_the_ledger_is_adopted_with_what_it_can_roll_back_to(state: Path, promoted: Step) -> None:
    version(NAME)
    version(NAME)
    client = store.connect()
    client.set_registered_model_alias(NAME, "previous", "1")
    client.set_registered_model_alias(NAME, "champion", "2")
    before = registry.champion(NAME)
    assert before and before.version == "2" and standing.check(NAME).served == "2" and production.problems(NAME) == []
    assert not ledger.read(NAME).exists, "reading writes nothing"
    assert promoted("run-3", 1, "2").version == "3"
    log = ledger.read(NAME)
    assert [(one.entry.kind, one.entry.from_version, one.entry.to_version) for one in log.written if one.entry] == [
        ("adoption", "", "2"),
        ("promotion", "2", "3"),
    ]
    assert log.earlier == ("2", "1")
    assert [production.make(production.rollback(NAME), "").version for _ in range(2)] == ["2", "1"]


def test_a_line_from_before_the_ledger_whose_champion_vanished_asks_a_person(state: Path) -> None:
    version(NAME)
    with pytest.raises(
        FinestError, match="finest-test has no champion, but version 1 passed before there was a ledger"
    ):
        standing.check(NAME)
    moved(NAME, "1", "it is the one")
    assert standing.check(NAME).served == "1"


def test_a_first_night_that_was_killed_before_its_entry_leaves_a_first_night(
    promoted: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(conftest, "in_process", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        promoted("run-1", 0, None)
    assert standing.check(NAME).champion == "" and registry.champion(NAME) is None
    with pytest.raises(
        FinestError, match=r"version 1 .* stays out of production: it is not verified: nothing has loaded it"
    ):
        production.promotion(NAME, "1")
    assert promoted("run-1", 0, None).version == "1"


def test_only_a_version_that_served_what_was_judged_goes_to_production_by_hand(
    promoted: Step, verdict: Callable[..., Verdict]
) -> None:
    promoted("run-1", 0, None)
    promoted("run-2", 1, "1")
    digest = digest_of(verdict())
    assert {one.verified for one in registry.list_versions(NAME)} == {digest}
    pretended = version(NAME, verified=digest, ledger="since")
    why = f"version {pretended} of {NAME} stays out of production: no entry of the ledger confirms its tag `verified`"
    for refused in (production.promotion, production.rollback):
        with pytest.raises(FinestError, match=why):
            refused(NAME, pretended)
    assert (
        f"version {pretended} of {NAME} has a tag `verified` that no entry of the ledger confirms"
        in production.problems(NAME)
    )
    moved(NAME, pretended, "to see it")
    last = ledger.read(NAME).written[-1].entry
    assert last and last.forced and last.why.startswith("to see it; forced although no entry of the ledger confirms")
    assert production.make(production.promotion(NAME, "1"), "back").version == "1"


def test_a_verdict_that_was_replaced_is_found(promoted: Step, verdict: Callable[..., Verdict], tmp_path: Path) -> None:
    client = store.connect()
    made = promoted("run-1", 0, None)
    file = tmp_path / "verdict.json"
    from finest.gate.verdict_file import write_verdict

    write_verdict(verdict(), file)
    client.log_artifact(made.mlflow_run_id, str(file))
    assert production.problems(NAME) == []
    file.write_text(file.read_text().replace("0.05", "0.06"))
    client.log_artifact(made.mlflow_run_id, str(file))
    assert ["is not the verdict that the ledger names" in line for line in production.problems(NAME)] == [True]


def test_what_others_register_under_the_name_breaks_no_list_and_an_empty_champion_is_named(
    line: str, tmp_path: Path
) -> None:
    strange = {"accuracy/mrr": "n/a", "rls/rbo": "nan", "last_timestamp": "yesterday"}
    found = moved(line, version(line, verdict="perhaps", **strange))
    assert (found.mrr, found.rls, found.last_timestamp) == (None, None, None)
    assert len(registry.list_versions(line)) == 4
    client = store.connect()
    run = client.create_run(client.create_experiment("elsewhere", artifact_location=str(tmp_path / "files"))).info
    empty = client.create_model_version(line, source=f"runs:/{run.run_id}/model", run_id=run.run_id)
    (tmp_path / "files" / "model").mkdir(parents=True)
    with pytest.raises(FinestError, match="version 5 of finest-test holds no model: its files were deleted"):
        registry.download(registry.get(line, str(empty.version)), tmp_path / "download")


def test_two_people_who_roll_back_the_same_page_go_back_once(line: str) -> None:
    first, second = (production.rollback(line, "2", force=True) for _ in range(2))
    production.make(first, "odd lists")
    with pytest.raises(
        FinestError, match=r"entry 4 of the ledger of finest-test is a rollback from version 3 to version 2"
    ):
        production.make(second, "odd lists")
    assert standing.check(line).served == "2"


def test_a_tenure_ends_where_the_next_one_begins(line: str) -> None:
    log: Log = ledger.read(line)
    served = production.tenures(log)
    assert [one.version for one in served] == ["1", "2", "3"] and served[-1].until is None
    assert [one.until for one in served[:-1]] == [one.since for one in served[1:]]
    assert all(isinstance(one.since, datetime) for one in served)


def test_a_refusal_is_entered_once_a_run_even_before_the_line_has_a_model(state: Path) -> None:
    for _ in range(2):
        promotion.refuse(NAME, "too unstable\nby far", "ab" * 32)
    log = ledger.read(NAME)
    (entry,) = (one.entry for one in log.written)
    assert entry and (entry.kind, entry.run, entry.verdict, entry.why) == (
        "refusal",
        "run-1",
        "ab" * 32,
        "too unstable by far",
    )
    assert log.champion == "" and registry.champion(NAME) is None and production.problems(NAME) == []
    assert moved(NAME, version(NAME)).version == "1" and ledger.read(NAME).top == 2


def test_a_package_of_another_line_serves_in_no_case(promoted: Step, tmp_path: Path) -> None:
    promoted("run-1", 0, None)
    champion, client = registry.get(NAME, "1"), store.connect()
    moved("shop-fr", version("shop-fr"))

    def tried(version: registry.Version, *others: object) -> None:
        registry.package(version, tmp_path / "tried")

    copy = client.create_model_version(
        "shop-fr", client.get_model_version_download_uri(NAME, "1"), tags=client.get_model_version(NAME, "1").tags
    )
    with pytest.raises(FinestError, match=rf"version 2 of shop-fr holds a model of the line {NAME}"):
        registry.download(registry.get("shop-fr", str(copy.version)), tmp_path / "package")
    move = production.promotion("shop-fr", str(copy.version), force=True)
    with pytest.raises(FinestError, match=rf"of the line {NAME}: .* serves here in no case"):
        production.make(move, "they are alike", tried)
    assert ledger.read("shop-fr").champion == "1" and registry.get(NAME, "1") == champion
