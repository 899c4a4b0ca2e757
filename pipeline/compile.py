"""Compiles the pipeline to a file for a KFP backend."""

import ast
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from finest import atomic
from finest.errors import FinestError
from pipeline.config import Config
from pipeline.ir_check import problems
from pipeline.pipelines import PipelineName, builder
from pipeline.policy import Cluster


def compile_to(
    output: Path,
    image: str,
    cluster: Cluster | None = None,
    config: Config | None = None,
    which: PipelineName = "retrain",
) -> None:
    """Writes the pipeline to a file, which appears only once it is complete and what a backend takes.

    Args:
        output: The file.
        image: Image of the steps.
        cluster: What the cluster has.
        config: Gives the parameters' defaults.
        which: The pipeline.
    """
    write(builder(which)(config or Config(source=""), image, cluster or Cluster()), output)


def write(pipeline: Callable[..., Any], output: Path) -> None:
    """Writes a pipeline to a file, which appears only once it is complete and what a backend takes."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder, "pipeline.yaml")
        compiler.Compiler().compile(pipeline, str(compiled))
        text = re.sub(r"^(#    \w+: dict \[Default: )(.*)\]$", _sorted, compiled.read_text(), flags=re.MULTILINE)
    if found := problems(*yaml.safe_load_all(text)):
        raise FinestError(f"a KFP backend would reject the compiled pipeline: {'; '.join(found)}")
    with atomic.file(output) as partial:
        partial.write_text(text)


def _sorted(default: re.Match[str]) -> str:
    """Sorts a default in the comments above the pipeline, where KFP has a dict's keys in another order every time."""
    return f"{default[1]}{json.dumps(ast.literal_eval(default[2]), sort_keys=True)}]"
