"""A verdict is read by what it is about and what its rules say, not by its word."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finest.errors import DataError
from finest.gate.verdict import SCHEMA_VERSION, as_schema
from finest.gate.verdict_file import read_verdict, write_verdict
from tests.unit.gate.made_up_run import judged, made_up, noise

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_verdict(judged(made_up(), tmp_path), tmp_path / "verdict.json")
    return tmp_path / "verdict.json"


def change(file: Path, by: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(file.read_text())
    by(content)
    file.write_text(json.dumps(content))


def test_the_published_schema_is_that_of_the_code() -> None:
    assert (DOCS / "verdict.schema.json").read_text() == as_schema(), "python -m finest.gate.verdict writes it anew"


def test_keys_of_a_newer_version_are_passed_over(file: Path) -> None:
    before = read_verdict(file)
    change(file, lambda content: content.update(new_key=1))
    change(file, lambda content: content["rules"][0].update(why="because"))
    change(file, lambda content: content["scenarios"][0].update(more=[1]))
    assert read_verdict(file) == before


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 99])
def test_a_newer_schema_is_refused_by_its_number(file: Path, version: int) -> None:
    change(file, lambda content: content.update(schema_version=version))
    with pytest.raises(DataError, match=f"schema version {version}, and this version of finest reads up to 1"):
        read_verdict(file)


@pytest.mark.parametrize(
    "by",
    [
        lambda content: content.update(rules=[]),
        lambda content: content["rules"][0].update(status="fail"),
        lambda content: content["rules"][-1].update(status="fail"),
        lambda content: [each.update(status="not applicable") for each in content["rules"]],
        lambda content: content.update(verdict="fail"),
    ],
)
def test_a_word_that_its_rules_do_not_bear_out_is_refused(file: Path, by: Callable[[dict[str, Any]], Any]) -> None:
    change(file, by)
    with pytest.raises(DataError, match=r"but by its [0-9]+ rules it is"):
        read_verdict(file)


@pytest.mark.parametrize(
    "by",
    [
        lambda content: content.update(selftest=[]),
        lambda content: content["selftest"].pop(0),
        lambda content: content["metrics"].pop("selftest/refused"),
    ],
)
def test_trials_that_are_not_those_that_were_counted_are_refused(
    tmp_path: Path, by: Callable[[dict[str, Any]], Any]
) -> None:
    trialled = made_up()
    trialled.config["self_test"] = True
    write_verdict(judged(trialled, tmp_path), tmp_path / "verdict.json")
    read_verdict(tmp_path / "verdict.json")
    change(tmp_path / "verdict.json", by)
    with pytest.raises(DataError, match="trials of itself are not those that its metrics count"):
        read_verdict(tmp_path / "verdict.json")


def test_a_pass_written_over_a_fail_is_refused(tmp_path: Path) -> None:
    run = made_up()
    run.scores["seed", "base"] = noise(1)
    write_verdict(judged(run, tmp_path), tmp_path / "verdict.json")
    assert read_verdict(tmp_path / "verdict.json").verdict == "fail"
    change(tmp_path / "verdict.json", lambda content: content.update(verdict="pass", reason="All checks hold."))
    with pytest.raises(DataError, match=r"it says pass, but by its .* rules it is fail .*run the gate again"):
        read_verdict(tmp_path / "verdict.json")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"verdict": "pass"}', "\udcff", "[" * 100_000, "9" * 5000])
def test_what_is_no_verdict_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdict.json").write_text(text, errors="surrogateescape")
    with pytest.raises(DataError, match=r"^\S+verdict.json: [^\n]*run the gate again$"):
        read_verdict(tmp_path / "verdict.json")
