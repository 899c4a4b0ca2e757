"""Jobs may start before their network is open, or before their servers run.

They wait and say so, and end with the cause that they saw.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.k8s.conftest import Installation, base_environment
from tests.integration.k8s.containers import find
from tests.services import faults
from tests.services.fixtures import skipped_where_unavailable
from tests.services.pod import Pod, network_of_its_own
from tests.services.process import HOST, free_port
from tests.services.relay import opened

CALLS = {
    ("backup", "dump"): "database",
    ("backup", "upload"): "store",
    ("backup", "artifacts"): "store",
    ("restore", "download"): "store",
    ("restore", "artifacts"): "store",
    ("restore", "restore"): "database",
    ("migrate", "database"): "database",
    ("users", "users"): "mlflow",
}
"""Whom a container of a job calls first."""
NAMES = ("postgres.finest.svc", "s3.finest.svc", "mlflow.finest.svc")
"""Of the overlay's servers."""


def address(said: Mapping[str, str], server: str) -> tuple[str, int]:
    """Host and port of a server, as a ConfigMap of addresses says."""
    uri = {
        "database": f"//{said['PGHOST']}:{said['PGPORT']}",
        "store": said["AWS_ENDPOINT_URL"],
        "mlflow": said["MLFLOW_TRACKING_URI"],
    }
    parts = urlsplit(uri[server])
    return str(parts.hostname), int(parts.port or 0)


def at(host: str, port: int) -> dict[str, str]:
    """What tells a job that all its servers are at one address."""
    url = f"http://{host}:{port}"
    return {"PGHOST": host, "PGPORT": str(port), "AWS_ENDPOINT_URL": url, "MLFLOW_TRACKING_URI": url}


@pytest.fixture(scope="module")
def place(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A database of one table with a backup of it, in the store and in the folder `dump`, and MLflow."""
    folder, one = tmp_path_factory.mktemp("place"), installation.with_database("patient")
    one = replace(one, folder=folder, endpoints=one.endpoints | {"BACKUP": "s3://finest-backup/patient"})
    subprocess.run(["psql", "-qc", "create table t as select 1 as a"], env=base_environment() | one.libpq(), check=True)
    (folder / "dump").mkdir()
    for which in ("dump", "upload"):
        done = one.run("backup", which, FOLDER=str(folder / "dump"))
        assert done.returncode == 0, done.stderr
    with one.with_database("patient_mlflow").mlflow() as uri:
        yield replace(one, endpoints=one.endpoints | {"MLFLOW_TRACKING_URI": uri})


@pytest.fixture
def files(place: Installation, tmp_path: Path) -> dict[str, str]:
    """What a container finds in its folders, as variables: a dump, and the users of the Secrets."""
    shutil.copytree(place.folder / "dump", tmp_path / "dump")
    return {"FOLDER": str(tmp_path / "dump"), "USERS": str(place.mounted("users", tmp_path) / "users")}


def first_line(job: subprocess.Popen[str]) -> str:
    """What a job says before it goes on."""
    assert job.stdout
    line = job.stdout.readline()
    assert line.startswith("waiting up to 120 s for "), job.communicate()
    return line


def ends_well(job: subprocess.Popen[str]) -> None:
    output, errors = job.communicate(timeout=600)
    assert job.returncode == 0 and "waiting" not in output + errors, errors


@pytest.mark.parametrize("call", CALLS)
def test_a_job_waits_for_a_server_that_comes_later_and_says_so_once(
    place: Installation, files: dict[str, str], call: tuple[str, str]
) -> None:
    port = free_port()
    target = (
        {"PGDATABASE": place.with_database(f"later_{port}").endpoints["PGDATABASE"]}
        if call == ("restore", "restore")
        else {}
    )
    with place.started(*call, **files, **target, **at(HOST, port)) as job:
        line = first_line(job)
        assert HOST in line and str(port) in line and "Connection refused" in line
        time.sleep(2)
        assert job.poll() is None
        with opened((HOST, port), address(place.endpoints, CALLS[call])):
            ends_well(job)


@pytest.mark.parametrize("call", CALLS)
def test_a_job_does_not_wait_for_ever_and_names_address_and_cause(
    place: Installation, files: dict[str, str], call: tuple[str, str]
) -> None:
    port, started = free_port(), time.monotonic()
    done = place.run(*call, **files, **at(HOST, port), FINEST_PATIENCE_SECONDS="2")
    assert done.returncode == 1 and 1 <= time.monotonic() - started < 100  # a shell counts whole seconds
    assert len(done.stdout.splitlines()) == len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ") and "within 2 s" in done.stderr and "Connection refused" in done.stderr
    assert HOST in done.stderr and str(port) in done.stderr


@pytest.mark.parametrize("call", [("backup", "dump"), ("backup", "upload"), ("users", "users")])
def test_a_name_that_does_not_resolve_is_said(
    place: Installation, files: dict[str, str], call: tuple[str, str]
) -> None:
    done = place.run(*call, **files, **at("no-such-name.invalid", 9000), FINEST_PATIENCE_SECONDS="1")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "no-such-name.invalid" in done.stderr and "name" in done.stderr.replace("no-such-name", "").lower()


def test_a_job_without_patience_does_not_wait_and_a_patience_that_is_none_is_said(
    place: Installation, files: dict[str, str]
) -> None:
    for call in (("backup", "dump"), ("backup", "upload")):
        done = place.run(*call, **files, **at(HOST, free_port()), FINEST_PATIENCE_SECONDS="0")
        assert (done.returncode, done.stdout) == (1, "") and "within 0 s" in done.stderr
        done = place.run(*call, **files, FINEST_PATIENCE_SECONDS="2 min")
        assert (done.returncode, done.stderr) == (
            1,
            "error: FINEST_PATIENCE_SECONDS is '2 min'; write whole seconds, like 120\n",
        )


@pytest.mark.parametrize(
    ("call", "change", "says"),
    [
        (("backup", "dump"), {"PGPASSWORD": "wrong"}, "password authentication failed"),
        (("backup", "dump"), {"PGDATABASE": "none"}, 'database "none" does not exist'),
        (("backup", "dump"), {"PGSSLMODE": "require"}, "server does not support SSL"),
        (("restore", "restore"), {"PGPASSWORD": "wrong"}, "password authentication failed"),
        (("migrate", "database"), {"PGPASSWORD": "wrong"}, "password authentication failed"),
        (("backup", "upload"), {"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        (("backup", "upload"), {"BACKUP": "s3://no-such-bucket/x"}, "NoSuchBucket"),
        (("backup", "artifacts"), {"ARTIFACTS": "s3://no-such-bucket/x"}, "NoSuchBucket"),
        (("users", "users"), {"MLFLOW_TRACKING_PASSWORD": "wrong"}, "401"),
    ],
)
def test_a_server_that_refuses_is_not_waited_for(
    place: Installation, files: dict[str, str], call: tuple[str, str], change: dict[str, str], says: str
) -> None:
    done = place.run(*call, **files | change)
    assert done.returncode == 1 and "waiting" not in done.stdout + done.stderr
    assert says in done.stderr and "Traceback" not in done.stderr


def test_a_proxy_that_answers_for_a_server_that_is_away_is_waited_for(
    place: Installation, files: dict[str, str]
) -> None:
    with faults.before(place.endpoints["AWS_ENDPOINT_URL"]) as mesh:
        mesh.fault = lambda request: faults.Refusal(503, "Unavailable") if len(mesh.seen) < 3 else None
        done = place.run("backup", "upload", **files | {"AWS_ENDPOINT_URL": mesh.endpoint})
    assert (
        done.returncode == 0
        and done.stdout.splitlines()[0] == f"waiting up to 120 s for {mesh.endpoint}: 503 Service Unavailable"
    )


def test_a_server_without_a_certificate_is_not_waited_for(place: Installation, files: dict[str, str]) -> None:
    started = time.monotonic()
    done = place.run(
        "backup", "upload", **files | {"AWS_ENDPOINT_URL": place.endpoints["AWS_ENDPOINT_URL"].replace("http", "https")}
    )
    assert done.returncode == 1 and "SSL" in done.stderr and "Traceback" not in done.stderr
    assert "waiting" not in done.stdout and time.monotonic() - started < 60


@pytest.fixture
def pod(place: Installation) -> Iterator[Pod]:
    """A pod for which the servers are where the overlay says, once it knows their names."""
    where = find(place.documents, "ConfigMap", "endpoints")["data"]
    with skipped_where_unavailable(), network_of_its_own() as one, ExitStack() as ways:
        for server in ("database", "store", "mlflow"):
            ways.enter_context(opened((one.host, address(where, server)[1]), address(place.endpoints, server)))
        yield one


def as_in_the_cluster(place: Installation) -> Installation:
    """The same, with the addresses of the overlay."""
    where = find(place.documents, "ConfigMap", "endpoints")["data"]
    return replace(place, endpoints=where | {name: place.endpoints[name] for name in ("PGDATABASE", "BACKUP")})


@pytest.mark.parametrize(
    ("call", "closed", "says"),
    [
        (("backup", "dump"), "REJECT", "Connection refused"),
        (("backup", "dump"), "DROP", "timeout expired"),
        (("backup", "upload"), "REJECT", "Connection refused"),
        (("restore", "download"), "DROP", "timed out"),
        (("users", "users"), "DROP", "timed out"),
    ],
)
def test_a_pod_whose_policies_open_late(
    place: Installation, files: dict[str, str], pod: Pod, call: tuple[str, str], closed: str, says: str
) -> None:
    pod.know(*NAMES)
    pod.close(closed)
    with as_in_the_cluster(place).started(*call, pod.within, **files) as job:
        line = first_line(job)
        assert any(name in line for name in NAMES) and says in line
        pod.open()
        ends_well(job)


@pytest.mark.parametrize("call", [("backup", "dump"), ("backup", "upload")])
def test_a_pod_that_finds_names_late(
    place: Installation, files: dict[str, str], pod: Pod, call: tuple[str, str]
) -> None:
    with as_in_the_cluster(place).started(*call, pod.within, **files) as job:
        line = first_line(job)
        assert any(name in line for name in NAMES) and "name resolution" in line
        pod.know(*NAMES)
        ends_well(job)


def test_the_watch_waits_for_mlflow(place: Installation, files: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("finest.patience", reason="the commands do not wait for MLflow")
    assert place.run("users", "users", **files).returncode == 0
    port = free_port()
    with place.started("watch", "watch", FINEST_STATE=str(tmp_path), **at(HOST, port)) as job:
        time.sleep(8)  # its start takes some seconds
        assert job.poll() is None
        with opened((HOST, port), address(place.endpoints, "mlflow")):
            _, errors = job.communicate(timeout=600)
    assert job.returncode == 1 and errors.splitlines()[-1].startswith("error: no run has a verdict yet")
