"""Sources on Google Cloud Storage and Azure Blob Storage give the same data set as a folder.

There is one line for all that can be refused.
"""

import sys
from pathlib import Path

import pyarrow.fs as pafs
import pytest

import storage.objects
from finest.data.config import Ingest
from finest.data.ingest import ingest
from finest.errors import ConfigError, DataError, FinestError, UnavailableError
from storage import listing_hash, resolve
from storage.objects import azure, gcs
from tests.builders import write_walks
from tests.services.faults import Faulty, Refusal
from tests.services.gcs import Emulator

CONFIG = Ingest.model_validate({"evaluation": {"depth": 20, "exclude_seen": False}})


def upload(emulator: Emulator, container: str, name: str, content: bytes) -> None:
    path = f"{container.partition('://')[2]}/{name}"
    if emulator.scheme == "abfs":
        emulator.filesystem().create_dir(path.rpartition("/")[0], recursive=True)
    with emulator.filesystem().open_output_stream(path) as file:
        file.write(content)


def one_line(uri: str, kind: type[FinestError] = FinestError) -> str:
    with pytest.raises(kind) as error:
        resolve(uri)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_and_a_folder_are_the_same_data_set_as_on_this_machine(
    emulator: Emulator, container: str, tmp_path: Path
) -> None:
    local = write_walks(tmp_path / "rows.csv", users=20, items=60)
    rows = local.read_bytes().splitlines(keepends=True)
    upload(emulator, container, "one/my rows [1].csv", local.read_bytes())
    upload(emulator, container, "many/dt=2024-01-01/a.csv", b"".join(rows[:200]))
    upload(emulator, container, "many/dt=2024-01-02/b.csv", rows[0] + b"".join(rows[200:]))
    upload(emulator, container, "many/_SUCCESS", b"")
    upload(emulator, container, "many/_logs/c.csv", b"no data")
    there = resolve(f"{container}/many")
    assert [file.path.removeprefix(there.root) for file in there.files] == [
        "/dt=2024-01-01/a.csv",
        "/dt=2024-01-02/b.csv",
    ]
    here = resolve(str(local))
    expected = ingest(here.filesystem, here.files, CONFIG, tmp_path / "local").fingerprint
    for number, uri in enumerate((f"{container}/one/my rows [1].csv", f"{container}/one/", f"{container}/many")):
        source = resolve(uri)
        assert ingest(source.filesystem, source.files, CONFIG, tmp_path / str(number)).fingerprint == expected


def test_the_listing_hash_changes_with_an_object(emulator: Emulator, container: str) -> None:
    upload(emulator, container, "data/a.csv", b"12345")
    first = listing_hash(resolve(f"{container}/data"))
    assert first == listing_hash(resolve(f"{container}/data/"))
    upload(emulator, container, "data/_marker", b"x")
    assert first == listing_hash(resolve(f"{container}/data"))
    upload(emulator, container, "data/a.csv", b"123456")
    assert first != listing_hash(resolve(f"{container}/data"))


def test_nothing_there_is_one_line(emulator: Emulator, container: str) -> None:
    upload(emulator, container, "data2/a.csv", b"x")
    for name in ("data", "data/", "data2/b.csv"):
        assert one_line(f"{container}/{name}", DataError) == f"{container}/{name}: no files lie there"


def test_without_the_bucket(emulator: Emulator, container: str) -> None:
    kind = {"gs": "bucket", "abfs": "container"}[emulator.scheme]
    text = one_line(f"{emulator.scheme}://no-such-place/data")
    assert f"there is no {kind} no-such-place on {emulator.endpoint.partition('/dev')[0]}; check the name" in text


def test_with_what_is_no_name_of_a_bucket(emulator: Emulator) -> None:
    text = one_line(f"{emulator.scheme}://key:hunter2@bucket/data", ConfigError)
    assert "hunter2" not in text and "that is no name of a" in text


def test_a_server_that_is_not_there(emulator: Emulator, container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 1)
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value.replace(emulator.endpoint.partition("/dev")[0], "http://127.0.0.1:9"))
    text = one_line(f"{container}/data", UnavailableError)
    assert "http://127.0.0.1:9" in text and "cannot be reached (" in text and "through all retries" in text


REFUSALS = {
    "gs": [
        (Refusal(401, "x"), "does not accept the credentials (UNAUTHENTICATED)"),
        (Refusal(403, "x"), "access denied (ListObjects); the credentials need the role roles/storage.objectUser"),
        (Refusal(503, "x"), "is too busy (UNAVAILABLE), and stayed so through all retries"),
    ],
    "abfs": [
        (
            Refusal(401, "InvalidAuthenticationInfo", headers={"x-ms-error-code": "InvalidAuthenticationInfo"}),
            "does not accept the credentials (InvalidAuthenticationInfo)",
        ),
        (
            Refusal(
                403, "AuthorizationPermissionMismatch", headers={"x-ms-error-code": "AuthorizationPermissionMismatch"}
            ),
            "access denied (AuthorizationPermissionMismatch)",
        ),
        (
            Refusal(503, "ServerBusy", headers={"x-ms-error-code": "ServerBusy"}),
            "is too busy (ServerBusy), and stayed so through all retries",
        ),
    ],
}


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_refusal_is_one_line_before_anything_is_read(
    emulator: Emulator, container: str, faulty_emulator: Faulty, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 1)
    upload(emulator, container, "data/a.csv", b"x")
    refusal, says = REFUSALS[emulator.scheme][which]
    faulty_emulator.fault = lambda request: refusal
    assert says in one_line(f"{container}/data")
    assert faulty_emulator.seen


def test_google_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    text = one_line("gs://some-bucket/data")
    assert "no credentials for Google Cloud Storage can be had (the file that GOOGLE_APPLICATION_CREDENTIALS" in text
    (tmp_path / "missing.json").write_text('{"private_key": "hunter2"}')
    text = one_line("gs://some-bucket/data")
    assert "names holds none" in text and "hunter2" not in text


def test_google_where_nothing_gives_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gcs, "RETRY_SECONDS", 1)
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    text = one_line("gs://some-bucket/data")
    assert "none are set, and no metadata server gives them); set GOOGLE_APPLICATION_CREDENTIALS" in text


@pytest.fixture
def no_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "RETRIES", 1)
    for name in ("CONNECTION_STRING", "ACCOUNT", "KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


def test_azure_without_an_account_or_credentials(no_azure: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no Azure storage account is given" in one_line("abfs://data/rows", ConfigError)
    assert "AZURE_STORAGE_KEY" in one_line("abfss://data@nobody0.dfs.core.windows.net/rows")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "somebody")
    assert "are for the account somebody" in one_line("abfs://data@nobody0.dfs.core.windows.net/rows", ConfigError)


def test_azure_with_a_signature_or_a_key_that_is_wrong_shows_neither(
    no_azure: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.services import azurite
    from tests.services.fixtures import skipped_where_unavailable

    with skipped_where_unavailable(), azurite.serve(tmp_path) as server:
        server.filesystem().create_dir("data")
        base = f"DefaultEndpointsProtocol=http;AccountName={azurite.ACCOUNT};BlobEndpoint={server.endpoint};"
        for secret in ("SharedAccessSignature=?sv=2020-01-01&sig=aHVudGVyMg", "AccountKey=aHVudGVyMg=="):
            monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", base + secret)
            text = one_line("abfs://data/rows")
            assert "does not accept the credentials (AuthorizationFailure)" in text and "aHVudGVyMg" not in text


def test_without_what_reads_it_the_package_is_said(no_azure: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pafs, "GcsFileSystem")
    assert "pip install pyarrow" in one_line("gs://bucket/data", ConfigError)
    monkeypatch.delitem(sys.modules, "storage.objects.blobs", raising=False)
    monkeypatch.delattr(storage.objects, "blobs", raising=False)
    monkeypatch.setitem(sys.modules, "azure", None)
    for name in [name for name in sys.modules if name.startswith("azure.")]:
        monkeypatch.delitem(sys.modules, name)
    assert one_line("abfs://container/data", ConfigError).endswith("pip install 'finest[azure]'")
