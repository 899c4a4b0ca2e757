from pathlib import Path

import pytest

from components import events
from components.failures import failing_once, forget
from components.step import watched
from finest.errors import ConfigError, DataError, FinestError
from storage import checkpoint_store


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Checkpoints of a pipeline run on a cluster."""
    monkeypatch.delenv(events.VARIABLE, raising=False)
    monkeypatch.setenv("KFP_RUN_ID", "run-1")
    return str(tmp_path / "checkpoints")


def attempt(place: str, error: Exception | None, step: str = "pretrain", group: str | None = None) -> bool:
    """Whether the attempt came to its work; the work ends in `error`."""
    began = False
    try:
        with failing_once(place, step, group):
            began = True
            if error is not None:
                raise error
    except (FinestError, OSError):
        pass
    return began


@pytest.mark.parametrize(
    "error",
    [ConfigError("pretrain.batch_size: must be at least 1"), DataError("data.csv: the column item_id is missing")],
)
def test_a_retry_of_what_cannot_end_differently_stops_at_once_with_the_same_line(
    place: str, error: FinestError
) -> None:
    assert attempt(place, error)
    with pytest.raises(type(error), match=str(error)) as again, failing_once(place, "pretrain", None):
        pytest.fail("the work began again")
    assert again.value.exit_code == error.exit_code


@pytest.mark.parametrize("error", [FinestError("MLflow does not answer"), ConnectionResetError("reset by peer"), None])
def test_what_may_end_differently_is_tried_again(place: str, error: Exception | None) -> None:
    assert attempt(place, error) and attempt(place, None)


def test_other_steps_groups_and_runs_are_not_held_back(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt(place, ConfigError("no"), group="0")
    assert not attempt(place, None, group="0")
    assert attempt(place, None, group="1") and attempt(place, None) and attempt(place, None, step="finetune", group="0")
    monkeypatch.setenv("KFP_RUN_ID", "run-2")
    assert attempt(place, None, group="0")


def test_the_end_of_the_run_takes_its_marks_along_and_no_others(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt(place, ConfigError("mine"))
    monkeypatch.setenv("KFP_RUN_ID", "run-2")
    attempt(place, ConfigError("another's"))
    monkeypatch.setenv("KFP_RUN_ID", "run-1")
    forget(place)
    assert checkpoint_store(place).list("") == ["failures/run-2/pretrain"]
    assert attempt(place, None)


def test_a_local_run_has_no_retries_and_leaves_no_marks(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(events.VARIABLE, str(tmp_path / "events.jsonl"))
    attempt(place, ConfigError("no"))
    assert attempt(place, None) and checkpoint_store(place).list("") == []


def test_a_place_that_takes_no_mark_does_not_hide_the_error(place: str) -> None:
    with pytest.raises(DataError, match="the column is missing"), failing_once(place, "ingest", None):
        Path(place).write_text("a file where a folder should be")
        raise DataError("the column is missing")


def test_a_step_heeds_the_mark(place: str) -> None:
    with pytest.raises(ConfigError), watched("preflight", checkpoints=place):
        raise ConfigError("gate.rules: no such rule")
    with pytest.raises(ConfigError, match="no such rule"), watched("preflight", checkpoints=place):
        pytest.fail("the work began again")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b'{"kind": "DataErrpr", "line": "x"}', b"null"])
def test_a_damaged_mark_is_removed_and_the_step_tries_again(
    place: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert attempt(place, DataError("no rows"))
    assert not attempt(place, None)
    mark = Path(place) / "failures" / "run-1" / "pretrain"
    mark.write_bytes(content)
    assert attempt(place, None)
    assert "failures/run-1/pretrain of an earlier attempt is damaged" in caplog.text
    assert not mark.exists()
