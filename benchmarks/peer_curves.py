"""RecBole trained to convergence: `python -m benchmarks.peer_curves`, two hours of two cores. Stopped, it goes on where it was.

Writes benchmarks/peers/MODEL-SEED.json. Two train at once, a process of one thread each; CPU seconds count.
"""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.convergence import CURVES, PEER_SEEDS
from benchmarks.leave_one_out import leave_one_out, write_inter
from benchmarks.peers import FOLDER, recbole
from benchmarks.training import PEERS


def main() -> None:
    folder = FOLDER / "curves"
    data, python = write_inter(leave_one_out(), folder), recbole()
    CURVES.mkdir(exist_ok=True)

    def trained(model: str, seed: int) -> None:
        command = [python, "-W", "ignore", Path(__file__).with_name("peer_training.py"), model, data, folder, "--seed", str(seed)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        shutil.copyfile(folder / f"{model}-{seed}.json", CURVES / f"{model}-{seed}.json")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(trained, *zip(*((PEERS[model], seed) for model, seeds in PEER_SEEDS.items() for seed in seeds), strict=True)))


if __name__ == "__main__":
    main()
