"""`finest check`: what it says of files as people have them, and that its config runs."""

import errno
import json
import logging
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.ingest.work import read
from components.preflight.work import look_at
from components.source import listing_of, resolve
from finest.data.check import sample
from finest.data.config import Ingest
from finest.data.window import resolved
from finest.errors import DataError
from pipeline import check, cli
from pipeline.config import load
from tests import check_page

FIRST = check_page.FIRST


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the page's sources."""
    place = tmp_path_factory.mktemp("check")
    check_page.sources(place)
    return place


def looked(path: Path | str, *sets: str) -> dict[str, Any]:
    return check.examined(str(path), load(None, sets))


def table(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([*([header] if header else []), *rows]) + "\n")
    return path


def plain(users: int = 20, each: int = 30) -> list[str]:
    return [f"u{u},i{(u * 13 + at) % 250},{FIRST + at}" for u in range(users) for at in range(each)]


def test_the_page_is_what_the_command_prints() -> None:
    assert check_page.PAGE.read_text() == check_page.page()


@pytest.mark.parametrize(
    "name",
    [
        "ratings.dat",
        "u.data",
        "bestellungen.csv",
        "events.csv.zip",
        "delta",
        "feed",
        "plays.tsv.gz",
        "recbole",
        "dirty.csv",
        "days",
    ],
)
def test_the_config_that_it_prints_is_one_that_ingest_runs_with(name: str, folder: Path, tmp_path: Path) -> None:
    printed = looked(folder / name)
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(printed["config"]))
    config = load(file)
    ingest = resolved(config.ingest, datetime(2024, 3, 3, tzinfo=UTC))
    look_at(config.source, resolve(config.source), ingest)
    listing = listing_of(resolve(config.source), ingest)
    manifest = read(config.source, listing, config.finetune.list_length, ingest, tmp_path / "out")
    assert manifest.source_rows == printed["counts"]["source_rows"] > 2000


def test_all_mistakes_are_said_at_once_in_preflight_too(folder: Path) -> None:
    source = resolve(str(folder / "plays.tsv.gz"))
    with pytest.raises(DataError) as error:
        look_at("plays", source, Ingest())
    for mends in ("columns.user=session_id", "columns.item=track_id", "exclude_seen=false", "depth=20"):
        assert f"ingest.{mends}" in str(error.value).replace("ingest.evaluation.", "ingest.")
    assert "(1) " in str(error.value) and "\n" not in str(error.value)


def test_a_large_source_is_looked_at_in_seconds_and_its_sample_refuses_nothing_by_counts(tmp_path: Path) -> None:
    rows = [f"u{at % 5000},i{at * 31 % 40},{FIRST + at}" for at in range(700_000)]
    path = table(tmp_path / "big.csv", "user_id,item_id,timestamp", rows)
    begun = time.monotonic()
    found = looked(path)
    assert time.monotonic() - begun < 30
    assert not found["whole"] and 0.3 < found["share"] < 0.9 and not found["mistakes"]
    assert found["counts"]["source_rows"] / found["share"] == pytest.approx(700_000, rel=0.05)
    assert found["config"]["ingest"] == {"evaluation": {"exclude_seen": False}}
    assert any("set ingest.evaluation.exclude_seen=false" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("name", "content", "mistake"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv", "user_id,item_id,timestamp\n", "holds no rows"),
        ("a.csv", "\n\n\n", "holds no rows"),
        ("a.csv", "a,b,c\nx,y,z\n", "no column looks like the user; set ingest.columns.user to one of a, b, c"),
        ("a.csv", "alone\n1\n2\n", "has one column, alone, where"),
        ("a.zip", "no zip", "not a readable zip archive"),
        ("a.parquet", "PAR1 no parquet", "not a readable Parquet file"),
        ("a.csv.gz", "no gzip", "not readable"),
        ("a.xyz", "user_id,item_id,timestamp\nu,i,1\n", "set ingest.format=text"),
        ("a.csv", "user_id,item_id,timestamp\nu,i,never\n", "no row of the source has a readable timestamp"),
        ("a.csv", "user_id,item_id,timestamp\n" + "\0" * 500 + "\n", ""),
        ("a.csv", "\x1b[31muser,[bold]item,{x}\n1,2,3\n", "no column looks like"),
        ("a.jsonl", '{"user_id": 1}\n', "looks like JSON, which is not read"),
        ("a.csv", "user_id,item_id,timestamp\nu,i,1\n", "no held-out interaction"),
        ("a.csv", "user_id,user_id,item_id,timestamp\nu,u,i,1\n", "user"),
    ],
)
def test_what_cannot_be_read_is_a_mistake_and_never_a_traceback(
    name: str, content: str, mistake: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    found = looked(tmp_path / name)
    assert any(mistake in one for one in found["mistakes"]), found["mistakes"]


def test_ids_in_folders_alone_are_said(tmp_path: Path) -> None:
    for user in range(3):
        place = tmp_path / f"user_id={user}"
        place.mkdir()
        table(place / "a.csv", "item_id,timestamp", [f"i{at},{FIRST + at}" for at in range(50)])
    assert any("user_id= is not read as a column: write it into" in one for one in looked(tmp_path)["mistakes"])


def test_users_of_few_rows_are_kept_by_a_lower_k_core(tmp_path: Path) -> None:
    rows = [f"u{user},i{(user * 3 + at) % 250},{FIRST + at}" for user in range(200) for at in range(3)]
    found = looked(table(tmp_path / "a.csv", "user_id,item_id,timestamp", rows))
    assert found["config"]["ingest"] == {"min_user_interactions": 2}
    assert found["mistakes"] == [
        "no user and item is left of those with 5 interactions or more; set ingest.min_user_interactions=2"
    ]


def test_files_without_a_header_go_by_number(tmp_path: Path) -> None:
    found = looked(table(tmp_path / "a.csv", "", plain()))
    assert found["config"]["ingest"]["columns"] == {"user": 0, "item": 1, "timestamp": 2}
    assert "has no header" in found["mistakes"][0] and "ingest.columns.user=0" in found["mistakes"][0]


def test_the_config_as_given_is_what_is_judged(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "who,what,timestamp,user_id", [f"{row},x" for row in plain()])
    found = looked(path, "ingest.columns.user=who", "ingest.columns.item=what")
    assert found["mistakes"] == [] and found["counts"]["users"] == 20


def test_nothing_is_left_and_the_exit_code_says_whether_a_run_can_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINEST_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    table(tmp_path / "good.csv", "user_id,item_id,timestamp", plain())
    table(tmp_path / "bad.csv", "uid,item_id,timestamp", plain())
    for name, code in (("good.csv", 0), ("bad.csv", 1), ("none.csv", 1)):
        monkeypatch.setattr(sys, "argv", ["finest", "check", name, "--json"])
        assert cli.main() == code
    said = capsys.readouterr()
    assert json.loads(said.out[: said.out.index("}\n{") + 1])["config"] == {"source": "good.csv"}
    assert "none.csv: there is no such file" in said.err
    left = {path.name for path in tmp_path.rglob("*")} - {"state", "error.log"}
    assert left == {"good.csv", "bad.csv", "tmp"}


def test_what_ingest_logs_is_not_printed_twice(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        looked(folder / "u.data")
    assert caplog.messages == []
    shutil.rmtree(folder, ignore_errors=True)


def test_a_damaged_page_and_a_time_that_python_has_not_are_said(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    users, items, times = zip(*(row.split(",") for row in plain()), strict=True)
    rows = pa.table({"user_id": users, "item_id": items, "timestamp": list(map(int, times))})
    pq.write_table(rows, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / "damaged.parquet").write_bytes(content)
    assert any("damaged.parquet" in said for said in looked(tmp_path / "damaged.parquet")["mistakes"])
    far = pa.array([2**62 // 1000, *([FIRST * 1000] * (len(rows) - 1))]).cast(pa.timestamp("ms"))
    pq.write_table(rows.set_column(2, "timestamp", far), tmp_path / "far.parquet")
    found = looked(tmp_path / "far.parquet")
    assert found["counts"]["quarantined_rows"] == 1


def test_what_is_said_is_lines_whatever_files_and_columns_are_called(tmp_path: Path) -> None:
    table(tmp_path / "0.csv", "user_id,item_id,timestamp", plain())
    (tmp_path / "1.csv").write_text('user_id,item_id,"a\nb",timestamp\nu,i,x,1795132800\n')
    (tmp_path / "\n.csv").touch()
    found = looked(tmp_path)
    said = [text for name in ("notes", "mistakes", "bad_rows") for text in found[name]]
    assert any(r"\n.csv" in text for text in said) and all(len(text.splitlines()) == 1 for text in said)


def test_a_full_temporary_disk_is_no_mistake_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.array(range(sample.ROWS + 1))
    pq.write_table(pa.table({"user_id": numbers, "item_id": numbers, "timestamp": numbers}), tmp_path / "a.parquet")

    def write(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pq.ParquetWriter, "write_batch", write)
    monkeypatch.setattr(sys, "argv", ["finest", "check", str(tmp_path / "a.parquet")])
    assert cli.main() == 1
    assert capsys.readouterr().err.startswith("error: No space left on device; free some space and run again")
