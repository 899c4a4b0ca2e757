"""How often the gate refuses equal models, by real trainings: `python -m benchmarks.equal_models --work FOLDER`.

Every seed is a whole run of quickstart.yaml on ml-100k; its candidate is then judged with the next seed's candidate as
the champion, which is as good as it is: all that differs is the seed. About nine minutes of two cores a seed; runs that
are there already are taken as they are. Prints the share of nights that are refused, with its 95% interval, and by
which rules. `--set` changes the config, `--seeds` their number.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.calibration import share
from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.gate.verdict import Verdict
from finest.ranklists import file
from pipeline.config import QUICKSTART, load


def trained(seed: int, sets: list[str], work: Path) -> Path:
    """Returns the folder of that seed's run, which it makes where it is not there."""
    state = work / f"seed-{seed}"
    if not list(state.glob("runs/*/verdict.json")):
        options = [part for one in [*sets, f"seed={seed}"] for part in ("--set", one)]
        command = [sys.executable, "-m", "pipeline", "run", "--config", str(QUICKSTART), "--state", str(state)]
        ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if ended.returncode not in (0, 3):
            raise SystemExit(f"seed {seed}: {ended.stderr or ended.stdout}")
    return next(state.glob("runs/*/verdict.json")).parent


def against(run: Path, other: Path, gate: Gate) -> Verdict:
    """Judges a run's candidate with another one's as its champion."""
    lists = file.read(next(other.glob("lists/*/tuned/clean.parquet")))
    told = lists.description.model_copy(update={"role": "champion", "protocol": None, "reference": None})
    with TemporaryDirectory() as folder:
        file.write(replace(lists, description=told), Path(folder, "champion.parquet"))
        return judge([run / "lists", Path(folder)], gate, data=run / "data")


def main() -> None:
    """Trains, judges and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--set", action="append", default=[], dest="sets")
    given = parser.parse_args()
    gate = load(QUICKSTART, given.sets).gate.model_copy(update={"self_test": False})
    runs = [trained(seed, given.sets, given.work) for seed in range(given.seeds)]
    verdicts = [against(run, runs[index - 1], gate) for index, run in enumerate(runs)]
    refused = [verdict for verdict in verdicts if verdict.verdict != "pass"]
    rules = Counter(rule.name for verdict in refused for rule in verdict.rules if rule.status == "fail")
    print(json.dumps({"refused": len(refused), "of": len(runs), **share(len(refused), len(runs)), "by": rules}))


if __name__ == "__main__":
    main()
