"""The services as fixtures of all tests. One that cannot exist here skips its tests and says why."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.services import aws, azurite, faults, gcs, mlflow_server, postgres, s3
from tests.services.outage import Installation, installed
from tests.services.process import UnavailableError


@contextmanager
def skipped_where_unavailable() -> Iterator[None]:
    """Turns the want of a service into a skip."""
    try:
        yield
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """A server of the whole session; its environment is to be handed to processes."""
    with skipped_where_unavailable(), s3.serve(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3_server: s3.S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, on the server that this process uses during the test."""
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_MAX_ATTEMPTS",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server.bucket(f"test-{secrets.token_hex(4)}")


@pytest.fixture
def faulty(s3_server: s3.S3, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[faults.Faulty]:
    """The same through a proxy that can be told to fail; requests are tried twice."""
    with faults.before(s3_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        yield proxy


@pytest.fixture(scope="session", params=[gcs, azurite], ids=["gs", "abfs"])
def emulator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[gcs.Emulator]:
    """Runs emulators of Google Cloud Storage and of Azure Blob Storage, one after the other."""
    with skipped_where_unavailable(), request.param.serve(tmp_path_factory.mktemp("emulator")) as server:
        yield server


@pytest.fixture
def container(emulator: gcs.Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """Makes a new bucket, or container, on the emulator that this process uses during the test. Returns its URI."""
    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("storage.objects.azure.RETRIES", 1)
    emulator.filesystem().create_dir(name := f"test-{secrets.token_hex(4)}")
    return f"{emulator.scheme}://{name}"


@pytest.fixture
def faulty_emulator(emulator: gcs.Emulator, container: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[faults.Faulty]:
    """Yields a proxy before the emulator, which can be told to fail."""
    with faults.before(emulator.endpoint) as proxy:
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value.replace(emulator.endpoint.partition("/dev")[0], proxy.endpoint))
        yield proxy


@pytest.fixture(scope="session")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Endpoint of AWS's services, as moto plays them."""
    with aws.serve(tmp_path_factory.mktemp("aws")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def database() -> Iterator[postgres.Database]:
    """A PostgreSQL server."""
    with skipped_where_unavailable(), postgres.serve() as server:
        yield server


@pytest.fixture(scope="session")
def shared_mlflow(
    tmp_path_factory: pytest.TempPathFactory, database: postgres.Database, s3_server: s3.S3
) -> Iterator[str]:
    """Tracking URI of an MLflow server on PostgreSQL and S3."""
    with mlflow_server.serve(tmp_path_factory.mktemp("mlflow"), database, s3_server) as uri:
        yield uri


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """S3, PostgreSQL and MLflow's server, which a test may end and start again."""
    with skipped_where_unavailable(), installed(tmp_path_factory.mktemp("installation")) as made:
        yield made
