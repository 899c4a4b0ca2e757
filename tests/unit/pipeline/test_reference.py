import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from components.sections import keys
from finest.perturb.registry import EDITS, FAMILIES
from pipeline import cli, reference
from pipeline.config import NIGHTLY, QUICKSTART, READY_MADE, Config, load

ROOT = Path(__file__).parents[3]
SCHEMA = READY_MADE / "config.schema.json"
STALE = "is not what the code says: run `make docs`"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return reference.schema()


def rows(schema: dict[str, Any]) -> dict[str, reference.Row]:
    return {row.key: row for table in reference.tables(schema) for row in table.rows}


def test_the_page_in_the_repository_is_current() -> None:
    assert (ROOT / "docs" / "config.md").read_text() == reference.page(), f"docs/config.md {STALE}"


def test_the_schema_in_the_repository_is_current(schema: dict[str, Any]) -> None:
    current = SCHEMA.read_text() == reference.as_text(schema)
    assert current, f"{SCHEMA} {STALE}"


def test_every_key_is_on_the_page_and_says_what_it_means(schema: dict[str, Any]) -> None:
    found = rows(schema)
    sections = {name for name, about in schema["properties"].items() if "$ref" in about}
    assert sections | set(found) >= set(keys(Config))
    assert [key for key, row in found.items() if len(row.text) < 10] == []


@pytest.mark.parametrize(
    ("key", "kind", "default"),
    [
        ("seed", "whole number, ≥ 0", "`0`"),
        ("as_of", "day or time or null", "`null`"),
        ("gate.min_rls_above_floor", "number, ≥ -1, ≤ 3 or `off`", "`0.5`"),
        ("perturb.scenarios.kind", f"{', '.join(f'`{name}`' for name in EDITS)} or section", "required"),
        ("perturb.scenarios.family", f"{', '.join(f'`{name}`' for name in FAMILIES)} or section", "`random`"),
        ("perturb.scenarios.family.look_back", "whole number, ≥ 2", "`50`"),
        ("ingest.split", "section", ""),
        ("placement.node_selector", "keys with text", "`{}`"),
    ],
)
def test_a_row_says_type_range_and_default(schema: dict[str, Any], key: str, kind: str, default: str) -> None:
    row = rows(schema)[key]
    assert (row.kind, row.default) == (kind, default)


@pytest.mark.parametrize("file", [QUICKSTART, NIGHTLY])
def test_the_schema_takes_the_ready_made_configs(schema: dict[str, Any], file: Path) -> None:
    jsonschema.validate(yaml.safe_load(file.read_text()), schema)
    first = file.read_text().splitlines()[0]
    assert (file.parent / first.rpartition("$schema=")[2]).resolve() == SCHEMA


@pytest.mark.parametrize(
    "config",
    [
        {"pretrain": {"rate": 1}},
        {"pretrain": {"model": {"name": "bert"}}},
        {"gate": {"rules": ["stabilty"]}},
        {"gate": {"min_rls_above_floor": "of"}},
        {"perturb": {"scenarios": [{"share": 0.1}]}},
    ],
)
def test_the_schema_refuses_what_a_run_would_refuse(schema: dict[str, Any], config: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, schema)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["finest", *words])
    return cli.main()


def test_show_is_a_config_of_the_same_run_and_says_where_values_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = ["pretrain.epochs=20", "perturb.scenarios.1.share=0.01", "gate.min_rls_above_floor=off"]
    given = [word for setting in sets for word in ("--set", setting)]
    assert run(monkeypatch, "config", "show", "--config", str(NIGHTLY), *given) == 0
    text = capsys.readouterr().out
    (tmp_path / "shown.yaml").write_text(text)
    assert load(tmp_path / "shown.yaml") == load(NIGHTLY, sets)
    lines = [line.strip() for line in text.splitlines()]
    assert {"epochs: 20  # --set", "alpha: 0.3  # nightly.yaml", "batch_size: 32"} <= set(lines)
    assert "min_rls_above_floor: 'off'  # --set" in lines


def test_schema_and_docs_print_what_the_repository_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], schema: dict[str, Any]
) -> None:
    assert run(monkeypatch, "config", "schema") == 0
    assert json.loads(capsys.readouterr().out) == schema
    assert run(monkeypatch, "config", "docs") == 0
    assert capsys.readouterr().out == reference.page()


def test_a_wrong_config_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "config", "show", "--set", "pretrain.rate=1") == 2
    assert capsys.readouterr().err == "error: pretrain.rate is called pretrain.lr now\n"
