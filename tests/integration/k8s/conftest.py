"""Rendered manifests, and an installation started from them on loopback: PostgreSQL, S3, MLflow behind a password."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from filelock import FileLock

from tests.integration.k8s.containers import Document, command, container, environment, find, pod_spec
from tests.integration.tracking.conftest import judged, manifest, model_folder, verdict  # noqa: F401 - fixtures
from tests.services import postgres
from tests.services.process import HOST, UnavailableError, answers, free_port, running

ROOT = Path(__file__).parents[3]
K8S = ROOT / "k8s"
OVERLAYS = ("dev", "prod", "gpu")
SECRETS = {
    "mlflow-database": {"username": postgres.USER, "password": postgres.PASSWORD},
    "mlflow-admin": {"username": "admin", "password": "the first admin's"},
    "mlflow-session": {"key": "of sessions"},
    "mlflow-user-pipeline": {"username": "pipeline", "password": "the password of the pipeline"},
    "mlflow-user-watch": {"username": "watch", "password": "the password of the watch"},
    "finest-s3": {"AWS_ACCESS_KEY_ID": "finest-test-key", "AWS_SECRET_ACCESS_KEY": "finest-test-secret"},
}
"""Of servers on loopback that hold nothing."""


@pytest.fixture(scope="session")
def tools() -> dict[str, Path]:
    """Paths of kubectl, kubernetes-validate and checkov."""
    with FileLock(ROOT / ".venv-k8s.lock"):
        done = subprocess.run(["bash", ROOT / "tests" / "k8s_tools.sh"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the tools of tests/k8s_tools.sh cannot be installed here: {done.stderr.strip()[-200:]}")
    return {
        "kubectl": ROOT / ".venv-k8s" / "bin" / "kubectl",
        "kubernetes-validate": ROOT / ".venv-k8s" / "bin" / "kubernetes-validate",
        "checkov": ROOT / ".venv-checkov" / "bin" / "checkov",
    }


@pytest.fixture(scope="session")
def rendered(tools: dict[str, Path]) -> Callable[[str], list[Document]]:
    """The documents of an overlay."""

    @cache
    def render(overlay: str) -> list[Document]:
        return kustomize(tools, K8S / "overlays" / overlay)

    return render


def kustomize(tools: dict[str, Path], folder: Path) -> list[Document]:
    """The documents that a kustomization makes."""
    done = subprocess.run([tools["kubectl"], "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@dataclass(frozen=True)
class Installation:
    """The dev overlay's services, where they listen here."""

    documents: list[Document]
    folder: Path
    endpoints: dict[str, str]
    """The overlay's ConfigMap, with addresses of this machine."""

    def run(self, workload: str, which: str, /, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs a container of a CronJob to its end; `more` replaces what its environment says."""
        with self.started(workload, which, **more) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    @contextmanager
    def started(
        self, workload: str, which: str, /, within: Sequence[str] = (), **more: str
    ) -> Iterator[subprocess.Popen[str]]:
        """The same, going on during a block and killed at its end.

        `within` is the start of a command that runs another.
        """
        one = container(self.documents, "CronJob", workload, which)
        variables = environment(one, self.endpoints, SECRETS) | {"HOME": str(self.folder)} | more
        line = command(one, variables, {"/scripts": str(K8S / "base" / "scripts")})
        line[:1] = {"python": [sys.executable], "mlflow": [sys.executable, "-m", "mlflow"]}.get(line[0], line[:1])
        with subprocess.Popen(
            [*within, *line],
            env=base_environment() | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def mounted(self, workload: str, folder: Path) -> Path:
        """The Secrets that a CronJob mounts, as files below `folder`."""
        spec = pod_spec(find(self.documents, "CronJob", workload)) or {}
        held = {
            volume["name"]: SECRETS[volume["secret"]["secretName"]] for volume in spec["volumes"] if "secret" in volume
        }
        for mount in spec["containers"][0]["volumeMounts"]:
            for name, value in held.get(mount["name"], {}).items():
                file = folder / mount["mountPath"].strip("/") / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(value)
        return folder

    def s3(self) -> Any:
        """A client of the object store."""
        keys = {name.lower(): value for name, value in SECRETS["finest-s3"].items()}
        return boto3.client(
            "s3", endpoint_url=self.endpoints["AWS_ENDPOINT_URL"], region_name=self.endpoints["AWS_REGION"], **keys
        )

    def with_database(self, name: str) -> "Installation":
        """The same with an empty database, and an empty place for artifacts."""
        one = replace(self, endpoints=self.endpoints | {"PGDATABASE": name, "ARTIFACTS": f"s3://finest-mlflow/{name}"})
        subprocess.run(["createdb", name], env=base_environment() | one.libpq(), check=True)
        return one

    def libpq(self) -> dict[str, str]:
        """What PostgreSQL's tools read."""
        login = SECRETS["mlflow-database"]
        return {name: value for name, value in self.endpoints.items() if name.startswith("PG")} | {
            "PGUSER": login["username"],
            "PGPASSWORD": login["password"],
        }

    @contextmanager
    def mlflow(self) -> Iterator[str]:
        """MLflow's server, started as its Deployment says; its URI."""
        one, port = container(self.documents, "Deployment", "mlflow", "mlflow"), free_port()
        variables = environment(one, self.endpoints, SECRETS) | {"HOME": str(self.folder)}
        variables["MLFLOW_AUTH_CONFIG_PATH"] = str(K8S / "base" / "basic_auth.ini")
        line = command(
            one,
            variables,
            {"--host=0.0.0.0": f"--host={HOST}", "--port=5000": f"--port={port}", "--workers=2": "--workers=1"},
        )
        with running(
            [sys.executable, "-m", *line],
            self.folder / f"mlflow-{port}.log",
            answers(f"http://{HOST}:{port}/health"),
            variables,
        ):
            yield f"http://{HOST}:{port}"


def base_environment() -> dict[str, str]:
    """Of a process here, with PostgreSQL's newest tools, the project's modules, and no settings for S3 or MLflow."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLFLOW_", "PG"))}
    tools = Path(postgres.tool("pg_dump")).parent
    return own | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="session")
def installation(
    rendered: Callable[[str], list[Document]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """PostgreSQL and the object store of the dev overlay."""
    documents, folder, port = rendered("dev"), tmp_path_factory.mktemp("installation"), free_port()
    rclone = Path(sys.executable).parent / "rclone"
    if not rclone.exists():
        pytest.skip("rclone is not installed (the dev extra brings it)")
    paths = {"/data": str(folder / "data"), "/tmp": str(folder), "addr=:9000": f"addr={HOST}:{port}"}
    subprocess.run(command(container(documents, "StatefulSet", "s3", "buckets"), {}, paths), check=True)
    server = container(documents, "StatefulSet", "s3", "s3")
    variables = environment(server, {}, SECRETS)
    line = [str(rclone), *command(server, variables, paths)[1:]]
    try:
        with (
            postgres.serve() as database,
            running(line, folder / "s3.log", answers(f"http://{HOST}:{port}"), variables),
        ):
            here = {"PGHOST": HOST, "PGPORT": str(database.port), "AWS_ENDPOINT_URL": f"http://{HOST}:{port}"}
            yield Installation(documents, folder, find(documents, "ConfigMap", "endpoints")["data"] | here)
    except UnavailableError as why:
        pytest.skip(str(why))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
