"""The pipeline's parameters: what a run is about, a section a step, and every key of `placement`."""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from components.sections import parameters
from pipeline.config import Config

CONSTANT = ("steps",)
"""Sections that are compiled into the pipeline."""
SEARCHING = ("tune",)
"""Sections that only the pipeline of a search has."""


def of(config: Config, searches: bool = False) -> dict[str, Any]:
    """Returns the config as a pipeline's parameters. kfp has no null, so an unset `as_of` is an empty text.

    Args:
        config: The config.
        searches: Whether it is the pipeline of `finest tune`.
    """
    values = {"as_of": ""} | parameters(config)
    placement: dict[str, Any] = values.pop("placement")
    without = CONSTANT if searches else CONSTANT + SEARCHING
    return {name: value for name, value in values.items() if name not in without} | placement


def pipeline_function(work: Callable[[Any], None], config: Config, searches: bool = False) -> Callable[..., None]:
    """Returns `work` as a function that kfp can make a pipeline of.

    Args:
        work: Makes the tasks. Gets an object with the parameters' channels as attributes.
        config: Gives the parameters' defaults, and with these their types.
        searches: Whether it is the pipeline of `finest tune`.
    """
    values = of(config, searches)

    def pipeline(*channels: Any) -> None:
        work(SimpleNamespace(**dict(zip(values, channels, strict=True))))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature(
        [inspect.Parameter(name, kind, default=value, annotation=type(value)) for name, value in values.items()]
    )
    vars(pipeline)["__signature__"] = signature  # what kfp reads in place of the function's own
    return pipeline
