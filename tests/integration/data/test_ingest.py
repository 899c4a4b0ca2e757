"""What ingest makes of good files: order, split, codes, counts, and the same result for any layout of the same rows."""

import csv
import io
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from finest.data import dataset, schema
from finest.data.config import Ingest
from finest.data.epoch import END
from finest.data.forms import SHIFT, Unit
from finest.data.ingest import ingest
from finest.data.packed import Packing, packing
from finest.data.source import SourceFile
from finest.errors import FinestError
from tests.builders import ODD_IDS
from tests.integration.data.conftest import Csv, Ingested, Row, csv_of


def delimited(rows: list[Row], delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["ignored", "item_id", "timestamp", "user_id"])
    writer.writerows(["z", item, f"{time / 1e6:.6f}", user] for user, item, time in rows)
    return text.getvalue()


def parquet(rows: list[Row], kind: str) -> pa.Table:
    moments = pa.array([time for *_, time in rows], pa.timestamp("us", "UTC"))
    times = {
        "text": pa.array([datetime.fromtimestamp(time / 1e6, UTC).isoformat() for *_, time in rows]),
        "float": pa.array([time / 1e6 for *_, time in rows], pa.float64()),
        "time": moments.cast(pa.timestamp("us")),
        "zoned": moments.cast(pa.timestamp("ms", "America/New_York"), safe=False),
        "nano": moments.cast(pa.timestamp("ns")),
    }[kind]
    users = pa.array([user for user, *_ in rows])
    items = [item for _, item, _ in rows]
    return pa.table(
        {"timestamp": times, "user_id": users.dictionary_encode() if kind == "time" else users, "item_id": items}
    )


def written(rows: list[Row], form: str) -> Any:
    return delimited(rows, "," if form == "csv" else "\t") if form in ("csv", "tsv") else parquet(rows, form)


@settings(max_examples=8, deadline=None, phases=[Phase.generate])  # shrinking takes longer than it tells
@given(
    st.lists(
        st.tuples(st.sampled_from(ODD_IDS), st.sampled_from(ODD_IDS), st.integers(0, 4)), min_size=60, max_size=80
    ),
    st.lists(st.sampled_from(["csv", "tsv", "time", "zoned", "nano", "float", "text"]), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
def test_any_layout_of_the_same_rows_gives_the_same_files(
    ingested: Ingested, drawn: list[Row], forms: list[str], random: random.Random
) -> None:
    rows = [(user, item, 1_700_000_000_000_000 + time * 500_000) for user, item, time in drawn] + [
        ("u", id, 1000) for id in ODD_IDS * 2
    ]
    config = {
        "max_quarantined_share": 0,
        "evaluation": {"depth": 10, "exclude_seen": False},
        "split": {"method": "leave_one_out"},
    }
    rows += [("filler", f"f{number}", 1000 * number) for number in range(30)]
    first, one = ingested({"all.csv": delimited(rows, ",")}, **config)

    shuffled = random.sample(rows, len(rows))
    parts = [shuffled[number :: len(forms)] for number in range(len(forms))]
    names = random.sample("abcdefg", len(forms))
    endings = [form if form in ("csv", "tsv") else "parquet" for form in forms]
    files = {f"{names[part]}/part.{endings[part]}": written(rows, forms[part]) for part, rows in enumerate(parts)}
    second, other = ingested(files, threads=2, memory="300MB", **config)

    assert second == first
    for name in (schema.INTERACTIONS, schema.USERS, schema.ITEMS, schema.MANIFEST):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    result = pq.read_table(one / schema.INTERACTIONS)
    assert Counter(zip(*(result[name].to_pylist() for name in ("user", "item", "timestamp")), strict=True)) == Counter(
        rows
    )


READ = """
import sys, time
from pathlib import Path
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.peak import peak_bytes
from storage import resolve

found = resolve(sys.argv[1])
config = Ingest.model_validate({"evaluation": {"depth": 10, "exclude_seen": False}, "min_user_interactions": 1})
manifest = ingest(found.filesystem, found.files, config, Path(sys.argv[2]), threads=1)
print(len(found.files), manifest.fingerprint, peak_bytes(), time.process_time())
"""


def test_a_folder_of_thousands_of_files_is_what_one_file_of_their_rows_is(
    ingested: Ingested, plain_csv: Csv, tmp_path: Path
) -> None:
    rows: list[Row] = [(f"u{row % 50}", f"i{row * 7 % 90}", 1_600_000_000 + row) for row in range(9000)]
    for number in range(3000):
        file = tmp_path / "many" / f"a{number % 10}" / f"b{number % 300}" / f"part-{number}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(plain_csv(rows[number::3000]))
    command = [sys.executable, "-c", READ, str(tmp_path / "many"), str(tmp_path / "read")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert told[:2] == ["3000", ingested({"one.csv": plain_csv(rows)})[0].fingerprint]
    assert int(told[2]) < 500_000_000 and float(told[3]) < 30  # bytes, most of them of libraries, and CPU seconds


def test_one_changed_value_changes_the_fingerprint(ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]) -> None:
    before, _ = ingested({"a.csv": plain_csv(clean_rows)})
    user, item, time = clean_rows[50]
    for changed in [(user, item, time + 1), (user, "other", time), ("other", item, time)]:
        after, _ = ingested({"a.csv": plain_csv([*clean_rows[:50], changed, *clean_rows[51:]])})
        assert after.fingerprint != before.fingerprint
    assert ingested({"a.csv": plain_csv(clean_rows)}, split={"fraction": 0.2})[0].fingerprint != before.fingerprint


def test_rows_that_memory_cannot_hold_are_sorted_by_the_engine_to_the_same_files(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Packing | None] = []

    def told(**bounds: Any) -> Packing | None:
        asked.append(packing(**bounds))
        return asked[-1]

    monkeypatch.setattr("finest.data.duck.packing", told)
    rows = [*clean_rows, *((user, f"{item}x", time) for user, item, time in clean_rows[::2])]  # with ties
    _, packed = ingested({"a.csv": plain_csv(rows)})
    monkeypatch.setattr("finest.data.packed.MOST", 0)
    _, sorted_ = ingested({"a.csv": plain_csv(rows)})
    assert [how is not None for how in asked] == [True, False]
    assert (packed / schema.INTERACTIONS).read_bytes() == (sorted_ / schema.INTERACTIONS).read_bytes()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_numbers_in_text_are_plain_decimals_in_range_and_nothing_that_only_a_cast_reads(
    ingested: Ingested, plain_csv: Csv, unit: Unit
) -> None:
    scale = Fraction(10) ** SHIFT[unit]
    end = int(END / scale)
    good = ["0", "7", "007", "1000", str(end - 1), *map(str, range(100, 140))]
    bad = [
        "1e3",
        "5e2",
        "0x10",
        "1_000",
        " 7",
        "7 ",
        "+7",
        "-1",
        "-0",
        "1.",
        ".5",
        "",
        str(end),
        "9" * 19,
        "9" * 25,
        "1e-2",
    ]
    rows = [("u", f"i{number}", text) for number, text in enumerate([*good, *bad])]
    manifest, folder = ingested({"a.csv": plain_csv(rows)}, timestamp_unit=unit, max_quarantined_share=1)
    found = pq.read_table(folder / schema.INTERACTIONS)
    times = dict(zip(found["item"].to_pylist(), found["timestamp"].to_pylist(), strict=True))
    assert times == {f"i{number}": int(int(text) * scale) for number, text in enumerate(good)}
    assert manifest.quarantined_rows == len(bad)


def test_recbole_files_are_read_by_their_names_without_types(ingested: Ingested, clean_rows: list[Row]) -> None:
    lines = [
        "uid:token\tiid:token\trating:float\tts:float",
        *(f'{user}\t"{item}\t3\t{time}' for user, item, time in clean_rows),
    ]
    columns = {"user": "uid", "item": "iid", "timestamp": "ts"}
    manifest, folder = ingested({"a.inter": "\n".join(lines)}, columns=columns)
    assert manifest.interactions == 200
    assert pq.read_table(folder / schema.ITEMS)["item"][0].as_py() == '"i0'  # quotes mean nothing there


def test_codes_follow_the_byte_order_of_ids(ingested: Ingested, plain_csv: Csv) -> None:
    ids = ["10", "9", "B", "a", "Z", "\u00e9", "~"]
    rows = [
        (user, item, time) for user in ids for time, item in enumerate([*ids, *(f"f{number}" for number in range(20))])
    ]
    _, folder = ingested({"a.csv": plain_csv(rows)})
    by_bytes = sorted(ids, key=str.encode)
    assert pq.read_table(folder / schema.USERS)["user"].to_pylist() == by_bytes
    items = pq.read_table(folder / schema.ITEMS)
    assert items["item"].to_pylist() == sorted(items["item"].to_pylist(), key=str.encode)
    assert items["item_code"].to_pylist() == list(range(1, len(items) + 1))
    assert pq.read_schema(folder / schema.INTERACTIONS).equals(schema.INTERACTIONS_SCHEMA)


def test_rows_are_ordered_by_time_and_then_by_the_sequence(ingested: Ingested, plain_csv: Csv) -> None:
    rows = [("u", f"i{number}", 5 + number // 10, 40 - number) for number in range(30)]
    text = plain_csv(rows, "user_id,item_id,timestamp,n")
    _, folder = ingested({"a.csv": text}, columns={"sequence": "n"})
    expected = [item for _, item, _, _ in sorted(rows, key=lambda row: (row[2], row[3]))]
    assert pq.read_table(folder / schema.INTERACTIONS)["item"].to_pylist() == expected


def test_ties_are_not_in_the_order_of_items_or_alike_for_two_users(ingested: Ingested, plain_csv: Csv) -> None:
    rows = [(user, f"i{number:02}", 5) for user in ("u", "v") for number in range(30)]
    _, folder = ingested({"a.csv": plain_csv(rows)}, split={"method": "leave_one_out"})
    items = pq.read_table(folder / schema.INTERACTIONS)["item"].to_pylist()
    assert items[:30] != sorted(items[:30]) and items[:30] != items[30:]


def test_repeated_rows_in_a_tie_do_not_stand_side_by_side(ingested: Ingested, plain_csv: Csv) -> None:
    rows = [("u", f"i{number % 40:02}", 5) for number in range(80)]
    _, folder = ingested({"a.csv": plain_csv(rows)})
    items = pq.read_table(folder / schema.INTERACTIONS)["item"].to_pylist()
    assert sum(one == next for one, next in pairwise(items)) < 10


def histories(counts: list[int]) -> list[Row]:
    """A user for each count, whose items and times ascend."""
    return [
        (f"u{user}", f"i{number % 60}", 1000 + number) for user, count in enumerate(counts) for number in range(count)
    ]


@pytest.mark.parametrize(
    ("fraction", "counts", "held"),
    [(0.1, [1, 2, 10, 19, 20, 99], [0, 1, 1, 2, 2, 10]), (0.29, [100, 60], [29, 18]), (0.9, [300, 2], [270, 1])],
)
def test_last_fraction_holds_out_each_users_last_rows(
    ingested: Ingested, plain_csv: Csv, fraction: float, counts: list[int], held: list[int]
) -> None:
    _, folder = ingested({"a.csv": plain_csv(histories(counts))}, split={"fraction": fraction})
    data = dataset.load(folder)
    assert np.bincount(data.user[~data.train], minlength=len(counts)).tolist() == held
    for user in range(len(counts)):  # training rows come first
        assert (np.diff(data.train[data.user == user].astype(int)) <= 0).all()


def test_leave_one_out_holds_out_one_row_of_users_with_more(ingested: Ingested, plain_csv: Csv) -> None:
    _, folder = ingested({"a.csv": plain_csv(histories([1, 2, 60]))}, split={"method": "leave_one_out"})
    data = dataset.load(folder)
    assert np.bincount(data.user[~data.train], minlength=3).tolist() == [0, 1, 1]


def test_temporal_cuts_everyone_at_one_time_and_counts_cold_rows(ingested: Ingested, plain_csv: Csv) -> None:
    rows = [("old", f"i{number}", number) for number in range(30)]
    rows += [("new", "i0", 200), ("new", "i1", 201), ("new", "unheard", 202), ("new", "i1", 203)]
    split = {"method": "temporal", "cut": "1970-01-01T00:00:28"}
    manifest, folder = ingested({"a.csv": plain_csv(rows)}, split=split)
    data = dataset.load(folder)
    assert data.timestamp[data.train].max() == 27_000_000 and data.timestamp[~data.train].min() == 28_000_000
    # of new's rows the first has no history; of old's, items 28 and 29 are not in the catalogue, nor is `unheard`
    assert (manifest.test_interactions, manifest.cold_rows, manifest.instances) == (6, 1, 5)
    assert (manifest.targets_outside_catalogue, manifest.targets_in_history) == (3, 1)
    assert manifest.users == 2 and pq.read_table(folder / schema.USERS)["last_train_timestamp"].to_pylist() == [
        None,
        27_000_000,
    ]


def test_the_manifest_agrees_with_the_data_set(ingested: Ingested, plain_csv: Csv) -> None:
    rng = random.Random(0)
    rows = [(f"u{rng.randrange(30)}", f"i{rng.randrange(80)}", rng.randrange(400)) for _ in range(1500)]
    split = {"method": "temporal", "cut": "1970-01-01T00:05:00"}
    manifest, folder = ingested({"a.csv": plain_csv(rows)}, split=split, min_user_interactions=50)
    data = dataset.load(folder)
    instances = data.instances()
    seen = [
        data.item[row] in data.item[data.starts[data.user[row]] : row] and data.item[row] > 0 for row in instances.row
    ]
    pairs = len(set(zip(data.user.tolist(), data.target_ids.tolist(), strict=True)))
    assert manifest.instances == len(instances) and manifest.cold_rows == (~data.train).sum() - len(instances)
    assert manifest.targets_in_history == sum(seen) > 0
    assert manifest.targets_outside_catalogue == (instances.target == 0).sum()
    assert manifest.repeated_share == pytest.approx(1 - pairs / len(data.user))
    assert (
        manifest.source_rows == 1500 == manifest.interactions + manifest.kcore_dropped_rows
        and manifest.kcore_dropped_rows > 0
    )
    assert (manifest.first_timestamp, manifest.last_timestamp) == (data.timestamp.min(), data.timestamp.max())
    assert manifest.last_train_timestamp == data.timestamp[data.train].max()
    assert (manifest.users, manifest.items) == (len(data.user_ids), data.items)
    assert data.user_ids[data.user].tolist() == pq.read_table(folder / schema.INTERACTIONS)["user"].to_pylist()


def test_users_cut_inside_a_tie_are_counted(ingested: Ingested, plain_csv: Csv) -> None:
    rows = [("tied", f"i{number}", 5) for number in range(30)] + [
        ("free", f"i{number}", number) for number in range(30)
    ]
    assert ingested({"a.csv": plain_csv(rows)})[0].users_cut_inside_a_tie == 1


def test_k_core_goes_on_until_users_and_items_both_have_enough(ingested: Ingested, plain_csv: Csv) -> None:
    core = [(f"u{user}", f"i{item:02}", item) for user in range(3) for item in range(30)]
    chain = [("v", "i00", 1), ("v", "i01", 2), ("v", "rare", 3), ("w", "rare", 4), ("w", "i01", 5), ("w", "rarer", 6)]
    manifest, folder = ingested({"a.csv": plain_csv(core + chain)}, min_user_interactions=3, min_item_interactions=2)
    assert manifest.kcore_dropped_rows == 6  # rarer goes, then w, then rare, then v
    assert pq.read_table(folder / schema.USERS)["user"].to_pylist() == ["u0", "u1", "u2"]


def test_only_partitions_between_the_days_are_read(ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]) -> None:
    days = {
        f"x/dt=2024-01-0{day}/a.csv": plain_csv([(f"d{day}", item, time) for _, item, time in clean_rows])
        for day in range(1, 5)
    }
    _, folder = ingested(days, since="2024-01-02", until="2024-01-03")
    assert pq.read_table(folder / schema.USERS)["user"].to_pylist() == ["d2", "d3"]


def test_integer_ids_and_times_of_parquet_become_text_and_microseconds(ingested: Ingested) -> None:
    numbers = list(range(100))
    table = pa.table(
        {"user_id": pa.array([7] * 100, pa.int32()), "item_id": numbers, "timestamp": pa.array(numbers, pa.uint64())}
    )
    _, folder = ingested({"a.parquet": table}, timestamp_unit="ms")
    rows = pq.read_table(folder / schema.INTERACTIONS)
    assert rows["item"].to_pylist() == [str(number) for number in numbers]
    assert rows["timestamp"].to_pylist() == [number * 1000 for number in numbers]


def test_every_file_is_read_with_its_own_types(ingested: Ingested) -> None:
    times = pa.array([1_700_000_000 + number for number in range(50)])
    ids = {
        "a/number.parquet": pa.array(range(50), pa.int32()),
        "b/text.parquet": pa.array([f"{number:03}" for number in range(50)]),
    }
    files = {name: pa.table({"user_id": items, "item_id": items, "timestamp": times}) for name, items in ids.items()}
    moments = pa.array([0] * 50, pa.date32()), times.cast(pa.timestamp("s"))
    files |= {
        f"c/{moment.type}.parquet": pa.table(
            {"user_id": ["u"] * 50, "item_id": ids["b/text.parquet"], "timestamp": moment}
        )
        for moment in moments
    }
    rows = pq.read_table(ingested(files)[1] / schema.INTERACTIONS).to_pylist()
    assert {"7", "007"} <= {row["user"] for row in rows}
    assert len({row["timestamp"] for row in rows if row["user"] == "u"}) == 51


def test_a_fraction_finer_than_per_mille_is_refused() -> None:
    with pytest.raises(ValueError, match="three decimals"):
        Ingest.model_validate({"split": {"fraction": 0.12345}})


def test_names_with_glob_characters_and_quotes_are_plain_names(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    files = {"[a]*?.csv": plain_csv(clean_rows[:100]), "it's.csv": plain_csv(clean_rows[100:])}
    assert ingested(files)[0].interactions == 200


def test_a_name_with_a_star_stands_for_its_own_file_alone(
    plain_csv: Csv, clean_rows: list[Row], tmp_path: Path
) -> None:
    for name, rows in {"a*.csv": clean_rows, "ab.csv": [("other", "x", 1), ("other", "y", 2)]}.items():
        (tmp_path / name).write_text(plain_csv(rows))
    starred = SourceFile(str(tmp_path / "a*.csv"), (tmp_path / "a*.csv").stat().st_size, "")
    config = Ingest(evaluation={"depth": 10, "exclude_seen": False}, min_user_interactions=1)
    manifest = ingest(pafs.LocalFileSystem(), [starred], config, tmp_path / "out")
    assert manifest.source_rows == len(clean_rows)


def test_a_folder_that_holds_something_is_not_overwritten(
    plain_csv: Csv, clean_rows: list[Row], tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(plain_csv(clean_rows))
    source = [SourceFile(str(file), file.stat().st_size, "")]
    config = Ingest.model_validate({"evaluation": {"depth": 10, "exclude_seen": False}})
    (tmp_path / "out").mkdir()
    ingest(pafs.LocalFileSystem(), source, config, tmp_path / "out")  # empty: fine
    with pytest.raises(FinestError, match="not empty"):
        ingest(pafs.LocalFileSystem(), source, config, tmp_path / "out")


def with_segments(rows: list[Row]) -> list[tuple[Any, ...]]:
    """The rows with a country, which some lack, and a device."""
    return [
        (*row, "" if number % 7 == 0 else f"c{number % 3}", number % 2 == 0) for number, row in enumerate(sorted(rows))
    ]


SEGMENTS: dict[str, Any] = {"columns": {"segments": ["country", "on, phone"]}}
SEGMENT_HEADER = 'user_id,item_id,timestamp,country,"on, phone"'


def test_segments_of_held_out_rows_are_kept_as_text_and_the_rest_is_as_without_them(
    ingested: Ingested, clean_rows: list[Row]
) -> None:
    rows = with_segments(clean_rows)
    text = csv_of([(*row[:4], str(row[4]).lower()) for row in rows], SEGMENT_HEADER)
    plain, without = ingested({"a.csv": text})
    kept, folder = ingested({"a.csv": text}, **SEGMENTS)
    names = "user_id", "item_id", "timestamp", "country", "on, phone"
    table = pa.table(
        dict(zip(names, map(list, zip(*random.Random(0).sample(rows, len(rows)), strict=True)), strict=True))
    )
    again, parquet = ingested({"a.parquet": table}, threads=2, **SEGMENTS)

    value = {
        (user, item, time * 1_000_000): (country or None, str(phone).lower())
        for user, item, time, country, phone in rows
    }
    interactions = pq.read_table(folder / schema.INTERACTIONS).to_pylist()
    held_out = [row for row in interactions if row["split"] == "test"]
    found = pq.read_table(folder / schema.SEGMENTS)
    assert found.column_names == ["user", "position", "segment/country", "segment/on, phone"]
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        (row["user"], row["position"], *value[row["user"], row["item"], row["timestamp"]]) for row in held_out
    ]
    assert not (without / schema.SEGMENTS).exists()
    assert (folder / schema.SEGMENTS).read_bytes() == (parquet / schema.SEGMENTS).read_bytes()
    for name in (schema.INTERACTIONS, schema.USERS, schema.ITEMS):
        assert (folder / name).read_bytes() == (without / name).read_bytes() == (parquet / name).read_bytes()
    assert kept == again == plain.model_copy(update={"fingerprint": kept.fingerprint})
    assert kept.fingerprint != plain.fingerprint


def test_another_value_of_a_held_out_row_is_another_fingerprint(ingested: Ingested, clean_rows: list[Row]) -> None:
    rows = with_segments(clean_rows)
    _, folder = ingested({"a.csv": csv_of(rows, SEGMENT_HEADER)}, **SEGMENTS)
    held_out = {
        (row["user"], row["item"], row["timestamp"] // 1_000_000): row["split"] == "test"
        for row in pq.read_table(folder / schema.INTERACTIONS).to_pylist()
    }
    prints = [
        ingested(
            {
                "a.csv": csv_of(
                    [(*row[:3], "XX" if place == other else row[3], row[4]) for place, row in enumerate(rows)],
                    SEGMENT_HEADER,
                )
            },
            **SEGMENTS,
        )[0].fingerprint
        for other in (
            -1,
            *(next(place for place, row in enumerate(rows) if held_out[row[:3]] == test) for test in (False, True)),
        )
    ]
    assert prints[0] == prints[1] != prints[2]


def test_rows_alike_but_for_a_segment_have_the_least_value_in_whatever_order_they_come(
    ingested: Ingested, clean_rows: list[Row]
) -> None:
    rows = [(*row, country) for row in clean_rows for country in ("b", "a")]
    header = "user_id,item_id,timestamp,country"
    for duplicates in ("keep", "quarantine"):
        config = {"columns": {"segments": ["country"]}, "duplicates": duplicates}
        one, folder = ingested({"a.csv": csv_of(rows, header)}, **config)
        other, _ = ingested({"a.csv": csv_of(rows[::-1], header)}, **config)
        assert one.fingerprint == other.fingerprint
        assert set(pq.read_table(folder / schema.SEGMENTS)["segment/country"].to_pylist()) == {"a"}


def test_a_segment_that_the_source_does_not_have_is_one_line(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    with pytest.raises(
        FinestError, match=r"a.csv: no column 'land'; found .*; ingest.columns.segments names the columns"
    ):
        ingested({"a.csv": plain_csv(clean_rows)}, columns={"segments": ["land"]})
    floats = pa.table({"user_id": ["u"], "item_id": ["i"], "timestamp": [1], "land": [0.5]})
    with pytest.raises(FinestError, match=r"'land' is double, but ingest.columns.segments must be text, integers or"):
        ingested({"a.parquet": floats}, columns={"segments": ["land"]})
