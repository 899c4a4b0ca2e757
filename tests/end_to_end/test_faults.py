"""Cells of the matrix of faults that no other test has; `python -m tests.faults` makes all."""

from pathlib import Path

import pytest

from tests.faults.__main__ import FAULTS
from tests.faults.cell import strike
from tests.faults.fault import possible
from tests.faults.night import Night


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A night to which nothing happens."""
    night = Night(tmp_path_factory.mktemp("reference"))
    night.prepare()
    assert night.whole().code == 0
    return night


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "steps"),
    [
        ("kill all", ["promote"]),
        ("flip", ["gate"]),
        ("terminate", ["perturb", "gate"]),
        ("disk full", ["finetune"]),
        ("clock back", ["gate"]),
    ],
)
def test_a_run_that_is_struck_ends_like_one_that_is_not(
    reference: Night, tmp_path: Path, fault: str, steps: list[str]
) -> None:
    if why := possible(FAULTS[fault]):
        pytest.skip(why)
    cells = strike(FAULTS[fault], steps, Night(tmp_path / "cell"), reference)
    assert [cell.step for cell in cells] == steps
    assert {cell.outcome for cell in cells} <= {"equal", "line, then equal", "killed, then equal"}, cells
