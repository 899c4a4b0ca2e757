"""The pipelines that there are, by name."""

from collections.abc import Callable
from typing import Any, Literal, assert_never

from pipeline import dag, search

PipelineName = Literal["retrain", "search"]
"""`retrain`: a night's, from source to verdict; `search`: that of `finest tune`."""


def builder(name: PipelineName) -> Callable[..., Callable[..., Any]]:
    """Returns the function that builds a pipeline of a config, an image and a cluster."""
    if name == "retrain":
        return dag.build
    if name == "search":
        return search.build
    assert_never(name)
