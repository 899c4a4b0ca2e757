"""The cost of proving: eight trainings against one, and the whole DAG against a bare script.

`python -m benchmarks.bench --only variants`, 15 minutes of two cores. ml-100k, quickstart.yaml with a fourth scenario:
the candidate, four probes, three controls. Two processes of one thread each on our side, whatever the number of cores;
wall time counts, so a busy machine shows.
"""

import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.row import Row, Spent, in_process, measured, row
from benchmarks.validation import CPU, base_model, fine_tune, lists_of, ml_100k
from finest.data.dataset import Dataset
from finest.metrics.accuracy import ndcg_at, recall_at, reciprocal_rank
from finest.perturb.config import Perturb, Scenario
from finest.perturb.plan import Group, Plan, plan
from finest.training import references
from finest.training.config import Finetune, Pretrain
from finest.training.device import prepare
from finest.training.pretrain import pretrain
from pipeline.config import QUICKSTART
from storage import checkpoint_store

PROCESSES = 2
REPEATS = 1
FOURTH = {"family": "earliest", "kind": "deletion"}


def rows() -> list[Row]:
    """Measures the rows."""
    data, config = ml_100k(), Pretrain(processes=PROCESSES, device="cpu")
    calls = [(trained(data, 1, config), trained(data, 8, config)) for _ in range(REPEATS)]
    one, eight = zip(*calls, strict=True)
    bare = [in_process([sys.executable, "-m", "benchmarks.variants"])[0] for _ in range(REPEATS)]
    whole = [dag() for _ in range(REPEATS)]
    return [
        row("training call of 8 variants : of 1, two cores", eight, one, "<= 4.5", by="wall_s"),
        row(
            "whole DAG with 8 variants : bare training script of the candidate, two cores",
            whole,
            bare,
            "<= 5.5",
            by="wall_s",
        ),
    ]


def trained(data: Dataset, variants: int, config: Pretrain) -> Spent:
    """Measures the pretraining step of a group of so many variants, processes and their start included."""
    table, dealt = plan(data, Perturb(scenarios=[*Perturb().scenarios, Scenario.model_validate(FOURTH)]), 0)
    group = Group(id="0", variants=dealt.groups[0].variants[:variants])
    only = Plan(seed=0, groups=[group])
    with tempfile.TemporaryDirectory() as folder:
        store, out = checkpoint_store(f"{folder}/checkpoints"), Path(folder, "bases")
        return measured(lambda: pretrain(data, table, only, "0", config, store, out, lambda progress: None))


def dag(device: str = "cpu") -> Spent:
    """Measures `finest run` from nothing, with MLflow, gate and report; promoted or refused."""
    with tempfile.TemporaryDirectory() as folder:
        config = yaml.safe_load(QUICKSTART.read_text())
        config["perturb"]["scenarios"].append(FOURTH)
        config["pretrain"] |= {"processes": PROCESSES, "device": device}
        Path(folder, "config.yaml").write_text(yaml.safe_dump(config))
        run = [sys.executable, "-m", "pipeline", "run"]
        command = [*run, "--config", f"{folder}/config.yaml", "--state", f"{folder}/state"]
        return in_process(command, codes=(0, 3))[0]


def bare() -> None:
    """Does what a script does without this product.

    It reads the data, pretrains and fine-tunes one model in one thread, and prints its accuracy.
    """
    prepare(CPU)
    data, recipe, tuning = ml_100k(), Pretrain(device="cpu"), Finetune()
    model = base_model(data, recipe, 0)
    fine_tune(model, data, recipe, tuning, 0, references.take(model, data.training_rows(), tuning.list_length))
    rank = lists_of(model, data).target_rank
    print({"mrr": reciprocal_rank(rank).mean(), "recall@10": recall_at(rank).mean(), "ndcg@10": ndcg_at(rank).mean()})


if __name__ == "__main__":
    bare()
