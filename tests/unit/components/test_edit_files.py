"""Edit files of this machine: read, held to their digest, and one line for what they are not."""

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.perturb.work import resolved, tables
from components.sections import parameters, parse
from finest.errors import ConfigError, DataError
from finest.perturb.config import EditFile, Perturb
from finest.perturb.plan import deal, plan
from pipeline import inputs
from pipeline.cluster import parameters as cluster
from pipeline.config import load
from tests.builders import random_dataset

DATA = random_dataset(users=40, items=30)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What a run has drawn: a file of two scenarios."""
    table, _ = plan(DATA, Perturb.model_validate({"scenarios": [{"kind": "deletion"}, {"kind": "insertion"}]}), 0)
    pq.write_table(table, tmp_path / "mine.parquet")
    return tmp_path / "mine.parquet"


def section(file: Path | str, **keys: str) -> Perturb:
    return parse(Perturb, {"scenarios": [{"file": str(file), **keys}, {"kind": "deletion"}]}, "perturb")


def test_preflight_writes_the_digest_into_the_config_and_the_plan_has_it(file: Path) -> None:
    config = resolved(section(file, scenario="random-insertion-0.001-s0"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (of,) = config.files
    assert (of.sha256, of.name) == (digest, "mine-random-insertion-0.001-s0")
    assert parse(Perturb, parameters(config), "perturb") == config
    table, planned = plan(DATA, config, 0, tables(config))
    assert planned.edit_files == {of.name: digest} == deal(config, 5).edit_files
    assert set(table.column("scenario").to_pylist()) == {of.name, "random-deletion-0.001-s0"}


def test_a_file_that_is_replaced_after_preflight_is_one_line(file: Path) -> None:
    config = resolved(section(file, scenario="random-insertion-0.001-s0"))
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(
        DataError, match=r"mine.parquet: its sha256 is [0-9a-f]{64}, but [0-9a-f]{64} is expected"
    ) as raised:
        tables(config)
    assert "\n" not in str(raised.value)


def test_a_file_may_be_a_uri_or_a_folder_of_nothing_else(file: Path) -> None:
    for place in (f"file://{file}", file.parent):
        (of,) = resolved(section(place, scenario="random-insertion-0.001-s0", name="mine")).files
        assert of.sha256


def test_a_file_with_the_edits_of_another_scenario_is_an_error_before_the_gate_finds_a_copy(file: Path) -> None:
    config = section(file, scenario="random-deletion-0.001-s0")
    with pytest.raises(
        ConfigError, match=r"mine-random-deletion-0.001-s0 has the very edits of random-deletion-0.001-s0"
    ):
        plan(DATA, config, 0, tables(config))
    fresh = section(file, scenario="random-deletion-0.001-s0", training_seed="fresh")
    assert len(plan(DATA, fresh, 0, tables(fresh))[0]) == 2 * max(1, round(0.001 * DATA.train.sum()))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.parquet", "gone.parquet: there is no such file or folder"),
        ("two", "two: 2 files lie there; name the edit file itself"),
        ("text.parquet", "text.parquet: cannot be read as Parquet"),
        ("empty.parquet", "empty.parquet: cannot be read as Parquet"),
        ("mine.parquet", "mine.parquet: it holds several scenarios; name one"),
    ],
)
def test_what_is_no_edit_file_is_one_line_before_anything_is_trained(file: Path, name: str, said: str) -> None:
    (file.parent / "two").mkdir()
    for number in range(2):
        (file.parent / "two" / f"{number}.parquet").write_bytes(file.read_bytes())
    (file.parent / "text.parquet").write_text("row,kind\n1,deletion\n")
    (file.parent / "empty.parquet").touch()
    with pytest.raises(DataError, match=said) as raised:
        resolved(section(file.parent / name))
    assert "\n" not in str(raised.value)


def test_a_cluster_needs_a_uri(file: Path) -> None:
    given = ["source=s3://bucket/rows", "checkpoints=s3://bucket/here"]
    mine = f"perturb.scenarios=[{{file: {file}}}]"
    with pytest.raises(ConfigError, match=r"perturb.scenarios: .*mine.parquet is a file of this machine; a cluster's"):
        cluster.of(load(None, [*given, mine]))
    values = cluster.of(load(None, [*given, "perturb.scenarios=[{file: s3://bucket/edits.parquet}]"]))
    assert values["perturb"]["scenarios"][0]["file"] == "s3://bucket/edits.parquet"
    assert inputs.of(load(None, [mine]))["perturb"]["scenarios"][0]["name"] == "mine"


def test_the_config_of_a_file_is_what_was_written(file: Path) -> None:
    (of,) = section(file).files
    assert of == EditFile.model_validate(of.model_dump(mode="json"))
