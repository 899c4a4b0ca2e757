"""KFP's decorators with annotations, which KFP leaves out."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

Made = Callable[..., Any]

component: Callable[[Callable[..., object]], Made] = dsl.component(base_image="x", install_kfp_package=False)
"""Makes a component of a function."""


def pipeline(name: str) -> Callable[[Callable[..., None]], Made]:
    """Returns what makes a pipeline of a function."""
    decorator: Callable[[Callable[..., None]], Made] = dsl.pipeline(name=name)
    return decorator
