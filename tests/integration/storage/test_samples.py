"""The public sample."""

import hashlib
from pathlib import Path

import pytest

from finest.errors import ConfigError, FinestError
from storage import samples


def test_an_unknown_sample_is_a_config_error_that_names_the_known() -> None:
    with pytest.raises(ConfigError, match="ml-100k"):
        samples.fetch("ml-1b")


def test_the_sample_is_fetched_once_checked_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEST_CACHE", str(tmp_path / "cache"))
    try:
        file = samples.fetch("ml-100k")
    except FinestError as error:
        pytest.skip(str(error))
    assert (
        file.parent == tmp_path / "cache"
        and hashlib.sha256(file.read_bytes()).hexdigest() == samples.SAMPLES["ml-100k"].sha256
    )
    written = file.stat().st_mtime_ns
    assert samples.fetch("ml-100k") == file and file.stat().st_mtime_ns == written
    file.write_text("damaged")
    assert hashlib.sha256(samples.fetch("ml-100k").read_bytes()).hexdigest() == samples.SAMPLES["ml-100k"].sha256
    assert [path.name for path in file.parent.iterdir()] == ["ml-100k.inter"]


def test_without_a_network_the_error_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINEST_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setattr(samples, "ATTEMPTS", 1)
    with pytest.raises(FinestError, match="--source FILE") as error:
        samples.fetch("ml-100k")
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []
