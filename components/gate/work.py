"""Judges a run: from the rank lists of its groups to a verdict, a report, and the candidate that it is about."""

import json
import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from components import events
from components.champion import compare
from components.gate.candidate import LISTS, MODEL, judged
from finest import parquet, sealed
from finest.gate.config import Gate
from finest.gate.judge import judge
from finest.gate.verdict import Night, Served, Verdict
from finest.gate.verdict_file import write_verdict
from finest.perturb.plan import read_plan
from finest.profiling.summary import NUMBERS, PAGE, measured, page
from finest.report.report import cpu_seconds, render
from finest.training.group_folder import CANDIDATE, read_facts
from finest.training.recipe import Recipe
from tracking.runs import kfp_run_id

T = TypeVar("T")


def decide(
    data: Path,
    edits: Path,
    groups: list[Path],
    baselines: Path,
    champion: str,
    config: Gate,
    as_of: datetime,
    out: Path,
    candidate: Path,
    history: Sequence[Night],
) -> tuple[Verdict, dict[str, pa.Table]]:
    """Judges the groups' rank lists; writes `out`/verdict.json, `out`/report.html and the candidate.

    Of a profiled run it writes `out`/profile.txt too.

    Args:
        data: Folder of the data set.
        edits: Folder of the edit table and of the plan of trainings.
        groups: Folder of every group's rank lists and histories.
        baselines: Folder of the rank lists that must be beaten.
        champion: The version that the champion's lists in `baselines` are of; '' for none.
        config: The gate's bounds.
        as_of: The moment that the run stands for; the data's age counts from it.
        out: Folder of the verdict.
        candidate: Folder of the judged model and its lists.
        history: The line's past nights.

    Returns:
        The verdict, and every variant's training history by its name.

    Raises:
        DamagedError: A folder is not what its step wrote.
    """
    for folder in (data, *groups, baselines):
        sealed.check(folder)
    _, plan = read_plan(edits)
    groups = sorted(groups, key=lambda group: [one.id for one in plan.groups].index(read_facts(group)["group"]))
    facts, first = [read_facts(group) for group in groups], groups[0]
    by_id = {fact["group"]: group for fact, group in zip(facts, groups, strict=True)}
    ids = {"run": kfp_run_id(), "champion": champion}
    recipe = Recipe.model_validate(facts[0]["recipe"])
    verdict = judge(
        [*groups, baselines],
        config,
        data=data,
        as_of=as_of,
        cost=cost(facts),
        ids=ids,
        served=served(recipe),
        said=recipe.sentence,
        history=history,
        compared=compare.read(baselines),
    )
    verdict = verdict.model_copy(update={"judged": judged(first, config, verdict.data["fingerprint"])})
    histories = by_variant([(fact["group"], read_histories(group)) for group, fact in zip(groups, facts, strict=True)])
    out.mkdir(parents=True, exist_ok=True)
    write_verdict(verdict, out / "verdict.json")
    render(verdict, histories, out / "report.html", f"FINEST, run {kfp_run_id()}", profile(by_id, out))
    candidate.mkdir(parents=True, exist_ok=True)
    shutil.copytree(first / CANDIDATE, candidate / MODEL, dirs_exist_ok=True)
    shutil.copyfile(first / "lists" / "tuned" / "clean.parquet", candidate / LISTS)
    sealed.seal(candidate)
    sealed.seal(out)
    return verdict, histories


def served(recipe: Recipe) -> Served | None:
    """Returns what a recipe says of serving; None where there was nothing to choose."""
    if recipe.gain is None or recipe.memory_gain is None:
        return None
    return Served(
        chosen=recipe.chosen,
        weights=recipe.weights or {},
        mrr=recipe.mrr,
        network_gain=recipe.gain,
        counts_gain=recipe.memory_gain,
        sentence=recipe.served,
    )


def profile(groups: dict[str, Path], out: Path) -> str | None:
    """Writes the page of a profiled run, as far as it has come, and its numbers to `out`.

    Args:
        groups: Folder of every group's results, by the group's id.
        out: Folder to write to.

    Returns:
        The page; None where the run is not profiled.
    """
    if not (found := measured(groups)):
        return None
    (out / NUMBERS).write_text(json.dumps(found))
    text = page(events.costs(Path(file)) if (file := os.environ.get(events.VARIABLE)) else [], found)
    (out / PAGE).write_text(text)
    return text


def cost(facts: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what the trainings took, from every group's facts: CPU seconds, peak memory (MB, 1e6 bytes), hardware."""
    parts = [part for fact in facts for part in fact["cost"].values()]
    spent = {stage: sum(cpu_seconds(part, stage) for part in parts) for stage in ("pretrain", "finetune", "lists")}
    return {
        "trainings": len(parts),
        "trainings_cpu_seconds": spent["pretrain"] + spent["finetune"],
        "finetune_over_pretrain": spent["finetune"] / spent["pretrain"],
        **{f"{stage}_cpu_seconds": seconds for stage, seconds in spent.items()},
        "peak_memory_mb": max(fact["peak_memory_mb"] for fact in facts),
        "hardware": ", ".join(sorted({fact["hardware"] for fact in facts})),
        "variants": by_variant([(fact["group"], fact["cost"]) for fact in facts]),
    }


def by_variant(groups: list[tuple[str, dict[str, T]]]) -> dict[str, T]:
    """Merges the groups' variants into one dict.

    The clean variant and the controls of a further group get its id in their names.
    """
    found: dict[str, T] = {}
    for group, variants in groups:
        found |= {name if name not in found else f"{name} (group {group})": value for name, value in variants.items()}
    return found


def read_histories(group: Path) -> dict[str, pa.Table]:
    """Returns a group's training histories by variant."""
    return {path.stem: parquet.read(path) for path in sorted((group / "history").glob("*.parquet"))}
