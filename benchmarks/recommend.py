"""Lists for a million users, killed and resumed: `python -m benchmarks.recommend`, an hour of two cores.

Made-up users (`--users`, 20 interactions each on average, items by Zipf's law over 50,000), SASRec of the default size
with random weights, and the counts of a memory as the default config serves them, of the interactions of SAMPLE users.
Prints lists a second, CPU seconds and peak memory of a batch that nobody disturbs, and of one that is killed at random
moments until it ends; the files of the two must be the same.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finest.data import schema
from finest.data.dataset import Dataset
from finest.data.schema import Manifest
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.memory.features import NETWORK, POPULARITY, Memory
from finest.models.config import SASRecConfig
from finest.models.registry import build
from finest.models.saved import Facts, save
from finest.peak import GIB
from finest.serving.batch import Shelf, serve
from finest.serving.lists import Of
from finest.serving.users import everybody
from storage import FolderStore

ITEMS, PER_USER = 50_000, 20
SAMPLE = 50_000
"""Number of users whose interactions the memory counts."""
USERS_A_GROUP = 50_000
"""Number of users in a row group of the data set, which has about as many rows as ingest puts there."""
KILLS, K = 5, 10
UNREPEATED = ("follows", "follows_linear", "alike", "alike_linear")
"""Features of lists that leave out what a user has had, as the default config has them."""


def main() -> None:
    """Prints what the batches took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--batch", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.batch:
        make(Path(asked.batch[0]), asked.batch[1], int(asked.batch[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data(folder / "data", asked.users)
        model(folder / "model", folder / "data")
        said = ended(batch(folder, "whole", asked.processes))
        took = f"{said['cpu']:,.0f} CPU s in {said['seconds']:,.0f} s, at most {said['peak_gib']:.2f} GiB"
        speed = f"{said['rows'] / said['seconds']:,.0f} lists a second"
        print(f"{asked.users:,} users, {asked.processes} processes: {speed}, {took}, {said['files']} files", flush=True)
        kill(folder, asked.processes, asked.kills, said["seconds"], random.Random(0))
        same = digests(folder / "whole") == digests(folder / "killed")
        print(f"files of the killed batch and of the other one: {'the same' if same else 'NOT the same'}")
        raise SystemExit(not same)


def batch(folder: Path, out: str, processes: int) -> subprocess.Popen[str]:
    """Starts a batch in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.recommend", "--batch", str(folder), out, str(processes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def make(folder: Path, out: str, processes: int) -> None:
    """Makes a batch, or what is missing of one, and prints what it took as JSON."""
    from components.step import cpu_seconds  # it takes the seconds of kfp

    users = everybody(pq.read_metadata(folder / "data" / schema.USERS).num_rows)
    of = Of(line="made-up", version="1", verdict="", data_fingerprint="made-up", k=K, users_a_file=Of.file_size(K))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        shelf = Shelf(FolderStore(folder / out), out, Path(scratch))
        done = serve(folder / "model", folder / "data", of, users, shelf, processes, lambda there: None, lambda: None)
    print(
        json.dumps(
            {
                "rows": done.made_rows,
                "made": done.made,
                "files": len(done.manifest.files),
                "seconds": done.seconds,
                "cpu": cpu_seconds(),
                "peak_gib": done.peak_bytes / GIB,
            }
        )
    )


def kill(folder: Path, processes: int, kills: int, seconds: float, chance: random.Random) -> None:
    """Kills a batch at random moments, and lets it end after that."""
    for number in range(kills):
        running = batch(folder, "killed", processes)
        after = chance.uniform(0.05, 1) * seconds / kills
        time.sleep(after)
        running.kill()
        running.wait()
        there = len(list((folder / "killed").glob("*/part-*.parquet")))
        print(f"killed after {after:.0f} s for the {number + 1}. time: {there} files are there", flush=True)
    said = ended(batch(folder, "killed", processes))
    print(f"the last one made {said['made']} of {said['files']} files", flush=True)


def ended(running: subprocess.Popen[str]) -> dict[str, Any]:
    """Returns what a batch says once it is over."""
    said, _ = running.communicate()
    if running.returncode:
        raise SystemExit(f"the batch ended with {running.returncode}")
    return dict(json.loads(said))


def digests(folder: Path) -> dict[str, str]:
    """Returns the digests of a batch's files of lists."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*/part-*.parquet")}


def data(folder: Path, users: int, items: int = ITEMS) -> None:
    """Writes a data set as ingest does, a row group at a time."""
    folder.mkdir()
    weight = 1.0 / np.arange(1, items + 1)
    sums, names = np.cumsum(weight / weight.sum()), np.array([f"item-{n:06d}" for n in range(1, items + 1)])
    ids = pa.array([f"user-{n:08d}" for n in range(users)])
    with pq.ParquetWriter(folder / schema.INTERACTIONS, schema.INTERACTIONS_SCHEMA) as file:
        for first in range(0, users, USERS_A_GROUP):
            chance = np.random.default_rng([0, first])
            sizes = chance.integers(1, 2 * PER_USER, min(USERS_A_GROUP, users - first))
            user = np.repeat(np.arange(first, first + len(sizes)), sizes)
            position = np.arange(len(user)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            code = np.minimum(np.searchsorted(sums, chance.random(len(user))), items - 1) + 1
            columns = [ids.take(pa.array(user)), names[code - 1], position, position, user, code]
            table = [
                pa.array(column, field.type) for column, field in zip(columns, schema.INTERACTIONS_SCHEMA, strict=False)
            ]
            table.append(pa.array(np.full(len(user), "train")))
            file.write_table(pa.table(table, schema.INTERACTIONS_SCHEMA))
    numbers = pa.array(np.arange(users, dtype=np.int32))
    last = pa.nulls(users, pa.int64())
    pq.write_table(pa.table([numbers, ids, numbers, numbers, last], schema.USERS_SCHEMA), folder / schema.USERS)


def model(folder: Path, data: Path, items: int = ITEMS) -> None:
    """Writes a model that is as large and as slow as a trained one."""
    config = SASRecConfig()
    network = build(config, items)
    network.initialise(0)
    columns, those = ["user_code", "item_code"], [("user_code", "<", SAMPLE)]
    rows = pq.read_table(data / schema.INTERACTIONS, columns=columns, filters=those)
    user, item = (rows[name].to_numpy().astype(np.int64) for name in rows.column_names)
    names = np.array(["", *(f"item-{n:06d}" for n in range(1, items + 1))], object)
    place = np.arange(len(user))
    unknown: Any = {}
    manifest = Manifest.model_construct(**unknown)
    some = Dataset(user, item, place, place, np.ones(len(user), bool), names, names[:1], names[item], manifest)
    weights = {NETWORK: 0.5, POPULARITY: 0.5, **dict.fromkeys(UNREPEATED, 0.5)}
    memory = Memory(counted(some, some.training_rows(), MemoryConfig()), weights)
    facts = Facts(
        model=config, seed=0, data_fingerprint="made-up", depth=100, exclude_seen=True, stage="tuned", memory=weights
    )
    save(folder, network, facts, names.tolist(), memory)


if __name__ == "__main__":
    main()
