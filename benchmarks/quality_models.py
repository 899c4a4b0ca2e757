"""Trains what the quality page compares: ours by the pipeline's own steps, peers in environments of their own.

Every answer is rank lists of the same instances, and what it took to be able to rank: reading data and ranking itself
are not counted on any side.
"""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import peer_python
from benchmarks.row import Spent
from benchmarks.validation import CPU
from finest.data.dataset import Dataset, Ints
from finest.errors import ConfigError, FinestError
from finest.memory.config import MemoryConfig
from finest.memory.counts import counted
from finest.memory.features import Memory
from finest.memory.fit import part_of
from finest.memory.fitting import Fitting
from finest.memory.tables import Counts
from finest.models.saved import load
from finest.perturb.edits import EDITS_SCHEMA
from finest.perturb.plan import Group, Plan, Variant
from finest.ranklists import baselines, file, yardsticks
from finest.ranklists.schema import Description, RankLists, build, describe_catalogue
from finest.ranklists.take import take
from finest.section import Section
from finest.training import calibrate, group_folder, unseen
from finest.training.config import Finetune, Pretrain
from finest.training.device import prepare
from finest.training.facts import describe
from finest.training.finetune import finetune
from finest.training.pretrain import pretrain
from finest.training.recipe import Recipe
from finest.training.store import Store
from finest.training.trial import Trial
from storage import checkpoint_store

ROOT = Path(__file__).parents[1]
PEERS = {"rectools": "RecTools' SASRec", "replay": "RePlay's SASRec", "recbole": "RecBole's SASRec"}
"""Peers by the name of their environment, with what the page calls them."""
TITLES = PEERS | {"rectools_bert4rec": "RecTools' BERT4Rec"}
"""What all peers are called, those of other benchmarks too; a name begins with that of its environment."""
LENGTHS = (50, 200)
"""Shortest and longest window of a peer that can choose: the length in between that nine of ten histories fit in."""


@dataclass(frozen=True)
class Answer:
    """Holds rank lists, and what they cost."""

    lists: RankLists
    spent: Spent
    told: dict[str, Any] = field(default_factory=dict)
    """What must be known to read the numbers."""


class Meter:
    """Measures what this process spends from lap to lap, and keeps the sum in a file: work that is resumed adds to it.

    What was lost because a process was stopped after its last lap is not counted.
    """

    def __init__(self, file: Path):
        """Begins the first lap."""
        self.file = file
        self.before = Spent(*json.loads(file.read_text())) if file.is_file() else Spent(0, 0)
        self.began = Spent(time.process_time(), time.perf_counter())

    def lap(self) -> Spent:
        """Returns the sum so far, this lap's included."""
        now = Spent(time.process_time(), time.perf_counter())
        self.before = Spent(
            self.before.cpu_s + now.cpu_s - self.began.cpu_s, self.before.wall_s + now.wall_s - self.began.wall_s
        )
        self.began = now
        self.file.write_text(json.dumps([self.before.cpu_s, self.before.wall_s]))
        return self.before


class Fitted(Section):
    """Holds what `calibrate` finds, and what it took."""

    recipe: Recipe
    """What a run would serve by default."""
    stack: dict[str, float]
    """Weights of network and counts together."""
    counts: dict[str, float]
    """Weights of counts alone."""
    cpu_s: float
    wall_s: float

    @property
    def both(self) -> Recipe:
        """Returns the recipe by which network and counts are served, whatever validation shows."""
        return self.recipe.model_copy(update={"chosen": "stack", "configured": True, "weights": self.stack})


def total(*spent: Spent) -> Spent:
    """Returns the sum of seconds."""
    return Spent(sum(one.cpu_s for one in spent), sum(one.wall_s for one in spent))


def counting(data: Dataset) -> dict[str, Answer]:
    """Returns the answers of the simple recommenders; those that count cost the counts."""
    prepare(CPU)
    answers = {one.__name__: Answer(one(data), Spent(0, 0)) for one in (baselines.popularity, baselines.repeat_last)}
    counts, spent = _counts(data, MemoryConfig())
    return answers | {name: Answer(lists, spent) for name, lists in yardsticks.lists(data, counts)}


def ours(data: Dataset, config: Pretrain, tuning: Finetune, seed: int, work: Path) -> dict[str, Answer]:
    """Returns the answers of the network alone, of counts alone, of both, and of both after FINEST, the candidate.

    Args:
        data: The data set.
        config: Section `pretrain`.
        tuning: Section `finetune`.
        seed: Seed of the run.
        work: Folder of what the steps write; their trainings go on from checkpoints in it.
    """
    if config.memory == "off":
        raise ConfigError("pretrain.memory is off, but the page compares what is counted: leave it on")
    store = checkpoint_store(str(work / "checkpoints"))
    found = fitted(data, config, seed, store, work)
    plan = Plan(seed=seed, groups=[Group(id="0", variants=[Variant(name="clean", role="clean", seed=seed)])])
    edits, bases, tuned = EDITS_SCHEMA.empty_table(), work / "pretrained", work / "tuned"
    pretrain(data, edits, plan, "0", config, store, bases, lambda progress: None, found.both)
    finetune(data, edits, plan, "0", config, tuning, bases, None, store, tuned, lambda progress: None)
    took = group_folder.read_facts(tuned)["cost"]["clean"]
    network, finest = (
        Spent(took[f"{stage}_epochs_cpu_seconds"], took[f"{stage}_seconds"]) for stage in ("pretrain", "finetune")
    )
    counts, spent = _counts(data, config.memory)
    model = load(bases / "models" / "clean").model
    about = describe(data, plan.groups[0].variants[0], None, "0", config, "base", None, None)
    served = total(spent, Spent(found.cpu_s, found.wall_s))
    told = {"chosen": found.recipe.chosen, "mrr on validation": found.recipe.mrr}
    return {
        "network": Answer(take(model, data, about), network),
        "counts": Answer(take(model, data, about, memory=Memory(counts, found.counts)), served),
        "stack": Answer(take(model, data, about, memory=Memory(counts, found.stack)), total(network, served), told),
        "candidate": Answer(
            file.read(tuned / "lists" / "tuned" / "clean.parquet"), total(network, served, finest), told
        ),
    }


def fitted(data: Dataset, config: Pretrain, seed: int, store: Store, work: Path) -> Fitted:
    """Returns what is found on the validation cut; kept in `work` once it is there."""
    assert config.memory != "off"
    kept = work / "fitted.json"
    if not kept.is_file():
        meter = Meter(work / "fitting-spent.json")
        trial = Trial(data, config, seed, None).train(store, lambda progress: print(progress.text, meter.lap()))
        fitting = unseen.of_cut(trial.model, trial.cut, config.memory, seed)
        recipe = calibrate.choose_among(fitting).model_copy(update={"length": trial.length})
        spent = meter.lap()
        stack = recipe.weights if recipe.chosen == "stack" else weights_of(fitting)
        counts = recipe.weights if recipe.chosen == "memory" else weights_of(fitting.without_network())
        facts = Fitted(recipe=recipe, stack=stack, counts=counts, cpu_s=spent.cpu_s, wall_s=spent.wall_s)
        kept.write_text(facts.model_dump_json())
    return Fitted.model_validate_json(kept.read_text())


def _counts(data: Dataset, config: MemoryConfig) -> tuple[Counts, Spent]:
    """Returns the counts of all training rows, by one thread, and what they took."""
    cpu, wall = time.process_time(), time.perf_counter()
    counts = counted(data, data.training_rows(), config, threads=1)
    return counts, Spent(time.process_time() - cpu, time.perf_counter() - wall)


def weights_of(fitting: Fitting) -> dict[str, float]:
    """Returns the weights that `calibrate` finds, with the network's scores or without as they are in `fitting`."""
    fitted_on = part_of(fitting.user, unseen.PARTS)
    return calibrate.fitted(fitting.only(fitted_on), fitting.only(~fitted_on), None, 0).weights


def peer(name: str, data: Dataset, seed: int, work: Path, seconds: float | None = None) -> Answer:
    """Returns a peer's answer.

    Args:
        name: Name of the peer.
        data: The data set.
        seed: Seed of its training.
        work: Folder for what is made.
        seconds: CPU seconds that it may train; if None, the number of its epochs is chosen once a data set, on a cut of
            the training rows.
    """
    task, answer = work / f"{name}-task.npz", work / f"{name}-{seed}.npz"
    _write(data, task)
    if seconds is None:
        chosen = work / f"{name}-chosen.json"
        if not chosen.is_file():
            _train(name, data, task, work / f"{name}-choosing.npz")
            (work / f"{name}-choosing.json").rename(chosen)
        choosing = json.loads(chosen.read_text())
        how = f"chosen in {choosing['cpu_s']:.0f} CPU s more"
        _train(name, data, task, answer, "--seed", str(seed), "--epochs", str(choosing["epochs"]))
    else:
        how = f"as many as take {seconds:.0f} CPU s, whether more would be better or not"
        _train(name, data, task, answer, "--seed", str(seed), "--seconds", str(seconds))
    told = json.loads(answer.with_suffix(".json").read_text()) | {"how long": how}
    with np.load(answer) as found:
        items, scores, rank = found["items"], found["scores"], found["target_rank"]
    answer.unlink()
    about = Description(
        catalogue=describe_catalogue(data.item_ids),
        model=name,
        role="baseline",
        stage="tuned",
        depth=data.manifest.depth,
        exclude_seen=data.manifest.exclude_seen,
        data_fingerprint=data.manifest.fingerprint,
    )
    spent = Spent(told.pop("cpu_s"), told.pop("wall_s"))
    return Answer(build(data, data.instances(), items, scores, rank, about), spent, told)


def length_of(data: Dataset) -> int:
    """Returns the length of a peer's windows."""
    sizes = np.bincount(data.user[data.train])
    return int(np.clip(np.quantile(sizes[sizes > 0], 0.9), *LENGTHS))


def _train(name: str, data: Dataset, task: Path, answer: Path, *words: str) -> None:
    """Runs a peer's command in one thread.

    Raises:
        FinestError: It ended with an error.
    """
    python = str(peer_python(name.partition("_")[0]))
    command = [python, "-W", "ignore", "-m", f"benchmarks.peer_{name}", str(task), str(answer)]
    command += ["--length", str(length_of(data)), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    log = answer.with_suffix(".log")
    with log.open("w") as output:
        if subprocess.run(command, env=environment, stdout=output, stderr=output, cwd=answer.parent).returncode:
            raise FinestError(f"{TITLES[name]} could not be trained: see the end of {log}")


def _write(data: Dataset, task: Path) -> None:
    """Writes a peer's training rows and the histories to rank for."""
    rows, instances = data.training_rows(), data.instances()
    known: Ints = np.flatnonzero(rows.item > 0)
    histories = data.histories(instances.row)
    np.savez(
        task,
        user=rows.user[known],
        row_item=rows.item[known],
        items=data.items,
        item=histories.item,
        start=histories.start,
        target=instances.target,
        exclude_seen=data.manifest.exclude_seen,
        depth=data.manifest.depth,
    )
