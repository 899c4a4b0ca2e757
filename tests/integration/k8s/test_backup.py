"""MLflow as the manifests start it, its users, its backups, and its restore into an empty server.

The scripts are the very ones of the cluster.
"""

import json
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.canaries import in_process
from tests.integration.k8s.conftest import SECRETS, Installation, base_environment
from tracking import promotion, registry, runs
from tracking.promotion import Before, Judged

NAME = "finest-backup-test"
HISTORIES = [["i001", "i002", "i003"], ["i004"], ["i005", "i001"]]


@pytest.fixture
def served(installation: Installation, tmp_path: Path) -> Iterator[tuple[Installation, str]]:
    """A server on an empty database, with the users of the Secrets."""
    with installation.with_database("first").mlflow() as uri:
        first = replace(
            installation,
            endpoints=installation.endpoints | {"PGDATABASE": "first", "ARTIFACTS": "s3://finest-mlflow/first"},
        )
        made = first.run(
            "users", "users", MLFLOW_TRACKING_URI=uri, USERS=str(first.mounted("users", tmp_path) / "users")
        )
        assert (made.returncode, made.stdout.split("\n")[:2]) == (0, ["created pipeline", "created watch"]), made.stderr
        yield first, uri


def use(monkeypatch: pytest.MonkeyPatch, uri: str, user: str, tmp_path: Path) -> None:
    """This process becomes a user's client."""
    login = {name: SECRETS[f"mlflow-user-{user}"][name.lower()] for name in ("USERNAME", "PASSWORD")}
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    more = {"MLFLOW_TRACKING_URI": uri, "FINEST_STATE": str(tmp_path / "state"), "KFP_RUN_ID": "run-1"}
    for name, value in {**more, **{f"MLFLOW_TRACKING_{name}": value for name, value in login.items()}}.items():
        monkeypatch.setenv(name, value)


def served_lists(uri: str) -> list[list[str]]:
    """What the champion that a server has recommends."""
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    return [list(items) for items in model.predict(pd.DataFrame({"history": HISTORIES, "k": 5}))["items"]]


def status(
    uri: str,
    user: str,
    password: str,
    path: str = "experiments/search?max_results=1",
    data: dict[str, str] | None = None,
    method: str = "",
) -> int:
    """How the server answers a user."""
    head = {
        "Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}",
        "Content-Type": "application/json",
    }
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(f"{uri}/api/2.0/mlflow/{path}", body, head if user else {}, method=method or None)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def login(secret: dict[str, str]) -> tuple[str, str]:
    return secret["username"], secret["password"]


def test_a_champion_comes_back_from_a_backup_into_an_empty_server_and_recommends_the_same(
    served: tuple[Installation, str],
    judged: Callable[..., Judged],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    first, uri = served
    use(monkeypatch, uri, "pipeline", tmp_path)
    runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    found = judged(3)
    with runs.step_run("promote") as run:
        promotion.promote(run, NAME, found, Before("", 0), in_process)
    before = served_lists(uri)

    watch = SECRETS["mlflow-user-watch"]
    assert status(uri, "watch", watch["password"]) == 200
    assert status(uri, "", "") == 401 and status(uri, "watch", "wrong") == 401
    change = {"name": NAME, "key": "x", "value": "y"}
    assert status(uri, "watch", watch["password"], "registered-models/set-tag", change) == 403
    admin, renewed = SECRETS["mlflow-admin"], {"username": "admin", "password": "another one of the admin"}
    change = renewed | {"current_password": admin["password"]}
    assert status(uri, *login(admin), path="users/update-password", data=change, method="PATCH") == 200
    assert status(uri, *login(renewed)) == 200

    backup = tmp_path / "backup"
    backup.mkdir()
    said = []
    for step in ("dump", "upload", "artifacts"):
        done = first.run("backup", step, FOLDER=str(backup))
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0].startswith("dumped first") and "sha256" in said[1] and "copied 0" not in said[2]
    full = tmp_path / "full"
    full.mkdir()
    assert first.run("restore", "download", FOLDER=str(full)).returncode == 0
    refused = first.run("restore", "restore", FOLDER=str(full))
    assert refused.returncode == 1 and "restore into an empty database" in refused.stderr

    second = first.with_database("second")
    restored = tmp_path / "restored"
    restored.mkdir()
    for step in ("download", "artifacts", "restore"):
        done = second.run("restore", step, FOLDER=str(restored))
        assert done.returncode == 0, done.stderr
    migrated = second.run("migrate", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    s3 = first.s3()  # what the first server kept goes
    kept = s3.list_objects_v2(Bucket="finest-mlflow", Prefix="first/")["Contents"]
    s3.delete_objects(Bucket="finest-mlflow", Delete={"Objects": [{"Key": one["Key"]} for one in kept]})
    with second.mlflow() as again:
        use(monkeypatch, again, "pipeline", tmp_path)
        champion = registry.champion(NAME)
        assert champion is not None and champion.kfp_run_id == "run-1"
        assert served_lists(again) == before == [list(row[:5]) for row in found.sample.items]


def dump(installation: Installation, folder: Path) -> Path:
    """A dump of a small database; the tests of this file that need no MLflow use it."""
    folder.mkdir()
    done = installation.run("backup", "dump", FOLDER=str(folder))
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.dump"))


@pytest.fixture(scope="module")
def small(installation: Installation) -> Installation:
    """A database of one table, and a place for backups of its own."""
    one = installation.with_database("small")
    one = replace(one, endpoints=one.endpoints | {"BACKUP": "s3://finest-backup/small"})
    subprocess.run(["psql", "-qc", "create table t as select 1 as a"], env=base_environment() | one.libpq(), check=True)
    return one


def test_an_empty_database_is_no_backup(installation: Installation, tmp_path: Path) -> None:
    done = installation.with_database("empty").run("backup", "dump", FOLDER=str(tmp_path))
    assert done.returncode == 1 and done.stderr.startswith("error: empty at 127.0.0.1 has no tables to back up")
    assert [*tmp_path.glob("*.dump")] == []


def test_a_dump_that_changed_on_its_way_is_not_restored(small: Installation, tmp_path: Path) -> None:
    file = dump(small, tmp_path / "backup")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    target = small.with_database("target")
    done = target.run("restore", "restore", FOLDER=str(file.parent))
    assert done.returncode == 1 and "FAILED" in done.stdout + done.stderr
    count = ["psql", "-tAc", "select count(*) from information_schema.tables where table_schema = 'public'"]
    assert (
        subprocess.run(count, env=base_environment() | target.libpq(), capture_output=True, text=True).stdout.strip()
        == "0"
    )


def test_old_dumps_go_but_never_the_last_seven(small: Installation, tmp_path: Path) -> None:
    folder, place = (
        tmp_path / "backup",
        replace(small, endpoints=small.endpoints | {"BACKUP": "s3://finest-backup/many"}),
    )
    dump(place, folder)
    s3 = place.s3()
    for year in range(2011, 2021):
        for ending in (".dump", ".dump.sha256"):
            s3.put_object(Bucket="finest-backup", Key=f"many/database/mlflow-{year}0101T000000Z{ending}", Body=b"x")
    done = place.run("backup", "upload", FOLDER=str(folder))
    assert done.returncode == 0 and done.stdout.count("removed") == 4, done.stdout + done.stderr
    kept = place.run("backup", "upload", FOLDER=str(tmp_path)), place.run("restore", "download", FOLDER=str(tmp_path))
    assert [one.returncode for one in kept] == [0, 0]
    assert next(tmp_path.glob("*.dump")).name == next(folder.glob("*.dump")).name  # the newest
    entries = s3.list_objects_v2(Bucket="finest-backup", Prefix="many/database/")["Contents"]
    assert len(entries) == 14


def test_a_dump_that_is_not_there_is_said_with_those_that_are(small: Installation, tmp_path: Path) -> None:
    place = replace(small, endpoints=small.endpoints | {"BACKUP": "s3://finest-backup/nothing"})
    none = place.run("restore", "download", FOLDER=str(tmp_path))
    assert (none.returncode, none.stderr.strip()) == (
        1,
        "error: s3://finest-backup/nothing/database/ has no complete dump; it has: none",
    )
    folder = tmp_path / "backup"
    dump(small, folder)
    assert small.run("backup", "upload", FOLDER=str(folder)).returncode == 0
    missing = small.run("restore", "download", FOLDER=str(tmp_path), DUMP="mlflow-19990101T000000Z.dump")
    assert missing.returncode == 1 and next(folder.glob("*.dump")).name in missing.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"BACKUP": "s3://no-such-bucket/x"}, "NoSuchBucket"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
    ],
)
def test_a_store_that_refuses_is_one_line(
    small: Installation, tmp_path: Path, change: dict[str, str], says: str
) -> None:
    done = small.run("restore", "download", FOLDER=str(tmp_path), **change)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: s3://") and says in done.stderr
