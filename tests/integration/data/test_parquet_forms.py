"""Parquet files as people have them: ids and times of every type, columns of any name, absurd values."""

import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finest.data import schema
from finest.errors import DataError
from tests.integration.data.conftest import Ingested

ROWS = 200
USERS, ITEMS = [number % 10 for number in range(ROWS)], [number * 7 % 50 for number in range(ROWS)]
TIMES = [1_600_000_000 + number // 3 for number in range(ROWS)]


def table(users: Any = USERS, items: Any = ITEMS, times: Any = TIMES) -> pa.Table:
    return pa.table({"user_id": users, "item_id": items, "timestamp": times})


def strings(values: list[bytes]) -> pa.Array:
    """Text as Parquet's writers may give it that do not look."""
    bounds = np.cumsum([0, *map(len, values)]).astype(np.int32)
    return pa.Array.from_buffers(pa.string(), len(values), [None, pa.py_buffer(bounds), pa.py_buffer(b"".join(values))])


BYTES = [str(user).encode() for user in USERS]
IDS: dict[str, pa.Array] = {
    "int8": pa.array(USERS, pa.int8()),
    "uint64": pa.array(USERS, pa.uint64()),
    "double": pa.array(USERS, pa.float64()),
    "float": pa.array(USERS, pa.float32()),
    "half": pa.array(np.array(USERS, np.float16)),
    "decimal128": pa.array(map(Decimal, USERS), pa.decimal128(20, 3)),
    "decimal256": pa.array(map(Decimal, USERS), pa.decimal256(50, 0)),
    "binary": pa.array(BYTES, pa.binary()),
    "large binary": pa.array(BYTES, pa.large_binary()),
    "fixed binary": pa.array(BYTES, pa.binary(1)),
    "view": pa.array([str(user) for user in USERS], pa.string_view()),
    "dictionary": pa.array(BYTES, pa.binary()).dictionary_encode(),
}


def test_ids_of_every_type_are_the_same_ids(ingested: Ingested) -> None:
    plain, _ = ingested({"a.parquet": table()})
    part = -(-ROWS // len(IDS))
    parts = {f"{name}.parquet": table(users).slice(n * part, part) for n, (name, users) in enumerate(IDS.items())}
    manifest, _ = ingested(parts)
    assert manifest.fingerprint == plain.fingerprint
    assert manifest.notes == (
        "double.parquet and 2 more: column 'user_id' holds floating-point numbers, which are read as whole ones (7.0 is"
        " '7')",
    )


def test_uuids_are_their_text(ingested: Ingested) -> None:
    ids = [uuid.UUID(int=user * 0x0123456789ABCDEF0123456789ABCD) for user in USERS]
    raw = pa.array([id.bytes for id in ids], pa.binary(16))
    plain, _ = ingested({"a.parquet": table(list(map(str, ids)))})
    manifest, _ = ingested({"a.parquet": table(pa.ExtensionArray.from_storage(pa.uuid(), raw))})
    assert manifest.fingerprint == plain.fingerprint


MICROS = pa.array([time * 1_000_000 for time in TIMES])
MOMENTS: dict[str, Any] = {
    "ms": [time * 1000 for time in TIMES],
    "us": MICROS,
    "ns": [time * 10**9 for time in TIMES],
    "float ms": [time * 1000.0 for time in TIMES],
    "text of ns": [f"{time}000000000" for time in TIMES],
    "decimal": list(map(Decimal, TIMES)),
    "exponent": [f"{time // 10**9}.{time % 10**9:09}E9" for time in TIMES],
    "binary": [str(time).encode() for time in TIMES],
    "timestamp[ms]": MICROS.cast(pa.timestamp("us")).cast(pa.timestamp("ms")),
    "timestamp[ns, zone]": MICROS.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("ns", "Asia/Tokyo")),
    "a blank and UTC": [f"{moment} UTC" for moment in MICROS.cast(pa.timestamp("us")).to_pylist()],
    "slashes, a blank and an offset": [
        f"{moment:%Y/%m/%d %H:%M:%S}.000 +00:00" for moment in MICROS.cast(pa.timestamp("us")).to_pylist()
    ],
}


UNITS = ("ms", "us", "ns", "float ms", "text of ns")


def test_times_of_every_type_and_unit_are_the_same_times_and_units_are_said(ingested: Ingested) -> None:
    plain, _ = ingested({"a.parquet": table()})
    for name in UNITS:
        manifest, _ = ingested({"a.parquet": table(times=MOMENTS[name])})
        assert manifest.fingerprint == plain.fingerprint, name
        assert "by their size" in manifest.notes[0] and " is 2020-09-13" in manifest.notes[0]
    others = [times for name, times in MOMENTS.items() if name not in UNITS]
    part = -(-ROWS // len(others))
    parts = {f"{n}.parquet": table(times=times).slice(n * part, part) for n, times in enumerate(others)}
    manifest, _ = ingested(parts)
    assert manifest.fingerprint == plain.fingerprint and manifest.notes == ()


def test_days_of_eight_digits_are_days(ingested: Ingested) -> None:
    days = [20240101 + number % 28 for number in range(ROWS)]
    plain, _ = ingested({"a.parquet": table(times=[f"{day // 10000}-01-{day % 100:02}" for day in days])})
    for times in (days, [float(day) for day in days], list(map(str, days))):
        manifest, _ = ingested({"a.parquet": table(times=times)})
        assert manifest.fingerprint == plain.fingerprint and "in the form %Y%m%d (" in manifest.notes[0]
    bad = table([*USERS, 1, 1], [*ITEMS, 1, 1], [*days, 20240230, 5])
    manifest, _ = ingested({"a.parquet": bad}, timestamp_unit="yyyymmdd")
    assert manifest.quarantined_by_reason == {"timestamp unparsable": 2}


def test_a_unit_that_puts_all_in_1970_or_differs_by_file_is_refused(ingested: Ingested) -> None:
    with pytest.raises(DataError, match=r"seconds by their size .* is 2020-09-13\), and as ingest.timestamp_unit=ms"):
        ingested({"a.parquet": table()}, timestamp_unit="ms")
    with pytest.raises(
        DataError, match=r"b\.parquet: timestamps are milliseconds .* but seconds by their size in .*a\.parquet"
    ):
        ingested({"a.parquet": table(), "b.parquet": table(times=MOMENTS["ms"])})


NAMES = ["USER_ID", "filename", "FILENAME", "file_row_number", "index", "__index_level_0__", "c0", "record", "file", ""]
NAMES += ["user_id_1", "fault", "text", "_metadata", "a.b"]


def test_a_column_of_another_name_is_never_read(ingested: Ingested) -> None:
    plain, _ = ingested({"a.parquet": table()})
    wrong = pa.array(["WRONG"] * ROWS)
    for names in (["USER_ID"], ["filename"], ["index", "c0", "file", "record", "text", "fault", "a.b"], NAMES):
        wider = table()
        for place, name in enumerate(names):
            wider = wider.add_column(0 if place % 2 == 0 else wider.num_columns, name, wrong)
        assert ingested({"a.parquet": wider})[0].fingerprint == plain.fingerprint, names
    for name in ("filename", "USER_ID", "a.b"):
        mapped = table().rename_columns([name, "item_id", "timestamp"]).add_column(0, name.swapcase(), wrong)
        assert ingested({"a.parquet": mapped}, columns={"user": name})[0].fingerprint == plain.fingerprint


MAPPED = {"user": "user_id", "item": "item_id", "timestamp": "timestamp", "segments": "country"}


def with_twin(rows: pa.Table, role: str, theirs: str, place: int) -> tuple[pa.Table, dict[str, Any]]:
    """Rows whose column of the role is called so, with a twin whose name differs in case alone, and what is mapped."""
    name = MAPPED[role]
    wrong = pa.array([2_000_000_000] * len(rows) if role == "timestamp" else ["WRONG"] * len(rows))
    renamed = rows.rename_columns([theirs if column == name else column for column in rows.column_names])
    mapped = {"segments": ["country"]} | {role: [theirs] if role == "segments" else theirs}
    return renamed.add_column(place, theirs.swapcase(), wrong), mapped


@pytest.mark.parametrize(("role", "name"), MAPPED.items())
def test_of_columns_that_differ_in_case_alone_the_mapped_one_is_read(ingested: Ingested, role: str, name: str) -> None:
    rows = table().append_column("country", pa.array(["NO", "SE"] * (ROWS // 2)))
    plain, folder = ingested({"a.parquet": rows}, columns={"segments": ["country"]})
    segments = pq.read_table(folder / schema.SEGMENTS).columns
    for theirs, place in ((name, 0), (name.upper(), 0), (name.title(), rows.num_columns)):
        twins, columns = with_twin(rows, role, theirs, place)
        found, folder = ingested({"a.parquet": twins}, columns=columns)
        assert pq.read_table(folder / schema.SEGMENTS).columns == segments
        if role != "segments":  # their names are in the fingerprint
            assert found.fingerprint == plain.fingerprint, theirs


def test_columns_of_one_name_go_by_number(ingested: Ingested) -> None:
    plain, _ = ingested({"a.parquet": table()})
    twice = table().append_column("user_id", pa.array(["WRONG"] * ROWS))
    with pytest.raises(DataError, match="more than one column 'user_id'"):
        ingested({"a.parquet": twice})
    assert ingested({"a.parquet": twice}, columns={"user": 0})[0].fingerprint == plain.fingerprint
    assert ingested({"a.parquet": twice}, columns={"user": 3})[0].users == 1


FAR = [2**62, -(2**62), -1]
ABSURD: dict[str, tuple[pa.Table, list[str]]] = {
    "float ids": (
        table([7.5, float("inf"), float("nan"), -1e300, *map(float, USERS[4:])]),
        [
            *["user not a whole number that double holds exactly"] * 2,
            "user missing",
            "user not a whole number that double holds exactly",
        ],
    ),
    "float32 beyond what it counts": (
        table(pa.array([2.0**25, *USERS[1:]], pa.float32())),
        ["user not a whole number that float holds exactly"],
    ),
    "decimals": (table([Decimal("7.5"), None, *map(Decimal, USERS[2:])]), ["user not a whole number", "user missing"]),
    "bytes": (table([b"\xff", b"", *BYTES[2:]]), ["user not UTF-8", "user missing"]),
    "text that is none": (table(strings([b"\xff", b"\xed\xa0\x80", *BYTES[2:]])), ["user not UTF-8"] * 2),
    "10 MB": (table(["x" * 10_000_000, *map(str, USERS[1:])]), ["user longer than ingest.max_id_length"]),
    **{
        f"timestamp[{unit}, {zone}]": (
            table(times=pa.array([*FAR, *(time * scale for time in TIMES[3:])]).cast(pa.timestamp(unit, zone))),
            [reason] * 2 + ["timestamp out of range"],
        )
        for unit, scale, reason in (("ms", 10**3, "timestamp out of range"), ("us", 10**6, "timestamp unparsable"))
        for zone in (None, "UTC")
    },
    "dates": (
        table(times=pa.array([2**31 - 1, -(2**31), *[17_000] * 198], pa.int32()).cast(pa.date32())),
        ["timestamp unparsable"] * 2,
    ),
    "float times": (
        table(times=[float("nan"), float("inf"), -1.0, 1e300, *map(float, TIMES[4:])]),
        ["timestamp unparsable"] * 2 + ["timestamp out of range", "timestamp unparsable"],
    ),
}


@pytest.mark.parametrize("case", ABSURD)
def test_an_absurd_value_is_one_row_set_aside(ingested: Ingested, case: str) -> None:
    rows, reasons = ABSURD[case]
    manifest, folder = ingested({"a.parquet": rows}, max_quarantined_share=0.05)
    aside = pq.read_table(folder / schema.QUARANTINE)
    assert aside["reason"].to_pylist() == reasons
    assert aside["line"].to_pylist() == list(range(1, len(reasons) + 1))
    assert manifest.interactions == ROWS - len(reasons)


def test_a_column_without_a_type_is_rows_without_a_value(ingested: Ingested) -> None:
    files = {"a.parquet": table(), "b.parquet": table(pa.nulls(1), [1], [TIMES[0]])}
    assert ingested(files)[0].quarantined_by_reason == {"user missing": 1}


def test_segments_may_be_bytes_and_decimals(ingested: Ingested) -> None:
    rows = (
        table()
        .append_column("s", pa.array([b"x", None] * 100))
        .append_column("d", pa.array([Decimal("2.5"), Decimal(1)] * 100))
    )
    text = table().append_column("s", pa.array(["x", None] * 100)).append_column("d", pa.array(["2.5", "1.0"] * 100))
    text = text.set_column(4, "d", pa.array(["2.5", "1"] * 100))
    prints = {ingested({"a.parquet": it}, columns={"segments": ["s", "d"]})[0].fingerprint for it in (rows, text)}
    assert len(prints) == 1


def damaged(folder: Path, old: bytes, new: bytes) -> bytes:
    """A Parquet file of text as it is, in which the first of these bytes are others."""
    users, items = [f"u{user}" for user in USERS], [f"i{item}" for item in ITEMS]
    pq.write_table(table(users, items), folder / "a", compression="none", use_dictionary=False, store_schema=False)
    content = (folder / "a").read_bytes()
    assert old in content
    return content.replace(old, new, 1)


def test_a_file_whose_pages_are_damaged_is_one_line(ingested: Ingested, tmp_path: Path) -> None:
    content = damaged(tmp_path, b"\x02\0\0\0u0", b"\xff\xff\xff\0u0")
    with pytest.raises(DataError, match=r"^the source cannot be read: .*damaged.*$"):
        ingested({"a.parquet": content})


def test_a_footer_that_would_end_the_process_is_one_line(ingested: Ingested, tmp_path: Path) -> None:
    # The column's schema says that it is required, and its statistics are of one that is not.
    content = damaged(tmp_path, b"\x25\x02\x18\x07user_id", b"\x25\x00\x18\x07user_id")
    with pytest.raises(DataError, match=r"a.parquet: cannot be read \(Definition level histogram"):
        ingested({"a.parquet": content})
    last = damaged(tmp_path, b"\x25\x02\x18\x09timestamp", b"\x25\x00\x18\x09timestamp")
    with pytest.raises(DataError, match=r"a.parquet: cannot be read \(Definition level histogram"):
        ingested({"a.parquet": last})
