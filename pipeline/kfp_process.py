"""Runs kfp.local in a process of its own: it prints without end, and leaves a wrapper around `print` behind."""

import contextlib
import sys
import warnings
from pathlib import Path

from kfp import local

from components.image import IMAGE
from components.orphan import die_with_parent
from finest.secrets import guard
from pipeline import config as configs
from pipeline import containers, warm
from pipeline.pipelines import PipelineName, builder
from pipeline.state import State


def main(which: PipelineName, folder: Path, state: Path, image: str, memory: str) -> int:
    """Runs the pipeline with the config in a run's folder.

    Args:
        which: The pipeline.
        folder: The run's folder.
        state: The state folder.
        image: Image of the containers that steps run in; empty for processes of this environment.
        memory: Memory of each of the containers, like 3Gi; empty for all that the machine has.

    Returns:
        0, or 1 where kfp says that a step failed.
    """
    guard()
    with contextlib.nullcontext() if image or sys.platform != "linux" else warm.steps():
        return _run(which, folder, state, image, memory)


def _run(which: PipelineName, folder: Path, state: Path, image: str, memory: str) -> int:
    die_with_parent(before=(lambda: containers.remove(state, folder.name)) if image else lambda: None)
    warnings.filterwarnings("ignore", message=".*non-Python base image.*")
    config = configs.load(folder / configs.FILE)
    if image:
        arguments = containers.arguments(config, state, folder, containers.find(image, memory))
        runner: local.DockerRunner | local.SubprocessRunner = local.DockerRunner(**arguments)
    else:
        runner = local.SubprocessRunner(use_venv=False)
    local.init(runner, pipeline_root=str(folder / "kfp"), raise_on_error=True)
    try:
        builder(which)(config, image or IMAGE)(checkpoints=config.checkpoints or str(State(state).checkpoints))
    except RuntimeError as error:  # kfp's word for a failed step, whose own message is in the events
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    name: PipelineName = sys.argv[1]  # type: ignore[assignment]
    sys.exit(main(name, Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.argv[5]))
