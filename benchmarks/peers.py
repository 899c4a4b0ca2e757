"""Virtual environments of the programs that benchmarks compare with, under .venv-peers.

They are apart because their requirements exclude the product's.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".venv-peers"
REQUIREMENTS = {
    "recbole": ("recbole==1.2.1", "setuptools<80", "ray", "pandas<2.3", "scipy<1.14", "numpy<2", "torch==2.13.0"),
    "rectools": ("rectools[torch]==0.19.0", "torch==2.13.0"),
    "replay": ("replay-rec[torch]==0.22.0", "torch==2.13.0"),
}
"""Requirements by the environment's name.

RecBole imports ray without asking for it, and uses what later releases of the others lack.
"""
RECBOLE_SEED = 2020
"""RecBole's own default."""


def recbole() -> Path:
    """Returns the interpreter that imports RecBole."""
    return peer_python("recbole")


def recbole_training(model: str, seed: int, data: Path, folder: Path) -> tuple[list[str], Path]:
    """Returns the command that trains one of RecBole's models, and the file in `folder` that it writes."""
    script = Path(__file__).with_name("peer_training.py")
    command = [recbole(), "-W", "ignore", script, model, data, folder, "--seed", seed]
    return [str(word) for word in command], folder / f"{model}-{seed}.json"


def peer_python(name: str) -> Path:
    """Returns the interpreter of a peer's environment.

    The environment is made (minutes) if it is not there or was made from other requirements.
    """
    folder, wanted = FOLDER / name, "\n".join(REQUIREMENTS[name])
    python, installed = folder / "bin" / "python", folder / "installed"
    if not installed.is_file() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *REQUIREMENTS[name]], check=True, stdout=sys.stderr)
        installed.write_text(wanted)
    return python


if __name__ == "__main__":
    for peer in REQUIREMENTS:
        print(peer_python(peer))
