"""Keeps the pipeline in KFP: one pipeline, a version for each content of pipeline.yaml, an experiment to run in."""

import hashlib
import json
from pathlib import Path
from typing import Any

import kfp_server_api as kfp
import yaml

from finest.errors import ConfigError
from pipeline.cluster.client import ApiError, Client
from pipeline.dag import NAME

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
HASH_DIGITS = 16
CONFLICT = 409


def content_hash(compiled: Path) -> str:
    """Returns the sha256 of what the file says, whatever its comments and layout. Raises ConfigError."""
    return hashlib.sha256(json.dumps(read(compiled), sort_keys=True).encode()).hexdigest()


def read(compiled: Path) -> list[dict[str, Any]]:
    """Reads the file's documents: the pipeline, and its Kubernetes part.

    Raises ConfigError where it is no compiled pipeline.
    """
    advice = "write it with `finest compile --image REPOSITORY@sha256:...`"
    try:
        documents = list(yaml.load_all(compiled.read_text(), LOADER))
    except FileNotFoundError:
        raise ConfigError(f"{compiled}: there is no such file; {advice}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{compiled}: cannot be read ({type(error).__name__}); {advice}") from None
    if not documents or not isinstance(documents[0], dict) or documents[0].get("pipelineInfo", {}).get("name") != NAME:
        raise ConfigError(f"{compiled}: not the compiled pipeline {NAME}; {advice}")
    return documents


def ensure_version(client: Client, compiled: Path) -> tuple[kfp.V2beta1PipelineVersionReference, bool]:
    """Returns the version that holds what the file says, and whether it had to be uploaded."""
    digest = content_hash(compiled)
    pipeline, name = _pipeline(client), f"{NAME}-{digest[:HASH_DIGITS]}"
    found = _find_version(client, pipeline, name)
    if found is None:
        try:
            about = {"name": name, "pipelineid": pipeline, "description": f"pipeline.yaml sha256:{digest}"}
            made = client.ask(client.uploads.upload_pipeline_version, str(compiled), **about)
            return _reference(pipeline, made), True
        except ApiError as error:  # another submit was quicker
            found = _find_version(client, pipeline, name) if error.status == CONFLICT else None
            if found is None:
                raise
    return _reference(pipeline, found), False


def ensure_experiment(client: Client) -> str:
    """Returns the id of the experiment that runs go to."""
    api = client.experiments
    found = _named(client, api.experiment_service_list_experiments, "experiments", namespace=client.namespace)
    if found is None:
        body = kfp.V2beta1Experiment(display_name=NAME, namespace=client.namespace or None)
        found = client.ask(api.experiment_service_create_experiment, body)
    return str(found.experiment_id)


def _pipeline(client: Client) -> str:
    api = client.pipelines
    found = _named(client, api.pipeline_service_list_pipelines, "pipelines", namespace=client.namespace)
    if found is None:
        body = kfp.V2beta1Pipeline(name=NAME, display_name=NAME, namespace=client.namespace or None)
        found = client.ask(api.pipeline_service_create_pipeline, body)
    return str(found.pipeline_id)


def _named(client: Client, call: Any, entries: str, **keywords: Any) -> Any:
    return next(
        (
            one
            for one in client.pages(call, entries, **keywords)
            if NAME in (getattr(one, "name", None), one.display_name)
        ),
        None,
    )


def _find_version(client: Client, pipeline: str, name: str) -> kfp.V2beta1PipelineVersion | None:
    versions = client.pages(client.pipelines.pipeline_service_list_pipeline_versions, "pipeline_versions", pipeline)
    return next((version for version in versions if name in (version.name, version.display_name)), None)


def _reference(pipeline: str, version: kfp.V2beta1PipelineVersion) -> kfp.V2beta1PipelineVersionReference:
    return kfp.V2beta1PipelineVersionReference(pipeline_id=pipeline, pipeline_version_id=version.pipeline_version_id)
