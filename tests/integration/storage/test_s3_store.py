"""Checkpoints on a real S3 server: what the store promises, with several writers and with transfers that break off."""

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finest.errors import ConfigError, FinestError
from finest.training.store import Store
from storage import checkpoint_store
from tests.services.faults import CutOff, Faulty, Refusal, Request
from tests.services.s3 import S3, SECRET

ROOT = Path(__file__).parents[3]
MEGABYTE = 1 << 20


def blob(folder: Path, content: bytes) -> Path:
    file = folder / "blob"
    file.write_bytes(content)
    return file


def read(store: Store, name: str, folder: Path) -> bytes | None:
    file = folder / "got"
    file.unlink(missing_ok=True)
    return file.read_bytes() if store.get(name, file) else None


def test_what_was_put_last_is_got_and_nothing_else_is_left(s3_server: S3, bucket: str, tmp_path: Path) -> None:
    store = checkpoint_store(f"s3://{bucket}/some/prefix")
    assert read(store, "k/clean", tmp_path) is None and store.list("") == []
    for content in (b"old", b"newer", b"newest"):
        store.put("k/clean", blob(tmp_path, content))
    store.put("k/clean-2", Path(os.devnull))
    assert read(store, "k/clean", tmp_path) == b"newest" and read(store, "k/clean-2", tmp_path) == b""
    assert (
        store.list("k/") == ["k/clean", "k/clean-2"]
        and store.list("k/clean-") == ["k/clean-2"]
        and store.list("q") == []
    )
    assert len([path for path in (s3_server.root / bucket / "some/prefix").rglob("*") if path.is_file()]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"blob", "got"}
    store.delete("k/clean-")
    assert store.list("") == ["k/clean"]
    store.delete("k/clean/")  # no name starts with it
    assert store.list("") == ["k/clean"]
    store.delete("")
    store.delete("")
    assert store.list("") == []


def test_a_store_travels_as_its_uri_and_each_process_finds_its_credentials(bucket: str, tmp_path: Path) -> None:
    store = checkpoint_store(f"s3://{bucket}/p")
    store.put("a", blob(tmp_path, b"content"))
    packed = pickle.dumps(store)
    assert SECRET.encode() not in packed and pickle.loads(packed) == store  # noqa: S301 - our own
    (tmp_path / "packed").write_bytes(packed)
    code = (
        "import pickle, sys; from pathlib import Path; "
        "pickle.loads(Path(sys.argv[1]).read_bytes()).get('a', Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "packed"), str(tmp_path / "there")]
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "there").read_bytes() == b"content"
    nobody = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_ACCESS", "AWS_SECRET"))}
    refused = subprocess.run(command, cwd=ROOT, env=nobody, capture_output=True, text=True)
    assert refused.returncode == 1 and "no AWS credentials found" in refused.stderr.splitlines()[-1]


WRITER = """
import pathlib, sys, time
from storage import checkpoint_store
store, file = checkpoint_store(sys.argv[1]), pathlib.Path(sys.argv[2])
for number in range(6):
    file.write_bytes(f"{sys.argv[3]} {number:02d};".encode() * 20_000)
    store.put("clean", file)
    time.sleep(0.1)  # a reader on a busy machine needs time to see it
"""


def test_two_writers_of_one_name_never_leave_a_reader_with_a_part_or_with_nothing(
    s3_server: S3, bucket: str, tmp_path: Path
) -> None:
    uri = f"s3://{bucket}/p"
    store = checkpoint_store(uri)
    store.put("clean", blob(tmp_path, b"first;"))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, uri, str(tmp_path / name), name], cwd=ROOT, env=dict(os.environ)
        )
        for name in "ab"
    ]
    seen = set()
    while any(process.poll() is None for process in writers):
        time.sleep(0.02)
        content = read(store, "clean", tmp_path)
        assert content is not None
        versions = set(content.split(b";")) - {b""}
        assert len(versions) == 1 and len(content) in (6, 100_000)
        seen |= versions
    assert [process.wait() for process in writers] == [0, 0]
    assert len(seen) > 2
    assert (read(store, "clean", tmp_path) or b"")[:4] in (b"a 05", b"b 05")
    left = list((s3_server.root / bucket / "p" / "clean").iterdir())
    assert len(left) == 3  # a writer's newest stays until the name is deleted: it may be the only one that is alive
    store.delete("clean")
    assert store.list("") == []


def test_an_interrupted_download_goes_on_where_it_broke_off(
    bucket: str, faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    content = os.urandom(4 * MEGABYTE)
    checkpoint_store(f"s3://{bucket}/p").put("clean", blob(tmp_path, content))
    faulty.fault = lambda request: CutOff(3 * MEGABYTE) if is_download(request) else None
    with pytest.raises(FinestError, match="cannot be reached"):
        read(checkpoint_store(f"s3://{bucket}/p"), "clean", tmp_path)
    assert not (tmp_path / "got").exists()
    faulty.fault = lambda request: None
    faulty.seen.clear()
    assert read(checkpoint_store(f"s3://{bucket}/p"), "clean", tmp_path) == content
    (asked,) = [request.headers for request in faulty.seen if is_download(request)]
    assert asked["range"] == f"bytes={3 * MEGABYTE}-" and asked["if-match"].strip('"')
    assert {path.name for path in tmp_path.iterdir()} == {"blob", "got"}


def test_a_connection_that_breaks_again_and_again_is_taken_up_each_time(
    bucket: str, faulty: Faulty, tmp_path: Path
) -> None:
    content = os.urandom(6 * MEGABYTE)
    store = checkpoint_store(f"s3://{bucket}/p")
    store.put("clean", blob(tmp_path, content))
    faulty.fault = lambda request: CutOff(2 * MEGABYTE) if is_download(request) else None
    faulty.seen.clear()
    assert read(store, "clean", tmp_path) == content
    ranges = [request.headers["range"] for request in faulty.seen if is_download(request)]
    assert ranges == ["bytes=0-", f"bytes={2 * MEGABYTE}-", f"bytes={4 * MEGABYTE}-"]


def is_download(request: Request) -> bool:
    return request.method == "GET" and "range" in request.headers


def test_a_large_file_goes_up_in_parts_with_checksums(bucket: str, faulty: Faulty, tmp_path: Path) -> None:
    content = os.urandom(17 * MEGABYTE)
    store = checkpoint_store(f"s3://{bucket}/p")
    store.put("clean", blob(tmp_path, content))
    parts = [request for request in faulty.seen if request.method == "PUT"]
    assert len(parts) == 2 and all(
        "partNumber" in request.path and "x-amz-checksum-sha256" in request.headers for request in parts
    )
    assert read(store, "clean", tmp_path) == content


def test_parts_of_an_upload_that_fails_are_not_left_to_be_paid_for(bucket: str, faulty: Faulty, tmp_path: Path) -> None:
    faulty.fault = lambda request: Refusal(403, "AccessDenied") if "partNumber=2" in request.path else None
    with pytest.raises(FinestError, match=r"access denied \(UploadPart\); the credentials need s3:PutObject"):
        checkpoint_store(f"s3://{bucket}/p").put("clean", blob(tmp_path, os.urandom(17 * MEGABYTE)))
    assert [request.method for request in faulty.seen if "uploadId" in request.path][-1] == "DELETE"
    assert checkpoint_store(f"s3://{bucket}/p").list("") == []


@pytest.mark.parametrize(
    ("method", "refusal", "says"),
    [
        ("PUT", Refusal(403, "AccessDenied"), "access denied (PutObject); the credentials need s3:PutObject"),
        ("POST", Refusal(403, "AccessDenied"), "access denied (DeleteObjects); the credentials need s3:DeleteObject"),
        ("PUT", Refusal(503, "SlowDown"), "is too busy (SlowDown, PutObject)"),
        ("GET", Refusal(404, "NoSuchBucket"), "there is no bucket"),
    ],
)
def test_a_refusal_is_one_line(
    method: str, refusal: Refusal, says: str, bucket: str, faulty: Faulty, tmp_path: Path
) -> None:
    store = checkpoint_store(f"s3://{bucket}/p")
    store.put("clean", blob(tmp_path, b"1"))
    faulty.fault = lambda request: refusal if request.method == method else None
    with pytest.raises(FinestError) as error:
        store.put("clean", blob(tmp_path, b"2"))
    assert says in str(error.value) and f"s3://{bucket}/p: " in str(error.value) and "\n" not in str(error.value)
    faulty.fault = lambda request: None
    assert read(store, "clean", tmp_path) in (b"1", b"2")


def test_an_object_that_is_not_what_was_uploaded_is_dropped_for_the_version_before_it_or_none(
    s3_server: S3, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = checkpoint_store(f"s3://{bucket}/p")
    store.put("clean", blob(tmp_path, b"content"))
    client = s3_server.client()
    (entry,) = client.list_objects_v2(Bucket=bucket)["Contents"]
    wrong = {"Bucket": bucket, "Body": b"cOntent", "Metadata": {"sha256": "0" * 64}}
    client.put_object(Key="p/clean/000000000009-host", **wrong)
    assert read(store, "clean", tmp_path) == b"content"
    assert "p/clean/000000000009-host is damaged: what was read has sha256" in caplog.text
    client.put_object(Key=entry["Key"], **wrong)
    assert read(store, "clean", tmp_path) is None
    assert store.list("") == []


def test_no_place_at_all_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="`checkpoints`"):
        checkpoint_store("")
