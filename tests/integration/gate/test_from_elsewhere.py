"""The gate judges what another trainer wrote: the README's script, which knows nothing of finest."""

import subprocess
import sys
from pathlib import Path

import pytest

from finest.gate.config import Gate
from finest.gate.judge import judge

SCRIPT = Path(__file__).parents[3] / "docs" / "examples" / "write_rank_lists.py"


@pytest.mark.parametrize(("move", "expected"), [("0.1", "pass"), ("0.6", "fail")])
def test_lists_from_elsewhere_pass_where_edits_move_them_little_and_fail_where_they_move_them_much(
    tmp_path: Path, move: str, expected: str
) -> None:
    subprocess.run([sys.executable, "-I", str(SCRIPT), str(tmp_path), move], check=True)

    verdict = judge([tmp_path], Gate())

    assert verdict.verdict == expected
    assert {rule.rule for rule in verdict.rules if rule.status == "fail"} == (
        set() if expected == "pass" else {"stability"}
    )
    assert verdict.protocol == "not stated"
    assert "finest" not in SCRIPT.read_text()
