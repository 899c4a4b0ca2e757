"""Steps that rank nothing start without torch, which takes as long to import as their work takes."""

import subprocess
import sys

STEPS = ("preflight", "skip", "champion", "gate", "promote", "notify")


def test_steps_that_rank_nothing_import_no_torch() -> None:
    modules = ", ".join(f"components.{step}.work" for step in STEPS)
    code = f"import {modules}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
