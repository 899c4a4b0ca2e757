"""Checks everything that a nightly run needs from its cluster: what is wrong, why, and what to do."""

import email.utils
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import kfp_server_api as kfp
from rich.console import Console
from rich.text import Text

import storage
from finest import causes
from finest.errors import FinestError
from finest.secrets import masked
from pipeline.cluster import argo, demand, fits, images, kube, parameters, schedule, versions
from pipeline.cluster.client import Client
from pipeline.cluster.findings import HealthError, NotCheckedError, Row, row
from pipeline.cluster.submit import Options
from pipeline.config import Config
from pipeline.plain import Table
from tracking.answer import check
from tracking.store import uri

OLDEST_BACKEND = (2, 17)
LARGEST_SKEW_SECONDS = 60.0
"""Largest difference between clocks. S3 refuses requests that are 15 minutes off; logs and schedules are hard to read
long before."""
ELSEWHERE = {"name", "refused", "time", "route"}
"""Kinds of causes that may lie here as well as at the server."""
HEALTH = "/apis/v2beta1/healthz"
STYLES = {"ok": "green", "failed": "bold red", "unknown": "yellow"}


def examine(client: Client, config: Config, options: Options) -> list[Row]:
    """Runs all checks, in the order in which a run needs what they look at. None raises."""
    namespace = client.namespace or kube.KFP_NAMESPACE
    documents = lru_cache(lambda: versions.read(options.compiled))
    cluster = lru_cache(kube.reach)
    health = Once(lambda: Health(client.get(HEALTH), datetime.now(UTC)))

    def image() -> str:
        executors = documents()[0]["deploymentSpec"]["executors"].values()
        return str(next(iter(executors))["container"]["image"])

    checks: dict[str, Callable[[], str]] = {
        "KFP API": lambda: check_api(client, health()),
        "KFP backend version": lambda: check_version(health()),
        "clock": lambda: check_clock(health()),
        "MLflow": lambda: check_mlflow(config.line),
        "checkpoints": lambda: check_bucket(config.checkpoints),
        "compiled pipeline": lambda: check_compiled(config, options.compiled),
        "image registry": lambda: images.check_registry(image()),
        "image": lambda: check_image(cluster, image(), namespace, options.service_account),
        "service account": lambda: kube.check_account(cluster(), namespace, options.service_account),
        "secrets": lambda: kube.check_references(
            cluster(), namespace, demand.kubernetes_settings(documents()).values()
        ),
        "fits": lambda: fits.check(cluster, namespace, config, documents()),
        "retries": lambda: argo.check_retries(cluster(), documents()),
        "schedule": lambda: health() and check_schedule(client, schedule.named(config.line)),
    }
    return [row(name, one) for name, one in checks.items()]


class Health(NamedTuple):
    """Holds what the KFP API says of itself."""

    answer: Any
    at: datetime
    """The moment when the answer came."""

    @property
    def said(self) -> dict[str, Any]:
        """Returns what the answer says."""
        return dict(json.loads(self.answer.data))


class Once:
    """Asks once. Whoever asks after a failure is told of that, instead of waiting for it again."""

    def __init__(self, question: Callable[[], Any]):
        self.question, self.failed, self.known = question, False, None

    def __call__(self) -> Any:
        """Returns the answer, or raises what the first question raised."""
        if self.failed:
            raise NotCheckedError("the KFP API could not be asked", "see the row KFP API")
        if self.known is None:
            self.failed = True
            self.known, self.failed = self.question(), False
        return self.known


def show(console: Console, rows: list[Row]) -> None:
    """Prints the table."""
    table = Table("check", "", "what is so", "what to do", title="What a nightly run needs")
    for one in rows:
        table.add_row(one.name, Text(one.status, style=STYLES[one.status]), one.said, one.fix)
    table.show(console)


def check_api(client: Client, health: Health) -> str:
    """Checks that the API answers, and lets this token in."""
    client.ask(client.experiments.experiment_service_list_experiments, page_size=1, namespace=client.namespace)
    several = bool(health.said.get("multi_user"))
    if several and not client.namespace:
        raise HealthError(
            f"{masked(client.host)} serves many users, and no namespace is given",
            "give --namespace, or set KFP_NAMESPACE",
        )
    return f"{masked(client.host)} answers" + (f", namespace {client.namespace}" if client.namespace else "")


def check_version(health: Health) -> str:
    """Checks that the backend does what the compiled pipeline relies on."""
    tag = str(health.said.get("tag_name") or "unknown")
    found = re.match(r"v?(\d+)\.(\d+)", tag)
    least = ".".join(map(str, OLDEST_BACKEND))
    if found is None:
        raise NotCheckedError(
            f"the backend calls its version {tag!r}",
            f"see that the image of deployment ml-pipeline is {least} or newer",
        )
    if (int(found[1]), int(found[2])) < OLDEST_BACKEND:
        fix = f"upgrade Kubeflow Pipelines to {least} or newer"
        raise HealthError(f"version {tag}: before {least} loops under an exit handler hang", fix)
    return tag


def check_clock(health: Health) -> str:
    """Checks that this machine and the cluster agree on the time."""
    given = health.answer.getheader("Date")
    if not given:
        raise NotCheckedError("the KFP API names no date in its answer", "compare `date -u` here and in a pod")
    off = (health.at - email.utils.parsedate_to_datetime(given)).total_seconds()
    if abs(off) > LARGEST_SKEW_SECONDS:
        fix = "synchronise the clock that is wrong (NTP): S3 refuses requests that are 15 minutes off"
        raise HealthError(f"this machine is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the KFP API", fix)
    return f"within {max(abs(off), 1):.0f} s of the KFP API's"


def check_mlflow(line: str) -> str:
    """Checks that MLflow takes an artifact, gives it back and removes it."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise NotCheckedError(
            "MLFLOW_TRACKING_URI is not set here", "set it to the address that this machine reaches MLflow at"
        )
    check(line)
    return f"{masked(uri())} keeps artifacts and gives them back"


def check_bucket(checkpoints: str) -> str:
    """Checks that a checkpoint can be written, read, listed and removed."""
    if not checkpoints:
        raise NotCheckedError(
            "checkpoints is not set in the config", "give --config FILE, or --set checkpoints=s3://..."
        )
    where = masked(checkpoints)
    try:
        storage.probe(checkpoints)
    except OSError as error:
        raise HealthError(
            f"{where}: {error.strerror or error}", "give a URI, or a folder that can be written"
        ) from None
    except FinestError as error:
        found = causes.find(error)
        if found.kind == "other":  # the store answered, and its answer is the cause
            cause, _, fix = str(error).partition("; ")
            asked = f" (asked: {_asked()})" if checkpoints.startswith("s3://") else ""
            raise HealthError(cause + asked, fix) from None
        variable = "AWS_ENDPOINT_URL" if checkpoints.startswith("s3://") else "its address"
        if found.kind in ELSEWHERE:
            fix = (
                "the store may be one that only the cluster reaches, and preflight asks it from there; if not, "
                f"see {variable}"
            )
            raise NotCheckedError(f"{where}: {found.words}", fix) from None
        raise HealthError(f"{where}: {found.words}", f"see {variable} and the network") from None
    return f"{where} can be written, read, listed and deleted from here"


def _asked() -> str:
    """Returns host and port of the object store."""
    return causes.host_and_port(
        os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "https://s3.amazonaws.com"
    )


def check_compiled(config: Config, compiled: Path) -> str:
    """Checks that the compiled pipeline can run the config."""
    values = parameters.given(config, compiled)
    return f"{compiled} can run this config; {len(values)} parameters differ from its defaults"


def check_image(cluster: Callable[[], kube.Kube], name: str, namespace: str, account: str) -> str:
    """Checks that nodes can get the image: it is there already, or the registry gives it to the steps' account."""
    try:
        logins, whose = kube.pull_logins(cluster(), namespace, account), ""
    except NotCheckedError as unknown:
        logins, whose = images.docker_logins(), f" (this machine's, not {account}'s: {unknown.why})"
    try:
        already = kube.on_nodes(cluster(), name)
        there = f"{already} nodes have it"
    except NotCheckedError:
        already, there = 0, "which nodes have it is not known"
    if images.parse(name) is None:
        if already:
            return f"{name}: {there}"
        raise HealthError(
            f"{name} names no registry, and {there}", "compile with --image REGISTRY/REPOSITORY@sha256:..."
        )
    return f"{name}: {images.check_manifest(name, logins)}{whose}; {there}"


def check_schedule(client: Client, name: str) -> str:
    """Checks that exactly one recurring run of a name is on."""
    found = schedule.find(client, name)
    command = "`finest schedule --config FILE --cron '0 2 * * *'`"
    if not found:
        raise NotCheckedError(f"there is no schedule {name}", f"{command} makes it")
    if len(found) > 1:
        raise HealthError(f"{len(found)} recurring runs are called {name}", f"{command} leaves one")
    if found[0].mode != kfp.RecurringRunMode.ENABLE:
        raise HealthError(f"{name} is off", f"{command} turns it on")
    return found[0].description or f"{name} is on"
