"""The most memory that each step of a whole run takes, by the rows of its source: `python -m benchmarks.peaks`.

Each size is `finest run` on made-up interactions, 200 a user, of which the last one (`--split last_fraction`: the last
tenth) is held out. Every step is a process of its own, whose peak the run's own events tell: resident memory of the
step's process, or of the largest that it started. A small network, one epoch and three scenarios, so that seven
trainings of 20 million rows end within an hour of two cores; what a larger network and catalogue take is in
docs/sizing.md. What such a network ranks may be refused, and then no step after the gate is measured:
`--set 'gate.rules=[sanity]' --set gate.self_test=false` has them.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import events
from finest.peak import GIB
from pipeline.state import State

CONFIG = """
ingest: {{split: {{method: {split}}}, evaluation: {{exclude_seen: false}}}}
perturb: {{scenarios: [{{kind: deletion}}, {{kind: deletion, seed: 1}}, {{kind: insertion}}]}}
pretrain: {{model: {{name: sasrec, hidden_size: 8, num_layers: 1}}, epochs: 1, batch_size: 512}}
finetune: {{epochs: 1, top_k: 20}}
"""
ITEMS, PER_USER, FOLLOWS, DAYS = 1_000, 200, 0.6, 28
"""Items; rows of a user; share of the rows that one item alone follows, which the row before says; days."""
SPLITS = {"leave_one_out": 1, "last_fraction": PER_USER // 10}
"""Held-out rows of a user, each with a list in every variant."""


def peaks(rows: int, split: str, sets: Sequence[str], folder: Path) -> dict[str, float]:
    """Returns the peak in GiB of each step of a run with so many rows; of those alone that were, if it was refused."""
    source, config, state = folder / "source.parquet", folder / "config.yaml", folder / "state"
    write(rows, source)
    config.write_text(CONFIG.format(split=split))
    command = [sys.executable, "-m", "pipeline", "run", "--config", str(config), "--state", str(state)]
    options = [part for one in sets for part in ("--set", one)]
    subprocess.run([*command, "--source", str(source), *options], stdout=sys.stderr, check=False)
    (run,) = State(state).runs()
    found = {cost.name: cost.peak_bytes / GIB for cost in events.costs(run / "events.jsonl")}
    if "gate" not in found:
        raise SystemExit(f"the run of {rows} rows never came to the gate")
    return found


def write(rows: int, file: Path) -> None:
    """Writes so many interactions, in which a model can learn what follows what."""
    random, users = np.random.default_rng(0), rows // PER_USER
    weight = 1.0 / np.arange(1, ITEMS + 1)
    item_UT = random.choice(ITEMS, size=(users, PER_USER), p=weight / weight.sum())
    for place in range(1, PER_USER):
        follows = random.random(users) < FOLLOWS
        item_UT[follows, place] = (7 * item_UT[follows, place - 1] + 3) % ITEMS
    at_UT = np.sort(random.integers(0, DAYS * 86_400, size=item_UT.shape), axis=1)
    columns = {"user_id": np.repeat(np.arange(users), PER_USER), "item_id": item_UT.ravel(), "timestamp": at_UT.ravel()}
    pq.write_table(pa.table(columns), file)


def main() -> None:
    """Runs, and prints a column a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--split", choices=list(SPLITS), default="leave_one_out")
    parser.add_argument("--set", action="append", default=[], dest="sets", help="another value of the config")
    given = parser.parse_args()
    found = {}
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            found[rows] = peaks(rows, given.split, given.sets, Path(folder))
            print(f"{rows} rows: {found[rows]}", flush=True)
    print(f"| step |{''.join(f' {rows / 1e6:g} M rows, GiB |' for rows in found)}")
    print("|---|" + "---|" * len(found))
    for step in next(iter(found.values())):
        print(f"| {step} |" + "".join(f" {peak.get(step, float('nan')):.2f} |" for peak in found.values()))


if __name__ == "__main__":
    main()
