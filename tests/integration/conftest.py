"""What tests of the parts together have."""

import inspect
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session", autouse=True)
def callers_without_source() -> Iterator[None]:
    """KFP looks a hundred times a pipeline who calls it, and drops the lines of source that come with that.

    Among the thousands of modules of a test session, looking for those takes 7 s a pipeline.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kfp.dsl.pipeline_task.inspect", SimpleNamespace(stack=partial(inspect.stack, 0)))
        yield
