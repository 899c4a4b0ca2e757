"""A state at a path that no URI holds as it is, moved to another one between two nights."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT, Place

ODD, ELSEWHERE = "st ?a%20b [x] 'q' &#", "moved/100% of it; " + "long " * 20
PREDICT = """
import sys
import mlflow, pandas as pd

mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/finest@champion")
print(model.metadata.run_id, len(model.predict(pd.DataFrame({"history": [["i1"]], "k": [3]}))))
"""


@pytest.mark.slow
def test_a_moved_state_has_its_nights_its_rollback_and_its_model_and_writes_nothing_elsewhere(
    place: Place, tmp_path: Path
) -> None:
    outside = tmp_path / "temporary"
    outside.mkdir()
    everywhere = {"TMPDIR": str(outside), "PYTHONPATH": str(ROOT)}
    old, new = place.folder / ODD, place.folder / ELSEWHERE
    first = place.run(state=ODD, **everywhere)
    assert first.returncode == 0, first.stderr + first.stdout
    new.parent.mkdir()
    old.rename(new)

    again = ("--set", "preflight.skip_without_new_data=false", "--set", "seed=1", "--set", "retention.keep_runs=5")
    second = place.run(*again, state=ELSEWHERE, **everywhere)
    assert second.returncode == 0, second.stderr + second.stdout
    assert "Promoted finest version 2" in second.stdout
    back = place.call("models", "rollback", "--yes", state=ELSEWHERE, **everywhere)
    assert (back.returncode, back.stdout) == (0, "finest version 1 is the champion\n"), back.stderr
    checked = subprocess.run(
        [sys.executable, "-m", "pipeline", "state", "check"],
        cwd=ROOT,
        env=place.environment(ELSEWHERE),
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0 and "sound" in checked.stdout and "left " not in checked.stdout, checked.stdout

    (said,) = (line for line in second.stdout.splitlines() if line.startswith("Start "))
    address = shlex.split(said)[-1]
    command, alone = [sys.executable, "-c", PREDICT, address], place.environment("none")
    predicted = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True)
    assert predicted.returncode == 0, predicted.stderr

    assert not old.exists() and not (place.folder / "none").exists()
    assert [path.name for path in outside.rglob("*") if not path.name.startswith(("db_init_lock", "numba"))] == []
    assert not [path for run in (new / "runs").iterdir() for path in run.iterdir() if path.name in ("kfp", "tmp")]
