"""Measures the quality page: `python -m benchmarks.quality [SET ...]`; writes benchmarks/quality.json, docs/quality.md.

A SET is `ml-100k`, which is fetched, or a Parquet file of `user_id`, `item_id`, `timestamp`, called by its file's name.
A cell, which is a data set, a model and a seed, is kept in the work folder once it is finished: the same command goes
on where it was stopped, and a page can be made in pieces (`--only`, `--seeds`). A cell whose data or settings have
changed is measured anew.
"""

import argparse
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import quality_models
from benchmarks.bench import commit, hardware
from benchmarks.quality_models import PEERS, Answer
from benchmarks.quality_page import JSON, LABELS, VALUES, Cell, DataSet, Pages, summary, write_page
from benchmarks.validation import ingested
from finest.data.config import Ingest
from finest.data.dataset import Dataset
from finest.data.ingest import MAX_SEEN_TARGETS
from finest.metrics.accuracy import ndcg_at, recall_at, reciprocal_rank
from finest.metrics.guards import coverage_at
from finest.ranklists.schema import RankLists
from finest.training.config import Finetune, Pretrain
from pipeline.config import assigned
from storage import demo_data

OURS = ("network", "counts", "stack", "candidate")
WORK = Path("state") / "quality"
FINISHED = "finished"
"""Name of a cell's file that says what it was made from."""


def main() -> int:
    """Runs the command and returns its exit code."""
    words = argparse.ArgumentParser(description="Accuracy of ours, simple recommenders and peers on the same rows.")
    words.add_argument("sets", nargs="*", default=["ml-100k"], metavar="SET", help="ml-100k, or a Parquet file")
    words.add_argument("--last", action="store_true", help="hold out the last item of each user, instead of a tenth")
    words.add_argument("--only", nargs="+", default=["counting", "ours", *PEERS], choices=["counting", "ours", *PEERS])
    words.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of `pretrain` or `finetune`")
    words.add_argument(
        "--peer-seconds", type=float, metavar="S", help="train peers for S CPU s, instead of to their best"
    )
    words.add_argument("--work", type=Path, default=WORK, help="folder of finished cells")
    words.add_argument("--page", action="store_true", help="write the page from benchmarks/quality.json, and stop")
    given = words.parse_args()
    if not given.page:
        for name in given.sets:
            measure(name, given.last, given.only, given.seeds, given.set, given.peer_seconds, given.work)
    write_page()
    return 0


def measure(
    name: str,
    last: bool,
    only: list[str],
    seeds: list[int],
    sets: list[str],
    peer_seconds: float | None,
    work: Path,
) -> None:
    """Measures what is not there yet of a data set, and writes it to benchmarks/quality.json."""
    data, split = opened(name, last)
    title = Path(name).stem + (", last items" if last else "")
    folder = work / title.replace(", ", "-").replace(" ", "-")
    said = assigned(sets)
    config = Pretrain.model_validate({"memory": {}, "processes": 1, "device": "cpu", **said.get("pretrain", {})})
    tuning = Finetune.model_validate(said.get("finetune", {}))
    trained = {"pretrain": config.model_dump(mode="json"), "finetune": tuning.model_dump(mode="json")}

    def answers(kind: str, seed: int, work: Path) -> dict[str, Answer]:
        if kind == "counting":
            return quality_models.counting(data)
        if kind == "ours":
            return quality_models.ours(data, config, tuning, seed, work)
        return {kind: quality_models.peer(kind, data, seed, work, peer_seconds)}

    of_peers = [quality_models.length_of(data), peer_seconds] if peer_seconds else quality_models.length_of(data)
    settings = {"counting": None, "ours": trained, **dict.fromkeys(PEERS, of_peers)}
    for kind in only:
        for seed in [0] if kind == "counting" else seeds:
            place = folder / f"{kind}-{seed}"
            digest = _digest(data.manifest.fingerprint, data.manifest.exclude_seen, settings[kind])
            finished = place / FINISHED
            if not (finished.is_file() and finished.read_text() == digest):
                place.mkdir(parents=True, exist_ok=True)
                print(f"{title}: {kind}, seed {seed}", file=sys.stderr, flush=True)
                # What is unfinished is of use for the same data and settings alone; a peer's seeds share its epochs.
                work = folder / "unfinished" / (kind if kind in PEERS else f"{kind}-{seed}") / digest[:12]
                work.mkdir(parents=True, exist_ok=True)
                for model, answer in answers(kind, seed, work).items():
                    keep(place / f"{model}.npz", answer, data, sets)
                finished.write_text(digest)
            write(title, about(data, split), folder)


def _digest(*facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def opened(name: str, last: bool) -> tuple[Dataset, str]:
    """Returns a data set and its protocol in words; items come again where more than 5% of the held-out ones do."""
    file = demo_data.fetch(name) if name == "ml-100k" else Path(name)
    split = {"method": "leave_one_out"} if last else {}

    def read(exclude_seen: bool) -> Dataset:
        evaluation = {"exclude_seen": exclude_seen}
        return ingested(file, Ingest.model_validate({"split": split, "evaluation": evaluation}))

    data = read(exclude_seen=False)
    repeats = seen_targets(data) > MAX_SEEN_TARGETS
    words = "each user's last item" if last else "the last tenth of each user"
    lists = "items of the history may come again" if repeats else "lists leave out the items of the history"
    return data if repeats else read(exclude_seen=True), f"{words}; {lists}"


def seen_targets(data: Dataset) -> float:
    """Returns the share of instances whose target is in the history."""
    instances = data.instances()
    histories = data.histories(instances.row)
    seen = np.bincount(histories.row, histories.item == instances.target[histories.row], minlength=len(instances))
    return float((seen > 0).mean())


def about(data: Dataset, split: str) -> dict[str, Any]:
    """Returns what is said of a data set above its table."""
    return {
        "split": split,
        "users": data.manifest.users,
        "items": data.items,
        "training_rows": int(data.train.sum()),
        "instances": len(data.instances()),
        "peer_length": quality_models.length_of(data),
    }


def keep(place: Path, answer: Answer, data: Dataset, sets: list[str]) -> None:
    """Keeps a cell: a value an instance of each metric, coverage, seconds."""
    facts = {
        "coverage": coverage_at(answer.lists.items, data.items),
        "cpu_s": answer.spent.cpu_s,
        "wall_s": answer.spent.wall_s,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "hardware": hardware(),
        "settings": " ".join(sets),
        "told": answer.told,
    }
    place.with_suffix(".json").write_text(json.dumps(facts, indent=1))
    np.savez(place, user=answer.lists.user.astype(str), **values_of(answer.lists))


def values_of(lists: RankLists) -> dict[str, Any]:
    """Returns a value an instance of each metric of the page."""
    rank = lists.target_rank
    return dict(zip(VALUES, (recall_at(rank), ndcg_at(rank), reciprocal_rank(rank)), strict=True))


def write(title: str, said: dict[str, Any], folder: Path) -> None:
    """Writes a data set's finished cells to benchmarks/quality.json, beside those of other data sets.

    Of a model's cells, those count that were made from the same as the newest one. Rows that were measured with another
    work folder stay, with their own date and commit, where the data set is the same.
    """
    found: dict[str, list[Cell]] = {}
    newest: dict[str, str] = {}
    cells = sorted(folder.glob(f"*/{FINISHED}"), key=lambda file: file.stat().st_mtime)
    for finished in cells:
        newest[finished.parent.name.rpartition("-")[0]] = finished.read_text()
    for finished in sorted(cells):
        kind, _, number = finished.parent.name.rpartition("-")
        if finished.read_text() != newest[kind]:
            continue
        seed = int(number)
        for facts in sorted(finished.parent.glob("*.json")):
            if not facts.with_suffix(".npz").is_file():
                continue
            with np.load(facts.with_suffix(".npz")) as values:
                columns = {name: values[name] for name in ("user", *VALUES)}
            found.setdefault(facts.stem, []).append(Cell(seed, columns, json.loads(facts.read_text())))
    pages, now = Pages.read(JSON), DataSet(**said, models=summary(found))
    before = pages.sets.get(title)
    if before and before.model_copy(update={"models": {}}) == now.model_copy(update={"models": {}}):
        rows = before.models | now.models
        now = now.model_copy(update={"models": {model: rows[model] for model in LABELS if model in rows}})
    pages.sets[title] = now
    JSON.write_text(pages.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
