"""What a search notes between its trials."""

from pathlib import Path

import pytest

from finest.tuning.shelf import Shelf
from storage import FolderStore
from tests.damage import DAMAGE, bits, flipped


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf, file = Shelf(FolderStore(tmp_path / "store"), "search-1/"), tmp_path / "rungs"
    file.write_text('{"2": 0.25}')
    shelf.note("rungs", file)
    return shelf


def test_a_note_comes_back_as_it_was(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.noted("rungs", tmp_path / "back") and (tmp_path / "back").read_text() == '{"2": 0.25}'
    assert not shelf.noted("other", tmp_path / "other")


def test_a_damaged_note_takes_the_shelf_with_it_and_no_other(
    shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Shelf(shelf.store, "search-2/")
    note = tmp_path / "store" / "search-1" / "rungs"
    content = note.read_bytes()
    changes = [DAMAGE[kind](content) for kind in DAMAGE] + [flipped(content, bit) for bit in bits(content, 100, seed=1)]
    for changed in changes:
        note.parent.mkdir(exist_ok=True)
        note.write_bytes(changed)
        for name, of in (("7/clean-base.safetensors", shelf), ("rungs", other)):
            of.put(name, tmp_path / "rungs")
        caplog.clear()
        assert not shelf.noted("rungs", tmp_path / "back"), changed
        assert "search-1/rungs is damaged" in caplog.text and not (tmp_path / "back").exists()
        assert shelf.list("") == [] and other.list("") == ["rungs"]
