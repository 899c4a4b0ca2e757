"""A model is logged, verified, promoted and loaded by whoever reaches MLflow's server and not the store behind it."""

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.canaries import in_process
from tests.services.mlflow_server import STORE
from tracking import answer, promotion, registry, runs, store
from tracking.promotion import Before, Judged
from tracking.sample import Sample

HISTORIES = [["i001", "i002", "i003"], ["i004"]]


@pytest.fixture
def promoted(
    shared_mlflow: str,
    judged: Callable[..., Judged],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[str, Sample]:
    """A champion's name, and what its model recommends."""
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", *store.DEFAULTS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared_mlflow)
    monkeypatch.setenv("KFP_RUN_ID", tmp_path.name)
    answer.check("finest")
    runs.open_parent({}, line="finest", source="s3://bucket/data", seed=0, tags={})
    name = f"finest-{tmp_path.name}"
    found = judged(3)
    with runs.step_run("promote") as step:
        promotion.promote(step, name, found, Before("", 0), in_process)
    return name, found.sample


def test_a_model_is_promoted_and_loaded_through_the_server(promoted: tuple[str, Sample]) -> None:
    import mlflow

    name, sample = promoted
    store.connect()
    answer = mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(
        pd.DataFrame({"history": sample.histories, "k": 10})
    )
    assert [list(items) for items in answer["items"]] == [list(items) for items in sample.items]
    assert np.allclose(np.stack(answer["scores"].tolist()), sample.scores)


def unless_the_store(lookup: Callable[..., Any], host: str, *arguments: Any, **keywords: Any) -> Any:
    """A resolver that says of the store at once what others say after a second: MLflow asks some hundred times."""
    if host == STORE:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return lookup(host, *arguments, **keywords)


def test_a_user_who_asks_for_presigned_urls_is_sent_to_the_store(
    promoted: tuple[str, Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.PRESIGNED, "true")
    for name in ("_HTTP_REQUEST_MAX_RETRIES", "_HTTP_REQUEST_BACKOFF_FACTOR"):
        monkeypatch.setenv(f"MLFLOW{name}", "0")
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda self, response=None: None)
    monkeypatch.setattr("socket.getaddrinfo", partial(unless_the_store, socket.getaddrinfo))
    champion = registry.champion(promoted[0])
    assert champion is not None
    with pytest.raises(Exception, match=f"{STORE}.*the name does not resolve"):
        answer.asked(lambda: registry.download(champion, tmp_path / "download"))
