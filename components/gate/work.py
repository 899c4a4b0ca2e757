"""Judging a run: from the rank lists of its shards to a verdict, a report, and the candidate that it is about."""

import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from components import events
from components.spent import steps
from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.gate.verdict import Verdict, write
from finest.perturb.plan import read
from finest.profiling.summary import NUMBERS, PAGE, measured, page
from finest.report.report import cpu_seconds, render
from finest.training.finetune import CANDIDATE
from finest.training.shard import read_facts
from tracking.runs import kfp_run_id

T = TypeVar("T")

MODEL, LISTS = "model", "lists.parquet"
"""What a candidate's folder holds: the model folder, and the rank lists that were judged."""


def decide(
    data: Path,
    edits: Path,
    shards: list[Path],
    baselines: Path,
    champion: str,
    config: Gate,
    seed: int,
    as_of: datetime,
    out: Path,
    candidate: Path,
) -> tuple[Verdict, dict[str, pa.Table]]:
    """Judges the shards' rank lists; writes `out`/verdict.json, `out`/report.html and the candidate. Returns verdict and histories.

    Of a profiled run it writes `out`/profile.txt too.

    `champion`: the version that the lists in `baselines` are of, '' for none.
    """
    _, plan = read(edits)
    shards = sorted(shards, key=lambda shard: [one.id for one in plan.shards].index(read_facts(shard)["shard"]))
    facts, first = [read_facts(shard) for shard in shards], shards[0]
    by_id = {fact["shard"]: shard for fact, shard in zip(facts, shards, strict=True)}
    ids = {"run": kfp_run_id(), "champion": champion}
    verdict = judge([*shards, baselines], config, seed, data=data, as_of=as_of, cost=cost(facts), ids=ids)
    histories = by_variant([(fact["shard"], read_histories(shard)) for shard, fact in zip(shards, facts, strict=True)])
    out.mkdir(parents=True, exist_ok=True)
    write(verdict, out / "verdict.json")
    render(verdict, histories, out / "report.html", f"FINEST, run {kfp_run_id()}", profile(by_id, out))
    candidate.mkdir(parents=True, exist_ok=True)
    shutil.copytree(first / CANDIDATE, candidate / MODEL, dirs_exist_ok=True)
    shutil.copyfile(first / "lists" / "tuned" / "clean.parquet", candidate / LISTS)
    return verdict, histories


def profile(shards: dict[str, Path], out: Path) -> str | None:
    """The page of a profiled run, as far as the run has come; writes it and its numbers to `out`. None for any other run."""
    if not (found := measured(shards)):
        return None
    (out / NUMBERS).write_text(json.dumps(found))
    text = page(steps(Path(file)) if (file := os.environ.get(events.VARIABLE)) else [], found)
    (out / PAGE).write_text(text)
    return text


def cost(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """What the trainings took, from every shard's facts."""
    parts = [part for fact in facts for part in fact["cost"].values()]
    spent = {stage: sum(cpu_seconds(part, stage) for part in parts) for stage in ("pretrain", "finetune", "lists")}
    return {
        "trainings": len(parts),
        "trainings_cpu_seconds": spent["pretrain"] + spent["finetune"],
        "finetune_over_pretrain": spent["finetune"] / spent["pretrain"],
        **{f"{stage}_cpu_seconds": seconds for stage, seconds in spent.items()},
        "peak_memory_mb": max(fact["peak_memory_mb"] for fact in facts),
        "hardware": ", ".join(sorted({fact["hardware"] for fact in facts})),
        "variants": by_variant([(fact["shard"], fact["cost"]) for fact in facts]),
    }


def by_variant(shards: list[tuple[str, dict[str, T]]]) -> dict[str, T]:
    """One dict of all shards' variants; the clean variant and the controls of a further shard are told apart by its id."""
    found: dict[str, T] = {}
    for shard, variants in shards:
        found |= {name if name not in found else f"{name} (shard {shard})": value for name, value in variants.items()}
    return found


def read_histories(shard: Path) -> dict[str, pa.Table]:
    """A shard's training histories by variant."""
    return {path.stem: pq.read_table(path) for path in sorted((shard / "history").glob("*.parquet"))}
