"""Starts one run on a cluster."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import kfp_server_api as kfp
from rich.console import Console

from finest.errors import ConfigError
from pipeline.cluster import fits, parameters, versions
from pipeline.cluster.client import Client
from pipeline.cluster.versions import ensure_experiment, ensure_version
from pipeline.config import Config
from pipeline.plain import say
from tracking.answer import check


@dataclass(frozen=True)
class Options:
    """Says how a run is started; empty means what the installation has set."""

    compiled: Path = Path("pipeline.yaml")
    service_account: str = "finest-pipeline"
    pipeline_root: str = ""
    """URI where artifacts go."""
    fit_check: bool = True
    """Whether a run that the cluster can never hold is refused."""


def start(client: Client, config: Config, options: Options, console: Console) -> str:
    """Starts a run and returns its id."""
    values = parameters.given(config, options.compiled)
    if options.fit_check:
        say(console, f"Fits     {fits.known(client.namespace, config, options.compiled)}")
    version, uploaded = ensure_version(client, options.compiled)
    say(console, f"Version  {version.pipeline_version_id} ({'uploaded' if uploaded else 'unchanged'})")
    body = kfp.V2beta1Run(
        display_name=f"{config.line} {datetime.now():%Y-%m-%d %H:%M}",
        experiment_id=ensure_experiment(client),
        pipeline_version_reference=version,
        service_account=options.service_account or None,
        runtime_config=kfp.V2beta1RuntimeConfig(parameters=values, pipeline_root=options.pipeline_root or None),
    )
    run = client.ask(client.runs.run_service_create_run, body)
    say(console, f"Run      {run.display_name} ({run.run_id})")
    return str(run.run_id)


def check_followable(compiled: Path) -> None:
    """Raises ConfigError for the pipeline of a search or an experiment: it has no verdict to be followed to."""
    if not parameters.judges(versions.read(compiled)[0]):
        raise ConfigError(f"{compiled}: this pipeline has no verdict to follow it to; add --detach, and see MLflow")


def check_tracking(line: str) -> None:
    """Checks MLflow, where the verdict is read from: better to know now than after hours that it cannot be."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise ConfigError(
            "MLFLOW_TRACKING_URI is not set, and the verdict is read there; set it, or leave the run with --detach"
        )
    check(line)
