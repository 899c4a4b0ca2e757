"""Text files as people have them: the same rows in any form of text are the same data set, and guesses are said."""

import bz2
import csv
import gzip
import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from finest.data import schema
from finest.data.epoch import microseconds
from finest.errors import ConfigError, DataError
from tests.integration.data.conftest import Csv, Ingested, Row

NUMBERED = {"user": 0, "item": 1, "timestamp": 3}
LATE = 1_600_000_000
"""A time in seconds that can be nothing else."""


def lines(rows: list[Row], separator: str, header: bool = True, end: str = "\n") -> str:
    head = [separator.join(["user_id", "item_id", "timestamp"])] if header else []
    return end.join([*head, *(separator.join(map(str, row)) for row in rows)]) + end


def zipped(**members: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return content.getvalue()


def zstd(text: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text.encode())
    return bytes(sink.getvalue().to_pybytes())


FORMS: dict[str, Any] = {
    "a.csv": lambda rows: lines(rows, ";"),
    "a.txt": lambda rows: lines(rows, "|"),
    "a.log": lambda rows: lines(rows, "::"),
    "a.dat": lambda rows: lines(rows, " "),
    "a.data": lambda rows: lines(rows, " ").replace(" ", "   ").replace("u1 ", " u1\t"),
    "mac.csv": lambda rows: lines(rows, ",", end="\r"),
    "windows.tsv": lambda rows: "\ufeff\r\n\r\n" + lines(rows, "\t", end="\r\n"),
    "utf16.csv": lambda rows: lines(rows, ",").encode("utf-16"),
    "utf32.csv": lambda rows: lines(rows, ",").encode("utf-32"),
    "a.CSV.GZ": lambda rows: gzip.compress(lines(rows, ",").encode()),
    "a.tsv.bz2": lambda rows: bz2.compress(lines(rows, "\t").encode()),
    "a.csv.zst": lambda rows: zstd(lines(rows, ",")),
    "a.zip": lambda rows: zipped(**{"__MACOSX/a": "x", "inner__dat": lines(rows, "::")}),
}


def test_each_form_of_text_holds_the_same_rows_and_guesses_are_said(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    plain, _ = ingested({"a.csv": plain_csv(clean_rows)})
    assert plain.notes == ()
    part = -(-len(clean_rows) // len(FORMS))
    parts = {
        name: form(clean_rows[place * part : (place + 1) * part]) for place, (name, form) in enumerate(FORMS.items())
    }
    manifest, _ = ingested(parts)
    assert manifest.fingerprint == plain.fingerprint and manifest.quarantined_rows == 0
    assert {note.partition(" (")[0] for note in manifest.notes} == {
        "a.csv: fields are separated by ';'",
        "a.txt: fields are separated by '|'",
        "a.log and 1 more: fields are separated by '::'",
        "a.dat: fields are separated by single blanks",
        "a.data: fields are separated by blanks and tabs",
        "utf16.csv: the encoding is utf-16, by the file's first bytes",
        "utf32.csv: the encoding is utf-32, by the file's first bytes",
    }


FIELDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(";,|\t\"'\n: "), min_size=1, max_size=6
)


@settings(max_examples=12, deadline=None, phases=[Phase.generate])
@given(
    st.lists(st.tuples(FIELDS, FIELDS), min_size=30, max_size=40),
    st.sampled_from([",", ";", "|", "\t", "~"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["", ".gz", ".bz2", ".zip"]),
    st.booleans(),
)
def test_any_text_comes_through_any_separator_encoding_and_compression(
    ingested: Ingested, drawn: list[tuple[str, str]], separator: str, encoding: str, ending: str, header: bool
) -> None:
    rows = [(user, item, LATE + number) for number, (user, item) in enumerate(drawn)]
    rows += [("filler", f"f{number}", LATE) for number in range(30)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    if header:
        writer.writerow(["user_id", "item_id", "timestamp"])
    writer.writerows(rows)
    content = text.getvalue().encode(encoding)
    if ending == ".zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("a.csv", content)
        content = packed.getvalue()
    elif ending:
        content = gzip.compress(content) if ending == ".gz" else bz2.compress(content)
    columns = {} if header else {"columns": {"user": 0, "item": 1, "timestamp": 2}}
    told = {"separator": separator} if separator == "~" else {}
    table = pa.table(
        {
            "user_id": [row[0] for row in rows],
            "item_id": [row[1] for row in rows],
            "timestamp": [row[2] for row in rows],
        }
    )
    plain, _ = ingested({"a.parquet": table})
    manifest, folder = ingested({f"a.csv{ending}": content}, **columns, **told)
    assert manifest.fingerprint == plain.fingerprint, pq.read_table(folder / schema.QUARANTINE).to_pylist()


BEGINNINGS: dict[str, tuple[str, Callable[[str], str]]] = {
    "excel": ("fields are separated by ';'", lambda text: "sep=;\n" + text.replace(",", ";")),
    "excel, quoted": ("fields are separated by '|'", lambda text: '"sep=|"\r\n' + text.replace(",", "|")),
    "excel, blanks": ("fields are separated by ' | '", lambda text: "sep=|\n" + text.replace(",", " | ")),
    "excel, usual": ("", lambda text: "SEP=,\n" + text),
    "comments": ("its first 2 line(s) with #", lambda text: "\n# of today, by me\n#\n" + text),
    "comment, words": ("its first 1 line(s) with #", lambda text: "# exported\n" + text.replace("\n", ",x y\n")),
    "padded": ("fields are separated by ', '", lambda text: text.replace(",", ", ")),
    "padded, quoted": (
        "fields are separated by ', '",
        lambda text: re.sub("([^,\n]+)", r'"\1"', text).replace(",", ", "),
    ),
    "padded twice": ("fields are separated by ' | '", lambda text: text.replace(",", " | ")),
    "padded names": ("", lambda text: " user_id , item_id,timestamp \n" + text.partition("\n")[2]),
    "hive": ("fields are separated by '\\x01'", lambda text: text.replace(",", "\x01")),
    "caret": ("fields are separated by '^'", lambda text: text.replace(",", "^")),
}


@pytest.mark.parametrize(("note", "written"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_what_stands_before_and_between_the_fields_is_told(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row], note: str, written: Callable[[str], str]
) -> None:
    plain, _ = ingested({"a.csv": plain_csv(clean_rows)})
    found, _ = ingested({"a.csv": written(plain_csv(clean_rows))})
    assert found.fingerprint == plain.fingerprint and found.quarantined_rows == 0
    notes = [one.partition(": ")[2] for one in found.notes if "line ends of several kinds" not in one]
    assert [one.startswith(note) for one in notes] == [True] * bool(note)


def test_a_line_with_a_number_sign_is_a_comment_only_where_it_is_no_record(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    text = plain_csv([(f"#{user}", item, time) for user, item, time in clean_rows], "").lstrip()
    found, _ = ingested({"a.csv": text}, columns={"user": 0, "item": 1, "timestamp": 2})
    assert found.source_rows == len(clean_rows) and found.notes == ()
    headed, _ = ingested({"a.csv": "#" + plain_csv(clean_rows)}, columns={"user": "#user_id"})
    assert headed.source_rows == len(clean_rows) and headed.notes == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"a,b\n"), r"a\.csv: is no text but, by its first bytes, gzip: end its name in \.gz"),
        (zipped(x__csv="a"), "a zip archive .* or a spreadsheet"),
        (b"PAR1" + b"\0" * 90, "Parquet: end its name in .parquet"),
        (b'{"user": 1, "item": 2}\n', "looks like JSON"),
        (b'[\n  {"user": 1}\n]', "looks like JSON"),
        ("a\u00a7b\n1\u00a72\n".encode(), "is something else between the fields"),
    ],
    ids=["gzip", "zip", "parquet", "json lines", "json", "separator"],
)
def test_what_is_no_text_is_named(ingested: Ingested, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        ingested({"a.csv": content})


WRITTEN = {
    "%d.%m.%Y %H:%M:%S": "13.09.2020 ",
    "%m/%d/%Y %I:%M:%S %p": "09/13/2020 ",
    "%a, %d %b %Y %H:%M:%S %z": "Sun, 13 Sep 2020 ",
    "%d/%b/%Y:%H:%M:%S %z": "13/Sep/2020:",
    "%Y%m%dT%H%M%S%z": "20200913T",
    "%Y%m%d%H%M%S": "20200913",
}
"""Forms, with how what they write in the test begins."""


@pytest.mark.parametrize("form", WRITTEN)
def test_times_in_a_usual_form_are_told_and_said(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row], form: str
) -> None:
    times = [1_599_998_400 + 3 * number for number in range(len(clean_rows))]
    plain, _ = ingested({"a.csv": plain_csv([(*row[:2], time) for row, time in zip(clean_rows, times, strict=True)])})
    texts = [datetime.fromtimestamp(time, UTC).strftime(form) for time in times]
    users, items = ([row[place] for row in clean_rows] for place in (0, 1))
    quoted = "user_id,item_id,timestamp\n" + "".join(map('{},{},"{}"\n'.format, users, items, texts))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"user_id": users, "item_id": items, "timestamp": texts}), sink)
    for name, content in (("a.csv", quoted), ("a.parquet", sink.getvalue().to_pybytes())):
        found, _ = ingested({name: content})
        assert found.fingerprint == plain.fingerprint and found.quarantined_rows == 0
        assert f"in the form {form} ({WRITTEN[form]}" in found.notes[0] and " is 2020-09-13" in found.notes[0]


def test_a_separator_that_is_set_without_its_blanks_is_told(ingested: Ingested, clean_rows: list[Row]) -> None:
    text = lines(clean_rows, " ; ")
    with pytest.raises(DataError, match=r"value ' [0-9]+'; there are blanks beside it: leave out ingest\.separator"):
        ingested({"a.csv": text}, separator=";")
    assert ingested({"a.csv": text}, separator=" ; ")[0].fingerprint == ingested({"a.csv": text})[0].fingerprint


def test_a_day_that_could_be_a_month_is_asked_for_and_other_files_may_tell(
    ingested: Ingested, clean_rows: list[Row]
) -> None:
    def file(days: list[str]) -> str:
        rows = [f"{user},{item},{days[n % len(days)]} 10:{n % 60:02}\n" for n, (user, item, _) in enumerate(clean_rows)]
        return "user_id,item_id,timestamp\n" + "".join(rows)

    with pytest.raises(DataError, match=r"like 03/04/2024 10:00 may be in the form '%d/%m/%Y .*' or '%m/%d/%Y .*'"):
        ingested({"a.csv": file(["03/04/2024", "04/03/2024"])})
    said, _ = ingested({"a.csv": file(["03/04/2024"])}, timestamp_format="%m/%d/%Y %H:%M")
    told, _ = ingested({"a.csv": file(["03/04/2024"]), "b.csv": file(["03/14/2024"])})
    assert said.first_timestamp == told.first_timestamp == microseconds(datetime(2024, 3, 4, 10))
    with pytest.raises(DataError, match=r"b\.csv: timestamps are in the form %d\.%m.*, but in the form %m/%d"):
        ingested({"a.csv": file(["03/14/2024"]), "b.csv": file(["14.03.2024"])})


@pytest.mark.parametrize(("name", "separator"), [("ratings.dat", "::"), ("u.data", "\t")])
def test_movielens_files_are_read_as_they_come(
    ingested: Ingested, clean_rows: list[Row], name: str, separator: str
) -> None:
    rows = [(int(user[1:]), int(item[1:]), 3, LATE + time) for user, item, time in clean_rows]
    text = "".join(separator.join(map(str, row)) + "\n" for row in rows)
    manifest, folder = ingested({name: text})
    assert manifest.interactions == 200 and any("form of MovieLens" in note for note in manifest.notes)
    assert ingested({name: text}, columns=NUMBERED)[0].fingerprint == manifest.fingerprint
    users = pq.read_table(folder / schema.USERS)["user"].to_pylist()
    assert users == [str(number) for number in range(10)]


def test_columns_go_by_number_with_or_without_a_header(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    columns = {"user": 0, "item": 1, "timestamp": 2}
    plain, _ = ingested({"a.csv": plain_csv(clean_rows)})
    bare, folder = ingested({"a.csv": plain_csv([*clean_rows, ("", "i", 1)], "").lstrip()}, columns=columns)
    assert bare.fingerprint == plain.fingerprint
    assert pq.read_table(folder / schema.QUARANTINE)["line"].to_pylist() == [201]
    headed, _ = ingested({"a.csv": plain_csv(clean_rows)}, columns=columns, header=True)
    assert headed.fingerprint == plain.fingerprint
    with pytest.raises(DataError, match=r"no column number 3 \(ingest.columns.timestamp\); there are 3"):
        ingested({"a.csv": plain_csv(clean_rows)}, columns=NUMBERED)
    with pytest.raises(ConfigError, match=r"ingest.header=false"):
        ingested({"a.csv": plain_csv(clean_rows)}, header=False)
    with pytest.raises(DataError, match=r"found u0, i0, 1000000; .* without a header\? Give columns by number"):
        ingested({"a.csv": plain_csv(clean_rows, "").lstrip()})


def test_other_encodings_are_set_and_bytes_of_none_are_told_with_their_place(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    text = plain_csv([(user.replace("u", "\u00fc"), item, time) for user, item, time in clean_rows])
    plain, _ = ingested({"a.csv": text})
    for encoding in ("latin-1", "cp1252", "utf-16-le"):
        assert ingested({"a.csv": text.encode(encoding)}, encoding=encoding)[0].fingerprint == plain.fingerprint
    with pytest.raises(DataError, match=r"a\.csv:2 \(byte 26\), which is not UTF-8: set ingest.encoding .* latin-1"):
        ingested({"a.csv": text.encode("latin-1")})
    with pytest.raises(DataError, match=r"a\.csv: byte 0 is no text in UTF-8; set ingest.encoding"):
        ingested({"a.csv": b"\xfcber," + text.encode("latin-1")})
    with pytest.raises(DataError, match=r"a\.csv: byte 1 is no text in UTF-8; .* like utf-16-le"):
        ingested({"a.csv": text.encode("utf-16-le")})
    with pytest.raises(DataError, match=rf"byte {len(text)} is no text in CP1252"):
        ingested({"a.csv": text.encode("cp1252") + b"\x81,i,5\n"}, encoding="cp1252")
    with pytest.raises(DataError, match=rf"byte {2 * len(text) + 2} is no text in UTF-16"):
        ingested({"a.csv": text.encode("utf-16") + b"\x00\xd8,\x00"})
    one = plain_csv(clean_rows).encode() + b"\xfc,i,5\n"
    assert ingested({"a.csv": one})[0].quarantined_by_reason == {"malformed line (invalid encoding)": 1}


MIXED = {
    "the header's": lambda number: "\r\n" if number == 0 else "\n",
    "one file behind another": lambda number: "\n" if number < 100 else "\r\n",
    "an old one first": lambda number: "\r" if number < 50 else "\r\n",
    "in turn": lambda number: ("\n", "\r\n", "\r")[number % 3],
}
"""The end of a line, by its number from 0."""


@pytest.mark.parametrize("ends", MIXED.values(), ids=MIXED)
@pytest.mark.parametrize("form", ["csv", "csv.gz", "tsv", "latin-1"])
def test_line_ends_of_several_kinds_end_a_line_each(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row], ends: Callable[[int], str], form: str
) -> None:
    text = plain_csv([*clean_rows[:120], ("", "i", 1), *clean_rows[120:]])
    plain, folder = ingested({"a.csv": text})
    lines = pq.read_table(folder / schema.QUARANTINE)["line"].to_pylist()
    mixed = "".join(line + ends(number) for number, line in enumerate(text.splitlines()))
    mixed = mixed.replace(",", "\t") if form == "tsv" else mixed
    content = gzip.compress(mixed.encode()) if form == "csv.gz" else mixed.encode()
    encoding = {"latin-1": "latin-1"}.get(form, "utf-8")
    found, folder = ingested({"a.csv" if form == "latin-1" else f"a.{form}": content}, encoding=encoding)
    assert found.fingerprint == plain.fingerprint
    assert pq.read_table(folder / schema.QUARANTINE)["line"].to_pylist() == lines == [122]
    assert any("line ends of several kinds" in note for note in found.notes)


@pytest.mark.parametrize("ends", [["\n"], ["\n", "\r\n"]], ids=["alike", "several"])
@pytest.mark.parametrize("id", ["a\rb", "a\r\nb", "\r", 'say "\r"'])
def test_a_line_end_that_is_quoted_ends_no_line_and_stays_as_it_is(
    ingested: Ingested, clean_rows: list[Row], ends: list[str], id: str
) -> None:
    lines = ["user_id,item_id,timestamp", *(f"{user},{item},{time}" for user, item, time in clean_rows)]
    lines += [f'u0,"{id.replace(chr(34), 2 * chr(34))}",5'] * 3
    text = "".join(line + ends[number % len(ends)] for number, line in enumerate(lines))
    found, folder = ingested({"a.csv": text.encode()})
    assert id in pq.read_table(folder / schema.ITEMS)["item"].to_pylist()
    assert any("line ends of several kinds" in note for note in found.notes) == (len(ends) > 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.zip", zipped(x__csv="a", y__csv="b"), r"holds 2 files: 'x\.csv', 'y\.csv'; unpack"),
        ("a.zip", b"PK\3\4 cut off", "not a readable zip archive"),
        ("a.csv.zip", b"PK\3\4 cut off", "not readable"),
        ("a.csv.bz2", b"BZh9 cut off", "not readable"),
        ("a.csv.zst", b"cut off", "not readable"),
        ("a.zip", zipped(x__parquet="a"), "a compressed Parquet file"),
        ("a.csv", b"x" * 3_000_000, "the first line does not end within"),
    ],
)
def test_an_archive_that_cannot_be_read_is_one_line(ingested: Ingested, name: str, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as error:
        ingested({name: content})
    assert name in str(error.value) and "\n" not in str(error.value)


def test_ids_that_later_steps_would_cut_are_set_aside(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    rows = [*clean_rows, ("a\0", "i1", 5), ("u1", "b\0c", 5), ("x" * 4097, "i1", 5), ("x" * 4096, "i1", 5)]
    table = pa.table(dict(zip(("user_id", "item_id", "timestamp"), map(list, zip(*rows, strict=True)), strict=True)))
    expected = {
        "user with a NUL character": 1,
        "item with a NUL character": 1,
        "user longer than ingest.max_id_length": 1,
    }
    for files in ({"a.csv": plain_csv(rows)}, {"a.parquet": table}):
        for duplicates in ("keep", "quarantine"):
            manifest, folder = ingested(files, duplicates=duplicates, max_quarantined_share=0.1)
            assert manifest.quarantined_by_reason == expected and manifest.interactions == 201
            first = 202 if "a.csv" in files else 201
            lines = pq.read_table(folder / schema.QUARANTINE)["line"].to_pylist()
            assert lines == [first, first + 1, first + 2]


def test_null_tokens_are_nothing_and_looked_for(ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]) -> None:
    text = plain_csv([*clean_rows, *[("NULL", "i1", 5)] * 10, ("u1", "\\N", 5), ("u1", "i1", "\\N")])
    manifest, _ = ingested({"a.csv": text}, max_quarantined_share=0.1)
    assert manifest.notes[0].startswith("4.7% of the rows have the user 'NULL', which looks like none: ingest.null_tok")
    told, _ = ingested({"a.csv": text}, null_tokens=["NULL", "\\N"], max_quarantined_share=0.1)
    assert told.quarantined_by_reason == {"user missing": 10, "item missing": 1, "timestamp missing": 1}
    assert told.notes == ()


def test_a_file_of_no_rows_is_no_rows_and_a_note(ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]) -> None:
    plain, _ = ingested({"a.csv": plain_csv(clean_rows)})
    nothing = pa.table({"user_id": pa.nulls(0), "item_id": pa.array([], pa.float64())})
    files = {
        "a.csv": plain_csv(clean_rows),
        "b.csv": "\n",
        "c.parquet": nothing,
        "d.csv": "\r\n  \r\n",
        "e.csv": "user_id,item_id,timestamp",
    }
    manifest, _ = ingested(files)
    assert manifest.fingerprint == plain.fingerprint and manifest.notes == ("b.csv and 2 more: no rows",)
    with pytest.raises(DataError, match=r"no rows: 2 file\(s\), the first is .*b\.csv"):
        ingested({"b.csv": "\n", "c.parquet": nothing})


def test_a_header_that_begins_like_another_format_is_a_header(
    ingested: Ingested, plain_csv: Csv, clean_rows: list[Row]
) -> None:
    text = plain_csv(clean_rows).replace("user_id", "ORCID", 1)
    assert ingested({"a.csv": text}, columns={"user": "ORCID"})[0].source_rows == len(clean_rows)
