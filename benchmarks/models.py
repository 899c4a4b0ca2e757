"""Every model through the whole pipeline, beside peers: `python -m benchmarks.models`, hours of two cores.

Each model is a `finest run` in a process of its own (quickstart.yaml on ml-100k; `--set` changes a key for all); a
finished run is not made again. Then peers train on the same rows, for as many epochs as their validation finds or for
`--peer-seconds`, and rank for the same held-out rows. Columns: the verdict, with the rules that failed; MRR and NDCG@10
of the network alone (without FINEST), and MRR of what the run would serve; rbo under another seed and, mean over the
scenarios, under perturbations, each of the network alone, of what is served without FINEST, and with it; CPU seconds of
one training of the network, and of all trainings of the run.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.quality import opened, values_of
from benchmarks.quality_models import TITLES, peer
from finest.gate.verdict import ScenarioResult, Verdict
from finest.gate.verdict_file import read_verdict

SET = "ml-100k"
MODELS: dict[str, str] = {
    "SASRec": "sasrec",
    "LSTM": "lstm",
    "BERT4Rec": "bert4rec",
    "TiSASRec": "tisasrec",
    "TiSASRec without times": "{name: tisasrec, times: false}",
    "LRURec": "lrurec",
    "Latent Cross": "latent_cross",
    "GRU4Rec (Latent Cross without times)": "gru4rec",
    "eSASRec": "esasrec",
    "HSTU": "hstu",
}
"""Values of `pretrain.model`."""
COMPARED = ("rectools", "rectools_bert4rec")
COLUMNS = (
    *("model", "verdict", "MRR, network", "NDCG@10, network", "MRR, served"),
    *("rbo, another seed", "rbo, perturbed", "CPU s, training", "CPU s, run"),
)


def main() -> None:
    """Prints a row for each model as soon as it is there."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--only", nargs="+", default=[*MODELS, *COMPARED], choices=[*MODELS, *COMPARED], metavar="NAME")
    words.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes a key for all models")
    words.add_argument("--peer-seconds", type=float, metavar="S", help="train peers for S CPU s, not to their best")
    words.add_argument("--work", type=Path, default=Path("state") / "models", help="folder of states and peers")
    given = words.parse_args()
    data, _ = opened(SET, last=False)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for name, model in MODELS.items():
        if name in given.only:
            folder = run(given.work / model.strip("{}").replace(": ", "-").replace(", ", "-"), model, given.set)
            manifest = json.loads((folder / "data" / "manifest.json").read_text())
            assert manifest["fingerprint"] == data.manifest.fingerprint, "peers would train on other rows"
            print(of_run(name, read_verdict(folder / "verdict.json")), flush=True)
    for name in COMPARED:
        if name in given.only:
            (given.work / name).mkdir(parents=True, exist_ok=True)
            answer = peer(name, data, 0, given.work / name, given.peer_seconds)
            _, ndcg, mrr = (float(np.mean(value)) for value in values_of(answer.lists).values())
            title = f"*{TITLES[name]}, {answer.told['epochs']} epochs*"
            print(line(title, "", f"{mrr:.4f}", f"{ndcg:.4f}", "", "", "", f"{answer.spent.cpu_s:.0f}", ""), flush=True)


def run(state: Path, model: str, sets: list[str]) -> Path:
    """Returns the folder of a model's finished run, which is made if it is not there.

    Raises:
        RuntimeError: It ended without a verdict.
    """
    if there := finished(state):
        return there
    settings = [word for key in (f"pretrain.model={model}", *sets) for word in ("--set", key)]
    command = [sys.executable, "-m", "pipeline", "run", "--config", "quickstart", "--state", str(state), *settings]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FINEST_", "MLFLOW_"))}
    state.mkdir(parents=True, exist_ok=True)
    with (state / "run.log").open("w") as log:
        subprocess.run(command, env=environment, stdout=log, stderr=log)
    if made := finished(state):
        return made
    raise RuntimeError(f"{model} came to no verdict: see the end of {log.name}")


def finished(state: Path) -> Path | None:
    """Returns the folder of a state's last run with a verdict; None where there is none."""
    return max((file.parent for file in state.glob("runs/*/verdict.json")), default=None)


def of_run(name: str, verdict: Verdict) -> str:
    """Returns the row of a run."""
    by_name = {one.name: one.metrics for one in verdict.accuracy}
    seed = [one for one in verdict.scenarios if one.name == "seed"]
    probes = [one for one in verdict.scenarios if one.role == "probe"]
    training = verdict.cost["variants"]["clean"]["pretrain_epochs_cpu_seconds"]
    network = by_name.get("network", by_name["base"])
    failed = dict.fromkeys(rule.rule for rule in verdict.rules if rule.status == "fail")
    return line(
        name,
        f"{verdict.verdict}: {', '.join(failed)}" if failed else verdict.verdict,
        f"{network['mrr']:.4f}",
        f"{network['ndcg_at_10']:.4f}",
        f"{by_name['candidate']['mrr']:.4f}",
        rbo(seed),
        rbo(probes),
        f"{training:.0f}",
        f"{verdict.cost['trainings_cpu_seconds']:.0f}",
    )


def rbo(of: list[ScenarioResult]) -> str:
    """Returns mean rbo of the network alone, and of what is served without FINEST and with it."""
    return " ".join(
        f"{np.mean([one['rbo'].mean for one in kind]):.3f}"
        for kind in zip(*([one.plain, one.base, one.tuned] for one in of), strict=True)
    )


def line(*cells: str) -> str:
    """Returns a row in Markdown."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
