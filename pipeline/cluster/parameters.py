"""Turns a config into the parameters of a run on a cluster."""

import json
from pathlib import Path
from typing import Any

from finest.errors import ConfigError
from pipeline import inputs
from pipeline.cluster import versions
from pipeline.config import Config
from pipeline.ir_check import has_loop
from storage.registry import scheme_of

MOST_BYTES = 10_000
"""Number of bytes that all parameters of a run must stay under: the backend keeps them in a column of that size."""
AGAIN = "compile it with this config: finest compile --config FILE --image ..."


def given(config: Config, compiled: Path) -> dict[str, Any]:
    """Returns the parameters that differ from the compiled pipeline's defaults, which the run's version holds.

    Raises ConfigError where a cluster could not run the config, or they are too many for a backend.
    """
    pipeline = versions.read(compiled)[0]
    known = pipeline["root"]["inputDefinitions"]["parameters"]
    values = of(config, searches(pipeline))
    if missing := sorted(set(values) - set(known)):
        raise ConfigError(
            f"{compiled}: has no parameter {missing[0]}; it is of another version of the code, so compile it again"
        )
    if config.perturb.groups > 1 and not has_loop(pipeline):
        raise ConfigError(f"perturb.groups: {config.perturb.groups}, but {compiled} is compiled for one group; {AGAIN}")
    fixed, variables = _variables(pipeline), config.steps.environment()
    for (key, value), variable in zip(config.steps, variables, strict=True):
        if (compiled_in := fixed.get(variable, "nothing")) != variables[variable]:
            raise ConfigError(f"steps.{key}: {value}, but {compiled} has {variable}={compiled_in}; {AGAIN}")
    changed = {name: value for name, value in values.items() if value != known[name].get("defaultValue")}
    check_size(changed)
    return changed


def _variables(pipeline: dict[str, Any]) -> dict[str, str]:
    """Returns the constants in the environment of the compiled pipeline's steps."""
    container = next(iter(pipeline["deploymentSpec"]["executors"].values()))["container"]
    return {one["name"]: one["value"] for one in container.get("env", [])}


def judges(pipeline: dict[str, Any]) -> bool:
    """Tells whether a compiled pipeline comes to a verdict."""
    return "comp-gate" in pipeline["components"]


def searches(pipeline: dict[str, Any]) -> bool:
    """Tells whether a compiled pipeline is that of a search."""
    return inputs.SEARCHING[0] in pipeline["root"]["inputDefinitions"]["parameters"]


def of(config: Config, searches: bool = False) -> dict[str, Any]:
    """Returns all of a pipeline's parameters. Raises ConfigError where a cluster could not run the config."""
    if config.source in ("", "ml-100k"):
        known = config.source or "not set"
        raise ConfigError(f"source: {known}; a cluster's steps need a URI that they can reach: s3://, gs:// or abfs://")
    if here := [of.file for of in config.perturb.files if scheme_of(of.file) == "file"]:
        raise ConfigError(
            f"perturb.scenarios: {here[0]} is a file of this machine; a cluster's steps need a URI that they can "
            "reach: s3://, gs:// or abfs://"
        )
    if not config.checkpoints:
        raise ConfigError(
            "checkpoints: not set; give a URI, like s3://bucket/checkpoints: a step that is retried goes on from there"
        )
    return inputs.of(config, searches)


def check_size(values: dict[str, Any]) -> None:
    """Raises ConfigError where they take more, as they are sent, than a backend keeps."""
    sizes = {name: len(json.dumps({name: value})) for name, value in values.items()}
    total = sum(sizes.values())
    if total >= MOST_BYTES:
        largest = ", ".join(f"{name} ({sizes[name]})" for name in sorted(sizes, key=lambda one: -sizes[one])[:3])
        raise ConfigError(
            f"the run's parameters take {total} bytes, and Kubeflow Pipelines keeps fewer than {MOST_BYTES}; "
            f"the largest are {largest}: "
            "make them the pipeline's defaults, which do not count, with `compile --config FILE`"
        )
