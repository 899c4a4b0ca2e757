"""Folders as people have them: linked, closed, half copied, with what others leave in them."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from finest.errors import DataError
from storage import resolve
from storage.source import Source


def write(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def names(source: Source) -> list[str]:
    return [file.path.removeprefix(source.root).lstrip("/") for file in source.files]


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as error:
        resolve(str(folder))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_link_to_a_folder_is_that_folder_whatever_is_linked_inside(tmp_path: Path) -> None:
    disk = write(tmp_path / "disk", "two/b.csv", "two/deep/c.csv")
    feed = write(tmp_path / "feed", "dt=2026-11-01/a.csv")
    (feed / "dt=2026-11-02").symlink_to(disk / "two")
    (disk / "two" / "again").symlink_to(disk / "two")
    assert names(resolve(str(feed))) == ["dt=2026-11-01/a.csv", "dt=2026-11-02/b.csv", "dt=2026-11-02/deep/c.csv"]


def test_a_link_to_what_the_folder_holds_anyway_reads_nothing_twice(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed", "dt=2026-11-01/a.csv", "dt=2026-11-02/b.csv")
    (feed / "latest").symlink_to(feed / "dt=2026-11-02")
    (feed / "latest.csv").symlink_to(feed / "dt=2026-11-02" / "b.csv")
    (feed / "self").symlink_to(".")
    assert names(resolve(str(feed))) == ["dt=2026-11-01/a.csv", "dt=2026-11-02/b.csv"]


def test_a_link_into_a_hidden_folder_of_the_source_is_data(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed", ".store/3f/one", ".store/4c/b.csv")
    (feed / "a.csv").symlink_to(".store/3f/one")
    (feed / "copy.csv").symlink_to(".store/3f/one")
    (feed / "dt=2026-11-01").symlink_to(".store/4c")
    assert names(resolve(str(feed))) == ["a.csv", "copy.csv", "dt=2026-11-01/b.csv"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "a.csv"), write(tmp_path / "two", "b.csv")
    (one / "two").symlink_to(two)
    (two / "one").symlink_to(one)
    assert names(resolve(str(one))) == ["a.csv", "two/b.csv"]
    (one / "up").symlink_to("..")
    assert refused(one) == f"{one}/up: the link leads to a folder that it lies in; move it away"


@pytest.mark.parametrize("name", ["dt=2026-11-02", "dt=2026-11-01/b.csv"])
def test_a_link_that_leads_nowhere_is_named(name: str, tmp_path: Path) -> None:
    feed = write(tmp_path / "feed", "dt=2026-11-01/a.csv")
    (feed / name).symlink_to(tmp_path / "unplugged")
    assert refused(feed).startswith(f"{feed}/{name}: the link leads nowhere (No such file or directory)")
    (feed / name).unlink()
    (feed / name).symlink_to(feed / name)
    assert f"{feed}/{name}: the link leads nowhere (Too many levels" in refused(feed)
    assert "the link leads nowhere" in refused(feed / name)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed", "a.csv")
    os.mkfifo(feed / "pipe.csv")
    assert refused(feed) == f"{feed}/pipe.csv: neither a file nor a folder; move it away"
    assert "write it to a file first" in refused(feed / "pipe.csv")
    (feed / "pipe.csv").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(feed / "s.csv"))
        assert "s.csv: neither" in refused(feed)


def test_a_name_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed", "a.csv")
    Path(os.fsdecode(os.fsencode(feed) + b"/b\xe9.csv")).write_text("")
    assert refused(feed) == f"{feed}/b\\xe9.csv: the name is not UTF-8; rename it"


@pytest.mark.parametrize("closed", ["feed", "feed/dt=2026-11-02", "feed/dt=2026-11-02/deep"])
def test_a_folder_that_may_not_be_read_is_named(closed: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:  # not pytest's, which only its owner may enter
        root = Path(temporary)
        root.chmod(0o755)
        feed = write(root / "feed", "dt=2026-11-01/a.csv", "dt=2026-11-02/deep/b.csv")
        (root / closed).chmod(0o000)
        program = (
            "import os, sys, storage\n"
            "from finest.errors import DataError\n"
            "os.getuid() or os.setuid(65534)\n"
            "try: print(storage.resolve(sys.argv[1]))\n"
            "except DataError as error: print('refused', error)\n"
        )
        said = subprocess.run([sys.executable, "-c", program, str(feed)], capture_output=True, text=True, check=True)
        (root / closed).chmod(0o755)
    assert said.stdout == (
        f"refused {root / closed}: the folder cannot be read (Permission denied); allow it, or move it away\n"
    )


def test_names_that_are_left_out_are_said_where_nothing_else_is_there(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed", "_data.csv")
    assert refused(feed) == (
        f"{feed}: the folder holds no files; 1 name that begins with '.' or '_' is taken for a marker or log and left "
        "out (_data.csv): rename what is data, or give the file itself"
    )
    assert names(resolve(str(feed / "_data.csv"))) == ["_data.csv"]
    write(feed, "_SUCCESS", "._a.csv", "_temporary/0/b.csv", "_temporary/0/c.csv")
    assert "4 such names are" in refused(feed) and "(._a.csv, _SUCCESS, _data.csv, ...)" in refused(feed)


def test_a_partition_whose_key_begins_with_an_underscore_is_data(tmp_path: Path) -> None:
    feed = write(tmp_path / "feed", "_year=2026/a.csv", "_year=2026/.a.csv.crc", "day_$folder$")
    source = resolve(str(feed))
    assert names(source) == ["_year=2026/a.csv"]
    assert source.left_out == ("_year=2026/.a.csv.crc", "day_$folder$")
