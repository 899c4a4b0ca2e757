"""RecBole's training to convergence, one thread: `python benchmarks/peer_training.py MODEL DATA FOLDER`.

The interpreter of `benchmarks.peers` runs this, which has none of the product's packages. MODEL is RecBole's name of a
model, DATA a folder with `rows/rows.inter`, and FOLDER holds the checkpoint and gets `MODEL-SEED.json`, written anew
after every epoch. The same command goes on from where a stopped one was.

Leave-one-out, full ranking without a mask (RecBole masks no history of a sequential model), cross-entropy; RecBole's
defaults for the rest.
"""

import argparse
import json
import os
import platform
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import recbole
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import early_stopping, get_model, init_seed

SETTINGS: dict[str, dict[str, Any]] = {
    "SASRec": {"n_layers": 2, "hidden_size": 64},
    "GRU4Rec": {"num_layers": 2, "hidden_size": 64, "embedding_size": 64},
}
COMMON: dict[str, Any] = {
    "MAX_ITEM_LIST_LENGTH": 50,
    "train_batch_size": 2048,
    "loss_type": "CE",
    "train_neg_sample_args": None,
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "metrics": ["MRR", "NDCG", "Recall"],
    "metric_decimal_place": 6,
    "use_gpu": False,
    "show_progress": False,
}


def main() -> None:
    """Runs the command."""
    asked = argparse.ArgumentParser()
    asked.add_argument("model", choices=SETTINGS)
    asked.add_argument("data", type=Path)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--epochs", type=int, help="stop after so many, instead of by validation")
    asked.add_argument("--seed", type=int, default=2020, help="RecBole's own is 2020")
    given = asked.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    data, folder = given.data.resolve(), given.folder.resolve()
    os.chdir(folder)  # RecBole leaves logs where it runs
    torch.set_num_threads(1)
    settings = COMMON | SETTINGS[given.model] | {"seed": given.seed}
    config = Config(given.model, "rows", config_dict={**settings, "data_path": str(data)})
    init_seed(config["seed"], config["reproducibility"])
    training, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, training.dataset).to(config["device"])
    trainer = Trainer(config, model)
    trainer.eval_collector.data_collect(training)

    checkpoint, result = (folder / f"{given.model}-{given.seed}.{kind}" for kind in ("checkpoint", "json"))
    curve: dict[str, Any] = {
        "peer": f"recbole {recbole.__version__}",
        "model": given.model,
        "settings": settings,
        "torch": torch.__version__,
        "threads": 1,
        "hardware": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "training_rows": len(training.dataset),
        "items": training.dataset.item_num - 1,
        "ended": False,
        "peak_bytes": 0,
        "best_epoch": 0,
        "best": -np.inf,
        "waited": 0,
        "test": {},
        "epochs": [],
    }
    if checkpoint.is_file():
        curve = restore(checkpoint, model, trainer, training)
    while not curve["ended"] and (given.epochs is None or len(curve["epochs"]) < given.epochs):
        record: dict[str, Any] = {"epoch": len(curve["epochs"]) + 1}
        wall, cpu = time.perf_counter(), time.process_time()
        record["loss"] = trainer._train_epoch(training, record["epoch"] - 1)
        record |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        cpu = time.process_time()
        score, found = trainer._valid_epoch(valid)
        record |= {"valid_cpu_seconds": time.process_time() - cpu, **found}
        curve["epochs"].append(record)
        best, curve["waited"], curve["ended"], better = early_stopping(
            score, curve["best"], curve["waited"], config["stopping_step"], config["valid_metric_bigger"]
        )
        curve["best"] = float(best)
        if better:
            # The best epoch's test metrics are known even of a training that is cut short; nothing is chosen by them.
            curve |= {"best_epoch": record["epoch"], "test": dict(trainer.evaluate(test, load_best_model=False))}
        status = Path("/proc/self/status").read_text()
        curve |= {
            "peak_bytes": max(int(status.split("VmHWM:")[1].split()[0]) * 1024, curve["peak_bytes"]),
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        save(checkpoint, curve, model, trainer, training)
        replace(result, json.dumps(curve, indent=1).encode())
        print(json.dumps(record), flush=True)


def save(file: Path, curve: dict[str, Any], model: Any, trainer: Any, training: Any) -> None:
    """Writes the state of a training."""
    partial = file.with_suffix(".partial")
    generators = {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()}
    order = training.generator.get_state()
    state = {"curve": curve, "model": model.state_dict(), "optimizer": trainer.optimizer.state_dict(), "order": order}
    torch.save({**state, **generators}, partial)
    partial.replace(file)


def restore(file: Path, model: Any, trainer: Any, training: Any) -> dict[str, Any]:
    """Puts a training into the state of a checkpoint; returns its curve."""
    state = torch.load(file, weights_only=False)
    model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    training.generator.set_state(state["order"])
    torch.set_rng_state(state["torch"])
    np.random.set_state(state["numpy"])
    random.setstate(state["python"])
    curve: dict[str, Any] = state["curve"]
    return curve


def replace(file: Path, content: bytes) -> None:
    """Writes a file in one go: a reader sees the old content or the new."""
    partial = file.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(file)


if __name__ == "__main__":
    main()
