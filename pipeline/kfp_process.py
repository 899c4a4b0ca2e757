"""The process that kfp.local runs in, apart from `run`'s: it prints without end, and leaves a wrapper around `print` behind."""

import sys
import warnings
from pathlib import Path

from kfp import local

from components.image import IMAGE
from components.orphan import die_with_parent
from pipeline import config as configs
from pipeline.dag import build


def main(folder: Path, checkpoints: str) -> int:
    """Runs the pipeline with the config in a run's folder. Returns 0, or 1 where kfp says that a step failed."""
    die_with_parent()
    warnings.filterwarnings("ignore", message=".*non-Python base image.*")
    config = configs.load(folder / configs.FILE)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / "kfp"), raise_on_error=True)
    try:
        build(config, IMAGE, retries=False)(checkpoints=checkpoints)
    except RuntimeError as error:  # kfp's word for a failed step, whose own message is in the events
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
