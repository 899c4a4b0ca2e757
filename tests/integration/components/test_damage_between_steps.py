"""One bit that flips in anything that a step hands to the next is found by whoever reads it, before anything is done.

The folders are those of a tiny run; bits are drawn with a seed, in every file.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from finest import sealed
from finest.data import schema
from finest.data.dataset import load
from finest.errors import DamagedError, DataError
from tests.damage import DAMAGE, bits, flipped
from tests.step_folders import FOLDERS, Run, make


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make(tmp_path_factory.mktemp("run"))


def test_every_folder_that_steps_hand_on_is_here(run: Run) -> None:
    assert list(run.readers) == FOLDERS
    assert all(sealed.sealed(run.folder / name) for name in FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_bit_that_flips_in_any_file_is_found_by_whoever_reads_it(run: Run, name: str) -> None:
    readers, folder = run.readers[name], run.folder / name
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        try:
            for number, bit in enumerate(bits(content, 8, seed=3) if content else []):
                file.write_bytes(flipped(content, bit))
                found(readers[number % len(readers)], file, folder)
        finally:
            file.write_bytes(content)


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if "bit" not in kind])
@pytest.mark.parametrize("name", FOLDERS)
def test_so_is_any_other_damage(run: Run, name: str, kind: str) -> None:
    readers, folder = run.readers[name], run.folder / name
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        try:
            file.write_bytes(DAMAGE[kind](content))
            if file.read_bytes() != content:
                found(readers[0], file, folder)
        finally:
            file.write_bytes(content)


@pytest.mark.parametrize("name", FOLDERS)
def test_so_is_a_file_that_is_gone_one_that_is_new_and_two_that_are_exchanged(run: Run, name: str) -> None:
    read, folder = run.readers[name][0], run.folder / name
    one, *others = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != sealed.NAME)
    content = one.read_bytes()
    one.unlink()
    found(read, one, folder)
    one.write_bytes(content)
    new = folder / "new"
    new.touch()
    found(read, new, folder)
    new.unlink()
    for other in others[:1]:
        kept = other.read_bytes()
        one.write_bytes(kept)
        other.write_bytes(content)
        found(read, one, folder)
        one.write_bytes(content)
        other.write_bytes(kept)


def found(read: Callable[[], object], file: Path, folder: Path) -> None:
    with pytest.raises(DamagedError) as said:
        read()
    text = str(said.value)
    assert str(folder) in text and "run again" in text and "\n" not in text
    named = file.relative_to(folder).as_posix()
    assert named in text or sealed.NAME in text


@pytest.mark.parametrize("column", ["position", "user_code"])
def test_a_data_set_of_other_columns_that_is_sealed_is_one_line(run: Run, tmp_path: Path, column: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(run.data, data)
    table = pq.read_table(data / schema.INTERACTIONS)
    for changed in (table.drop_columns([column]), table.append_column(column, table[column])):
        pq.write_table(changed, data / schema.INTERACTIONS)
        sealed.seal(data)
        with pytest.raises(DataError, match=r"interactions.parquet: (damaged|cannot be read).* again"):
            load(data)
    texts = table.set_column(0, "user", table["user"]).set_column(3, "position", table["user"])
    pq.write_table(texts, data / schema.INTERACTIONS)
    sealed.seal(data)
    with pytest.raises(DataError, match=r"interactions.parquet: damaged, or of another version"):
        load(data)
