"""Canaries for tests: what is about the ledger asks a loaded version for its judged lists, and starts no process."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finest.errors import FinestError
from tracking import registry
from tracking.registry import Version
from tracking.sample import Sample, equal


def in_process(version: Version, judged: Sample | None, champion: Version | None) -> None:
    """Loads a version here, without pickle. Raises FinestError unless it serves the judged lists."""
    import mlflow
    import pandas as pd

    assert judged is not None
    with tempfile.TemporaryDirectory() as folder, _as_it_was():
        model = mlflow.pyfunc.load_model(str(registry.package(version, Path(folder))))
        depth = max(map(len, judged.items))
        served = model.predict(pd.DataFrame({"history": judged.histories, "k": [depth] * len(judged.histories)}))
    lists = zip(judged.items, judged.scores, served["items"], served["scores"], strict=True)
    if differing := sum(not equal(*map(list, one)) for one in lists):
        raise FinestError(
            f"the package does not serve what was judged: {differing} of {len(judged.items)} lists differ"
        )


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Keeps the import path and the environment: MLflow puts a package's own code first."""
    before, path = dict(os.environ), list(sys.path)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    try:
        yield
    finally:
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(before)
