"""Ingest against pandas and RecBole: `python -m benchmarks.ingest`, about 15 minutes of two cores.

Both sides read the same file of made-up interactions and must keep the same rows. Every measurement is a process of its
own and counts the work after its imports: CPU seconds of all threads, wall seconds, and the process's peak of resident
memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.row import Row, holds, peak_gib

PER_USER, PER_ITEM = 20, 100
"""Mean numbers of rows of a user and of an item at every size: the share that the k-core keeps stays the same."""
MIN_USER, MIN_ITEM = 5, 10
HELD_OUT_PER_MILLE = 100
MINUTE, MINUTES = 60, 90 * 24 * 60
END_SECONDS = 7_289_654_400  # 2201-01-01
CHUNK = 1 << 20
MEMORY_BOUND = 3.5
"""Bound of the peak of memory for 60 M rows, in GiB."""


def rows(repeats: int = 3) -> list[Row]:
    """Measures the rows of the benchmarks' table."""
    with tempfile.TemporaryDirectory() as folder:
        files = {n: Path(folder, f"{n // 1_000_000}m.parquet") for n in (2_000_000, 20_000_000, 60_000_000)}
        for n, file in files.items():
            write(n, file)
        small = [measured("ours", files[2_000_000]) for _ in range(repeats)]
        pairs = [
            (measured("ours", files[20_000_000]), measured("pandas", files[20_000_000])) for _ in range(repeats)
        ]  # taking turns
        ours, pandas = [one for one, _ in pairs], [other for _, other in pairs]
        large = [measured("ours", files[60_000_000])]
        found = _against_pandas(small, ours, pandas, large)
        files[60_000_000].unlink()
        return [*found, *_against_recbole(files[2_000_000], Path(folder), repeats)]


def _against_pandas(small: list["Run"], ours: list["Run"], pandas: list["Run"], large: list["Run"]) -> list[Row]:
    _same(ours[0], pandas[0], ("source_rows", "interactions", "users", "items", "train", "instances", "repeats"))
    share = ", ".join(f"{part[0]['interactions'] / part[0]['source_rows']:.1%}" for part in (small, ours, large))
    bound = [{**large[0], "peak_gib": MEMORY_BOUND}]
    fits = _median(ours, "peak_gib") < MEMORY_BOUND
    return [
        _row("ingest, 20 M rows : pandas, CPU s", ours, pandas, "cpu_s", ">= 1.5"),
        _row("ingest, 20 M rows : pandas, peak GiB", ours, pandas, "peak_gib", f"<= 0.5, ours < {MEMORY_BOUND}", fits),
        _row(
            "ingest, 20 M rows : 2 M rows, CPU us a row", ours, small, "cpu_us_a_row", "<= 1.3", kept_of_2_20_60_m=share
        ),
        _row(f"ingest, 60 M rows : the bound of {MEMORY_BOUND}, peak GiB", large, bound, "peak_gib", "<= 1"),
    ]


def _against_recbole(file: Path, folder: Path, repeats: int) -> list[Row]:
    inter = folder / "synthetic" / "synthetic.inter"
    write_inter(file, inter)
    pairs = [(measured("ours", inter), measured_recbole(inter)) for _ in range(repeats)]
    ours, peer = [one for one, _ in pairs], [other for _, other in pairs]
    _same(ours[0], peer[0], ("interactions", "users"))
    return [_row("ingest, 2 M rows (.inter) : RecBole's loading and filtering, CPU s", ours, peer, "cpu_s", ">= 5")]


Run = dict[str, Any]
"""What one process measured: cpu_s, wall_s, peak_gib, and counts of what it kept."""


def _row(name: str, ours: list[Run], peer: list[Run], by: str, target: str, met: bool = True, **detail: Any) -> Row:
    mine, its = _median(ours, by), _median(peer, by)
    ratio = its / mine if target.startswith(">=") else mine / its
    detail = {"by": by, "ours": _spread(ours), "peer": _spread(peer), **detail}
    return Row(
        row=name, ours=mine, peer=its, ratio=ratio, target=target, met=met and holds(ratio, target), detail=detail
    )


def _median(runs: list[Run], value: str) -> float:
    return float(statistics.median(run[value] for run in runs))


def _spread(runs: list[Run]) -> dict[str, tuple[float, float, float]]:
    """Returns minimum, median and maximum over repeats."""
    values = {name: [run[name] for run in runs] for name in ("cpu_s", "wall_s", "peak_gib")}
    return {name: (min(those), statistics.median(those), max(those)) for name, those in values.items()}


def _same(ours: Run, peer: Run, names: tuple[str, ...]) -> None:
    for name in names:
        if ours[name] != peer[name]:
            raise AssertionError(f"not the same work: {name} is {ours[name]} here and {peer[name]} there")


def measured(side: str, file: Path) -> Run:
    """Runs ingest, or pandas' version of it, in a process of its own."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        run = _run([sys.executable, "-m", "benchmarks.ingest", "--side", side, "--file", str(file), "--out", folder])
    print(f"{side} {file.name}: {run}", file=sys.stderr, flush=True)
    return {**run, "cpu_us_a_row": 1e6 * run["cpu_s"] / run["source_rows"]}


def measured_recbole(file: Path) -> Run:
    """Runs RecBole's loading and filtering in a process of its own."""
    from benchmarks.peers import recbole

    run = _run(
        [str(recbole()), str(Path(__file__).with_name("peer_ingest.py")), str(file), str(MIN_USER), str(MIN_ITEM)]
    )
    print(f"recbole {file.name}: {run}", file=sys.stderr, flush=True)
    return run


def _run(command: list[str]) -> Run:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    run: Run = json.loads(done.stdout.splitlines()[-1])
    return run


def write(interactions: int, file: Path) -> None:
    """Writes a Parquet source of made-up interactions.

    Items follow Zipf's law, users' activity is log-normal, and times are whole minutes, so that ties occur.
    """
    random = np.random.default_rng(interactions)
    users, items = interactions // PER_USER, interactions // PER_ITEM
    by_user = np.cumsum(random.lognormal(size=users))
    by_item = np.cumsum(1.0 / np.arange(1, items + 1))
    user_ids, item_ids = (
        pa.array([f"{kind}{n}" for n in range(count)]) for kind, count in (("u", users), ("i", items))
    )
    schema = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("timestamp", pa.int64())])
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, interactions, CHUNK):
            n = min(CHUNK, interactions - start)
            user, item = (np.searchsorted(by, random.random(n) * by[-1], side="right") for by in (by_user, by_item))
            at = random.integers(0, MINUTES, size=n) * MINUTE
            writer.write_table(
                pa.table([user_ids.take(pa.array(user)), item_ids.take(pa.array(item)), pa.array(at)], schema=schema)
            )


def write_inter(source: Path, file: Path) -> None:
    """Writes a Parquet source as RecBole's atomic file."""
    from pyarrow import csv

    file.parent.mkdir()
    with file.open("wb") as stream:
        stream.write(b"user_id:token\titem_id:token\ttimestamp:float\n")  # pyarrow would quote it
        csv.write_csv(
            pq.read_table(source), stream, csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        )


def ours(file: Path, out: Path) -> Callable[[], dict[str, int]]:
    """Returns ingest as the pipeline runs it, ready to be timed."""
    import ibis.backends.duckdb  # noqa: F401 (there before the clock starts, as pandas and RecBole are)
    import pyarrow.fs as pafs

    from finest.data.config import Ingest
    from finest.data.ingest import ingest
    from finest.data.source import SourceFile

    config = Ingest.model_validate(
        {"min_user_interactions": MIN_USER, "min_item_interactions": MIN_ITEM, "evaluation": {"exclude_seen": False}}
    )

    def work() -> dict[str, int]:
        source = [SourceFile(str(file), file.stat().st_size, "")]
        manifest = ingest(pafs.LocalFileSystem(), source, config, out / "data")
        return {
            "source_rows": manifest.source_rows,
            "interactions": manifest.interactions,
            "users": manifest.users,
            "items": manifest.items,
            "train": manifest.train_interactions,
            "instances": manifest.instances,
            "repeats": round(manifest.repeated_share * manifest.interactions),
        }

    return work


def pandas(file: Path, out: Path) -> Callable[[], dict[str, int]]:
    """Returns the same steps, files and fingerprint in pandas: the least work that gives what ingest gives.

    Its timestamps are whole seconds, so they are only checked for range, and ties are broken by pandas' own hash of
    user and item.
    """
    import pandas as pd

    from finest.data import schema
    from finest.data.write import Fingerprint

    def work() -> dict[str, int]:
        frame = pd.read_parquet(file)
        source_rows = len(frame)
        usable = (
            frame["user_id"].notna() & (frame["user_id"] != "") & frame["item_id"].notna() & (frame["item_id"] != "")
        )
        usable &= (frame["timestamp"] >= 0) & (frame["timestamp"] < END_SECONDS)
        quarantine = frame[~usable]
        frame = frame[usable]
        user_codes, user_ids = pd.factorize(frame["user_id"], sort=True)
        item_codes, item_ids = pd.factorize(frame["item_id"], sort=True)
        user_hash, item_hash = (
            pd.util.hash_array(np.asarray(ids, dtype=object), categorize=False) for ids in (user_ids, item_ids)
        )
        frame = pd.DataFrame(
            {
                "user": user_codes.astype(np.int32),
                "item": item_codes.astype(np.int32),
                "timestamp": frame["timestamp"].to_numpy() * 1_000_000,
            }
        )
        while True:
            before = len(frame)
            frame = frame[frame.groupby("user")["user"].transform("size") >= MIN_USER]
            frame = frame[frame.groupby("item")["item"].transform("size") >= MIN_ITEM]
            if len(frame) == before:
                break
        frame["tie"] = user_hash[frame["user"]] * np.uint64(0x9E3779B97F4A7C15) ^ item_hash[frame["item"]]
        frame = frame.sort_values(["user", "timestamp", "tie"], ignore_index=True)
        del frame["tie"]
        by_user = frame.groupby("user")
        frame["position"] = by_user.cumcount().astype(np.int32)
        size = by_user["user"].transform("size")
        frame["train"] = frame["position"] < size - np.minimum((size * HELD_OUT_PER_MILLE + 999) // 1000, size - 1)
        train = frame[frame["train"]]
        catalogue = train.groupby("item").size()
        users = frame.groupby("user").agg(interactions=("train", "size"), train_interactions=("train", "sum"))
        users["last_train_timestamp"] = train.groupby("user")["timestamp"].max()
        first_test = frame[~frame["train"]].groupby("user")["timestamp"].min()
        cut_inside_a_tie = int((first_test == users["last_train_timestamp"].reindex(first_test.index)).sum())
        del train
        user_of, item_of = (np.zeros(len(ids), dtype=np.int32) for ids in (user_ids, item_ids))
        user_of[users.index] = np.arange(len(users))
        item_of[catalogue.index] = np.arange(1, len(catalogue) + 1)

        known, held = item_of[frame["item"]] > 0, ~frame["train"]
        since = frame[known].groupby("user")["position"].min().reindex(users.index).fillna(np.inf).to_numpy()
        instance = held & (frame["position"] > since[user_of[frame["user"]]])
        again = frame.duplicated(["user", "item"])  # training rows come first
        manifest = {
            "repeats": int(again.sum()),
            "targets_in_history": int((again & held & known).sum()),
            "instances": int(instance.sum()),
            "cold_rows": int((held & ~instance).sum()),
            "targets_outside_catalogue": int((instance & ~known).sum()),
            "users_cut_inside_a_tie": cut_inside_a_tie,
            "first_timestamp": int(frame["timestamp"].min()),
            "last_timestamp": int(frame["timestamp"].max()),
            "quarantined_rows": len(quarantine),
        }
        del instance, again, held

        occurs = np.zeros(len(item_ids), dtype=bool)
        occurs[frame["item"]] = True
        sizes = users["interactions"].to_numpy()
        fingerprint = Fingerprint(pa.array(user_ids[users.index]), sizes, pa.array(item_ids[occurs]))
        fingerprint.add(
            (np.cumsum(occurs) - 1)[frame["item"]], frame["timestamp"].to_numpy(), frame["train"].to_numpy()
        )

        items = pd.DataFrame({"item": item_ids[catalogue.index], "train_interactions": catalogue.to_numpy()})
        items.insert(0, "item_code", np.arange(1, len(items) + 1))
        users.insert(0, "user", user_ids[users.index])
        users.insert(0, "user_code", np.arange(len(users)))
        frame["user_code"], frame["item_code"] = user_of[frame["user"]], item_of[frame["item"]]
        frame["user"], frame["item"] = user_ids[frame["user"]], item_ids[frame["item"]]
        frame["split"] = np.where(frame.pop("train"), "train", "test")
        rows = pa.Table.from_pandas(frame, schema.INTERACTIONS_SCHEMA, preserve_index=False)
        pq.write_table(rows, out / schema.INTERACTIONS)
        pq.write_table(pa.Table.from_pandas(users, schema.USERS_SCHEMA, preserve_index=False), out / schema.USERS)
        pq.write_table(pa.Table.from_pandas(items, schema.ITEMS_SCHEMA, preserve_index=False), out / schema.ITEMS)
        quarantine.to_parquet(out / schema.QUARANTINE)
        (out / schema.MANIFEST).write_text(json.dumps({**manifest, "fingerprint": fingerprint.hexdigest()}))
        return {
            "source_rows": source_rows,
            "interactions": len(frame),
            "users": len(users),
            "items": len(items),
            "train": int(users["train_interactions"].sum()),
            "instances": manifest["instances"],
            "repeats": manifest["repeats"],
        }

    return work


def main() -> None:
    """Prints all rows, or runs and measures one side if `--side` is given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--side")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.side is None:
        for row in rows(arguments.repeats):
            print(row.model_dump_json())
        return
    work = {"ours": ours, "pandas": pandas}[arguments.side](arguments.file, arguments.out)
    cpu, wall = time.process_time(), time.perf_counter()
    counts = work()
    spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    peak = peak_gib()
    print(json.dumps({**counts, **spent, "peak_gib": peak}))


if __name__ == "__main__":
    main()
