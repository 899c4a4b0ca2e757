"""The most memory that each step of a whole run takes, by the rows of its source: `python -m benchmarks.peaks`.

Each size is `finest run` on made-up interactions (200 a user, items by Zipf's law, last ones held out), every step a
process of its own, whose peak the run's own events tell: resident memory of the step's process, or of the largest that
it started. A small network, one epoch and one scenario, so that five trainings of 20 million rows end within an hour of
two cores; what a larger network and catalogue add is in docs/operations.md. Prints the table, and beside each step the
formula that `finest check` computes from (finest/data/check/cost.py).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.scale import write
from components import events
from finest.peak import GIB
from pipeline.state import State

CONFIG = """
ingest: {split: {method: leave_one_out}, evaluation: {exclude_seen: false}}
perturb: {scenarios: [{kind: deletion}]}
pretrain: {model: {name: sasrec, hidden_size: 8, num_layers: 1}, epochs: 1, batch_size: 512}
finetune: {epochs: 1, top_k: 20}
"""
ITEMS = 1_000


def peaks(rows: int, folder: Path) -> dict[str, float]:
    """Returns the peak of each step in GiB of a run with so many rows; beside them `rows`, `training` and `lists`."""
    source, config, state = folder / "source.parquet", folder / "config.yaml", folder / "state"
    write(rows, ITEMS, source)
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "pipeline", "run", "--config", str(config), "--state", str(state)]
    ended = subprocess.run([*command, "--source", str(source)], stdout=sys.stderr, check=False)
    if ended.returncode not in (0, 3):
        raise SystemExit(f"the run of {rows} rows ended with {ended.returncode}")
    (run,) = State(state).runs()
    return {cost.name: cost.peak_bytes / GIB for cost in events.costs(run / "events.jsonl")}


def main() -> None:
    """Runs, and prints a column a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    given = parser.parse_args()
    found = {}
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            found[rows] = peaks(rows, Path(folder))
            print(f"{rows} rows: {found[rows]}", flush=True)
    sizes = [f"{rows / 1e6:g} M rows, GiB" for rows in found]
    print("| step |", *(f" {size} |" for size in sizes), sep="")
    print("|---|" + "---|" * len(sizes))
    for step in next(iter(found.values())):
        print(f"| {step} |" + "".join(f" {peak[step]:.2f} |" for peak in found.values()))


if __name__ == "__main__":
    main()
