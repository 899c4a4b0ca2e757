"""RecBole trained to convergence: `python -m benchmarks.peer_curves`, most of a day. Stopped, it goes on where it was.

Writes benchmarks/peers/MODEL.json. Both models train at once, a process of one thread each; CPU seconds count.
"""

import shutil
import subprocess
from pathlib import Path

from benchmarks.convergence import CURVES
from benchmarks.leave_one_out import leave_one_out, write_inter
from benchmarks.peers import FOLDER, recbole
from benchmarks.training import PEERS


def main() -> None:
    folder = FOLDER / "curves"
    data = write_inter(leave_one_out(), folder)
    command = [str(recbole()), "-W", "ignore", str(Path(__file__).with_name("peer_training.py"))]
    running = [subprocess.Popen(["env", "OMP_NUM_THREADS=1", *command, model, str(data), str(folder)]) for model in PEERS.values()]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit("a training has failed; its output says why")
    CURVES.mkdir(exist_ok=True)
    for model in PEERS.values():
        shutil.copyfile(folder / f"{model}.json", CURVES / f"{model}.json")


if __name__ == "__main__":
    main()
