"""The pipeline as a file for a KFP backend."""

import tempfile
from pathlib import Path

import yaml
from kfp import compiler

from finest import whole
from finest.errors import FinestError
from pipeline.config import Config
from pipeline.dag import build
from pipeline.ir_check import problems
from pipeline.policy import Cluster


def compile_to(output: Path, image: str, cluster: Cluster | None = None, config: Config | None = None) -> None:
    """Writes the pipeline to `output`, which appears only when complete and what a backend takes. The config gives the defaults."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder, "pipeline.yaml")
        compiler.Compiler().compile(build(config or Config(source=""), image, cluster or Cluster()), str(compiled))
        text = compiled.read_text()
    if found := problems(*yaml.safe_load_all(text)):
        raise FinestError(f"a KFP backend would reject the compiled pipeline: {'; '.join(found)}")
    with whole.file(output) as partial:
        partial.write_text(text)
