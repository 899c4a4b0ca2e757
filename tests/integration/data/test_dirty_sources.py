"""What ingest makes of bad files: rows set aside with file, line and reason, or one line that says what is wrong.

It never leaves half an output.
"""

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from finest.data import schema
from finest.errors import ConfigError, DataError
from tests.integration.data.conftest import Csv, Ingested, Row

NO_TIMES = ["x", "-1", "nan", "2024-02-30"]
HEADER = "user_id,item_id,timestamp\n"


def aside(folder: Path) -> list[tuple[Any, ...]]:
    """(line, reason) of the quarantined rows."""
    table = pq.read_table(folder / schema.QUARANTINE)
    assert table.schema.equals(schema.QUARANTINE_SCHEMA)
    return list(zip(table["line"].to_pylist(), table["reason"].to_pylist(), strict=True))


def test_every_unusable_row_is_set_aside_with_its_line_and_reason(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    text = (
        "user_id,item_id,timestamp,title\n"
        'u1,i1,1000000,"a title\nof three\nlines"\n'
        "\n"
        ",i1,1000000,no user\n"
        "u1,i1\n"
        'u1,a"b,1e3,"she said ""no\n"""\n'
        "u1,i1,99999999999,far\n"
        'u1,"bad"quote,3,x\n'
        'u1,i1,"",no time\n'
        "u1,i1,5,x,y,z\n"
    )
    text += plain_csv([(*row, "t") for row in clean_rows], "").lstrip() + "u1,,7,no item\n"
    manifest, folder = ingested({"a.csv": text}, max_quarantined_share=0.1)
    assert aside(folder) == [
        (6, "user missing"),
        (7, "malformed line (missing columns)"),
        (8, "timestamp unparsable"),
        (10, "timestamp out of range"),
        (11, "malformed line (unquoted value)"),
        (12, "timestamp missing"),
        (13, "malformed line (too many columns)"),
        (214, "item missing"),
    ]
    row = pq.read_table(folder / schema.QUARANTINE).to_pylist()[2]
    assert Path(row["file"]).name == "a.csv" and (row["user"], row["item"], row["timestamp"]) == ("u1", 'a"b', "1e3")
    assert (manifest.source_rows, manifest.interactions, manifest.quarantined_rows) == (209, 201, 8)
    assert sum(manifest.quarantined_by_reason.values()) == 8


@pytest.mark.parametrize("threads", [1, 2])
def test_lines_are_right_in_every_file_of_many(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row], threads: int
) -> None:
    files: dict[str, Any] = {}
    for number in range(6):
        rows: list[tuple[Any, ...]] = [*clean_rows]
        rows.insert(number * 20, ("", "i", 5))
        text = plain_csv(rows).replace("\n", "\r\n" if number % 2 else "\n")
        files[f"{number}.csv{'.gz' if number == 3 else ''}"] = gzip.compress(text.encode()) if number == 3 else text
    files["p.parquet"] = pa.table({"user_id": ["u", None, ""], "item_id": ["i1"] * 3, "timestamp": [1.0, 2.0, 3.0]})
    _, folder = ingested(files, threads=threads, max_quarantined_share=0.1)
    assert [line for line, _ in aside(folder)] == [2, 22, 42, 62, 82, 102, 2, 3]


@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["u", "v", ""]),
                st.sampled_from(["i", "j", ""]),
                st.sampled_from(["1", "2.5", "", *NO_TIMES]),
            ),
            st.sampled_from([("u",), ("u", "i"), ("u", "i", "1", "x"), ("u", '"i"j', "1")]),
        ),
        max_size=60,
    ),
    st.sampled_from(["keep", "quarantine"]),
    st.integers(1, 12),
)
def test_no_row_disappears(
    ingested: Ingested, plain_csv: Csv, dirty: list[tuple[str, ...]], duplicates: str, least: int
) -> None:
    rows = [(f"u{user}", f"i{item}", str(item)) for user in range(3) for item in range(30)] + dirty
    manifest, folder = ingested(
        {"a.csv": plain_csv(rows)}, duplicates=duplicates, max_quarantined_share=1, min_user_interactions=least
    )
    assert manifest.source_rows == len(rows)
    assert manifest.source_rows == manifest.interactions + manifest.quarantined_rows + manifest.kcore_dropped_rows
    assert manifest.quarantined_rows == sum(manifest.quarantined_by_reason.values()) == len(aside(folder))
    unusable = [
        line
        for line, row in enumerate(rows, start=2)
        if len(row) != 3 or "" in row or '"' in row[1] or row[2] in NO_TIMES
    ]
    assert [line for line, reason in aside(folder) if reason != "duplicate"] == unusable


def test_duplicates_are_kept_or_set_aside_by_config(ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]) -> None:
    text = plain_csv([*clean_rows, *clean_rows[:3]])
    assert ingested({"a.csv": text})[0].interactions == 203
    manifest, folder = ingested({"a.csv": text}, duplicates="quarantine", max_quarantined_share=0.5)
    assert manifest.interactions == 200 and aside(folder) == [(line, "duplicate") for line in (202, 203, 204)]


def test_a_sequence_that_is_no_whole_number_is_set_aside(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    rows = [*((*row, number) for number, row in enumerate(clean_rows)), ("u", "i", 5, "x"), ("u", "i", 5, "")]
    text = plain_csv(rows, HEADER.strip() + ",n")
    _, folder = ingested({"a.csv": text}, columns={"sequence": "n"}, max_quarantined_share=0.5)
    assert aside(folder) == [(202, "sequence unparsable"), (203, "sequence missing")]


def test_too_many_unusable_rows_are_an_error_with_an_example(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    text = plain_csv([*clean_rows, *[("u", "i", "soon")] * 20, ("u", "", 1)])
    said = r"9\.5% .* 221 rows .*max_quarantined_share=0\.01.*\(20\): timestamp unparsable.*a\.csv:202, value 'soon'"
    with pytest.raises(DataError, match=said):
        ingested({"a.csv": text})


def test_timestamps_of_which_none_is_readable_are_named(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    text = plain_csv([(user, item, "yesterday") for user, item, _ in clean_rows])
    for share in (0.01, 1):
        with pytest.raises(
            DataError, match=r"no row .* readable timestamp: column 'timestamp'.*a\.csv:2, value 'yesterday'"
        ):
            ingested({"a.csv": text}, max_quarantined_share=share)


def test_a_column_renamed_in_one_file_of_many_is_an_error_that_names_it(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    good = plain_csv(clean_rows)
    with pytest.raises(
        DataError, match=r"b\.csv: no column 'item_id'; found user_id, movie, timestamp; ingest\.columns\.item"
    ):
        ingested({"a.csv": good, "b.csv": good.replace("item_id", "movie"), "c.csv": good})
    table = pa.table({"user_id": ["u"], "item_id": ["i"], "time": [1]})
    with pytest.raises(DataError, match=r"b\.parquet: no column 'timestamp'; found .*time; ingest\.columns\.timestamp"):
        ingested({"a.parquet": table.rename_columns(["user_id", "item_id", "timestamp"]), "b.parquet": table})


def test_a_column_that_is_there_twice_is_an_error(ingested: Ingested) -> None:
    with pytest.raises(DataError, match="more than one column 'user_id'"):
        ingested({"a.csv": "user_id,user_id,item_id,timestamp\n1,2,3,4\n"})


@pytest.mark.parametrize("type", [pa.bool_(), pa.duration("s"), pa.time64("us")])
def test_ids_that_are_neither_text_nor_integers_are_an_error(ingested: Ingested, type: pa.DataType) -> None:
    users = pa.array([1, 0], pa.int64()).cast(type)
    table = pa.table({"user_id": users, "item_id": ["a", "b"], "timestamp": [1, 2]})
    with pytest.raises(DataError, match=r"'user_id' is .* text or an integer"):
        ingested({"a.parquet": table})


BAD: dict[str, tuple[dict[str, str], dict[str, Any], type[Exception], str]] = {
    "an empty file": ({"a.csv": ""}, {}, DataError, r"a\.csv: the file is empty"),
    "a header alone": ({"a.csv": HEADER}, {}, DataError, "holds no rows"),
    "no Parquet": ({"a.parquet": "PAR1"}, {}, DataError, r"a\.parquet: not a readable Parquet file"),
    "no gzip": ({"a.csv.gz": HEADER}, {}, DataError, r"a\.csv\.gz: not readable"),
    "a note beside the rows": (
        {"a.csv": HEADER, "README.md": "about"},
        {},
        ConfigError,
        r"README\.md: .* as a\.csv beside it; give that file itself as the source, or move this one away",
    ),
    "an unknown ending": ({"a.md": HEADER}, {}, ConfigError, r"a\.md: cannot tell the format .*ingest\.format"),
    "no such partition": ({"dt=2024-01-01/a.csv": HEADER}, {"since": "2024-02-01"}, DataError, "none of the 1 files"),
    "no partitions": ({"a.csv": HEADER}, {"until": "2024-02-01"}, DataError, r"a\.csv: in no partition"),
    "an open quote": (
        {"a.csv": HEADER + 'u,"i,1\n' + "u,i,1\n" * 9},
        {},
        DataError,
        r"a\.csv:2: a quoted field is not closed",
    ),
    "a k-core of nothing": (
        {"a.csv": HEADER + "u,i,1\nu,j,2\n"},
        {"min_user_interactions": 3},
        DataError,
        "k-core .* of 2 rows: .*=3",
    ),
    "nothing to train on": (
        {"a.csv": HEADER + "u,i,1\nu,j,2\n"},
        {"split": {"method": "temporal", "cut": "1970-01-01"}},
        DataError,
        "no training interaction among 2",
    ),
    "nothing to hold out": ({"a.csv": HEADER + "u,i,1\nv,j,2\n"}, {}, DataError, "no held-out interaction .* among 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_source_that_cannot_be_used_is_one_line(ingested: Ingested, case: str) -> None:
    files, config, kind, message = BAD[case]
    with pytest.raises(kind, match=message) as error:
        ingested(files, **config)
    assert "\n" not in str(error.value)


def test_fewer_items_than_two_lists_are_an_error(ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]) -> None:
    with pytest.raises(DataError, match=r"50 items .*depth=26 needs at least 52: lower it to 25"):
        ingested({"a.csv": plain_csv(clean_rows)}, evaluation={"depth": 26, "exclude_seen": False})


def test_repeats_that_lists_without_seen_items_would_miss_are_an_error(ingested: Ingested, plain_csv: Csv) -> None:
    rows = [(f"u{user}", f"i{number % 30}", number) for user in range(3) for number in range(31)]
    with pytest.raises(DataError, match=r"exclude_seen=false"):
        ingested({"a.csv": plain_csv(rows)}, evaluation={"depth": 10, "exclude_seen": True})
    assert ingested({"a.csv": plain_csv(rows)})[0].targets_in_history > 0


FULL_DISK = """
import sys
from pathlib import Path
import pyarrow.fs as pafs
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.data.source import SourceFile
from finest.errors import FinestError
file, disk, memory = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
try:
    source = [SourceFile(str(file), file.stat().st_size, "")]
    ingest(pafs.LocalFileSystem(), source, Ingest(), disk / "out", memory=memory, threads=1)
except FinestError as error:
    print(error, *disk.iterdir(), sep="|")
"""


@pytest.mark.parametrize(("memory", "spills"), [("2GB", False), ("16MB", True)])
def test_a_full_disk_is_one_line_and_leaves_nothing(plain_csv: Csv, tmp_path: Path, memory: str, spills: bool) -> None:
    disk, file = tmp_path / "disk", tmp_path / "a.csv"
    disk.mkdir()
    file.write_text(plain_csv([(f"u{number % 100}", f"i{number % 999}", number) for number in range(200_000)]))
    mount = 'mount -t tmpfs -o size=1m none "$3" && exec "$0" -c "$1" "$2" "$3" "$4"'
    try:
        run = subprocess.run(
            ["unshare", "-rm", "sh", "-c", mount, sys.executable, FULL_DISK, str(file), str(disk), memory],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("needs unshare to mount a small disk")
    if "unshare:" in run.stderr or "mount:" in run.stderr:
        pytest.skip(f"cannot mount a small disk: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr
    message, *left = run.stdout.strip().split("|")
    assert "the disk is full" in message and str(disk) in message and left == []
    assert ("offload" in message) == spills
