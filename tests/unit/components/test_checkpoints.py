from pathlib import Path

import pytest

from components.checkpoints import TrackingStore, forget, open_store
from storage import checkpoint_store


def blob(folder: Path, text: str) -> Path:
    file = folder / "blob"
    file.write_text(text)
    return file


def test_a_run_forgets_what_it_wrote_and_what_it_went_on_from_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, scratch = tmp_path / "checkpoints", tmp_path
    store = checkpoint_store(place)
    store.put("of-a-killed-run.safetensors", blob(scratch, "old"))
    store.put("of-another-run.safetensors", blob(scratch, "other"))
    monkeypatch.setenv("KFP_RUN_ID", "now")
    mine = open_store(str(place))
    assert mine.get("of-a-killed-run.safetensors", scratch / "read") and not mine.get("nothing", scratch / "read")
    mine.put("mine.safetensors", blob(scratch, "new"))
    forget(str(place))
    assert store.list("") == ["of-another-run.safetensors"]


def test_a_blob_is_what_was_put(tmp_path: Path) -> None:
    store = TrackingStore(checkpoint_store(tmp_path / "checkpoints"), "now")
    store.put("a", blob(tmp_path, "content"))
    assert store.get("a", tmp_path / "read") and (tmp_path / "read").read_text() == "content"
