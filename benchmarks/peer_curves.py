"""RecBole trained to convergence: `python -m benchmarks.peer_curves`, two hours of two cores.

Writes benchmarks/peers/MODEL-SEED.json. Two train at once, a process of one thread each; CPU seconds count. A call that
was stopped goes on from where it was.
"""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.convergence import CURVES, PEER_SEEDS
from benchmarks.leave_one_out import leave_one_out, write_inter
from benchmarks.peers import FOLDER, recbole_training
from benchmarks.training import PEERS


def main() -> None:
    """Trains RecBole's models with all seeds and copies their curves."""
    folder = FOLDER / "curves"
    data = write_inter(leave_one_out(), folder)
    trainings = [
        recbole_training(PEERS[model], seed, data, folder) for model, seeds in PEER_SEEDS.items() for seed in seeds
    ]
    CURVES.mkdir(exist_ok=True)

    def run(training: tuple[list[str], Path]) -> None:
        command, result = training
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        shutil.copyfile(result, CURVES / result.name)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, trainings))


if __name__ == "__main__":
    main()
