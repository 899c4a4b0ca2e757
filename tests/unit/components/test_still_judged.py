"""What is promoted is what was judged, byte for byte."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.gate.candidate import LISTS, MODEL, digests, judged
from components.promote.work import still_judged
from finest.errors import FinestError
from finest.gate.config import Gate
from finest.gate.verdict import Verdict

ABOUT = {"verdict": "pass", "reason": "", "protocol": "anchored", "given": "", "reference": "base"}


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    (tmp_path / MODEL / "deeper").mkdir(parents=True)
    (tmp_path / MODEL / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / MODEL / "deeper" / "counts.safetensors").write_bytes(b"counts")
    (tmp_path / LISTS).write_bytes(b"lists")
    return tmp_path


def verdict(candidate: Path) -> Verdict:
    return Verdict.model_validate({**ABOUT, "judged": digests(candidate / LISTS, candidate / MODEL)})


def test_what_was_judged_may_be_promoted(candidate: Path) -> None:
    still_judged(candidate, verdict(candidate))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda folder: (folder / LISTS).write_bytes(b"other lists"), "lists"),
        (lambda folder: (folder / MODEL / "weights.safetensors").write_bytes(b"other weights"), "model"),
        (lambda folder: (folder / MODEL / "deeper" / "counts.safetensors").write_bytes(b"other counts"), "model"),
        (lambda folder: (folder / MODEL / "deeper" / "counts.safetensors").unlink(), "model"),
        (lambda folder: (folder / MODEL / "weights.safetensors").rename(folder / MODEL / "w.safetensors"), "model"),
        (lambda folder: (folder / MODEL / "more.json").write_text("{}"), "model"),
    ],
)
def test_anything_else_is_refused(candidate: Path, change: Callable[[Path], object], what: str) -> None:
    stated = verdict(candidate)
    change(candidate)
    with pytest.raises(FinestError, match=f"the candidate's {what} are not what was judged .*the champion stays"):
        still_judged(candidate, stated)


def test_a_verdict_that_does_not_say_what_it_is_about_promotes_nothing(candidate: Path) -> None:
    with pytest.raises(FinestError, match="the verdict is about None"):
        still_judged(candidate, Verdict.model_validate(ABOUT))


def test_a_gates_config_is_told_from_another(candidate: Path) -> None:
    group = candidate / "group"
    (group / "lists" / "tuned").mkdir(parents=True)
    (candidate / LISTS).rename(group / "lists" / "tuned" / "clean.parquet")
    (group / "candidate").mkdir()
    one, same, other = (judged(group, gate, "today") for gate in (Gate(), Gate(), Gate(min_rls_rbo=0.5)))
    assert one == same and one["config"] != other["config"] and one["fingerprint"] == "today"
