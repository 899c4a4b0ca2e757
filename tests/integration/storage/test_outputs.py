"""Places for files of lists, of every kind: others read the files there by their names."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from finest.errors import FinestError, UnavailableError
from storage import output, probe_output, resolve
from tests.services.faults import Faulty, Refusal
from tests.services.gcs import Emulator
from tests.services.s3 import S3

ROOT = Path(__file__).parents[3]
MEGABYTE = 1 << 20


def blob(folder: Path, content: bytes) -> Path:
    file = folder / "blob"
    file.write_bytes(content)
    return file


def check_place(uri: str, folder: Path) -> None:
    """What every place must do."""
    place = output(uri)
    assert not place.get("7-ab/part-00000.parquet", folder / "got") and not (folder / "got").exists()
    for content in (b"old", os.urandom(18 * MEGABYTE), b"new", b""):
        place.put("7-ab/part-00000.parquet", blob(folder, content))
        assert place.get("7-ab/part-00000.parquet", folder / "got") and (folder / "got").read_bytes() == content
    place.put("7-ab/part-00000.parquet", blob(folder, b"last"))
    place.put("current.json", blob(folder, b"{}"))
    place.put("7-ab/_progress.json", blob(folder, b"{}"))
    place.delete("7-ab/_progress.json")
    place.delete("7-ab/_progress.json")
    assert not place.get("7-ab/_progress.json", folder / "got")
    probe_output(uri)
    packed = pickle.dumps(place)
    assert len(packed) < 400
    (folder / "packed").write_bytes(packed)
    code = (
        "import pickle, sys; from pathlib import Path; "
        "pickle.loads(Path(sys.argv[1]).read_bytes()).put('7-ab/part-00001.parquet', Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(folder / "packed"), str(blob(folder, b"theirs"))], cwd=ROOT, check=True
    )
    found = resolve(uri)
    names = {file.path.removeprefix(found.root).lstrip("/"): file.size for file in found.files}
    assert names == {"7-ab/part-00000.parquet": 4, "7-ab/part-00001.parquet": 6, "current.json": 2}


def test_a_folder(tmp_path: Path) -> None:
    check_place(str(tmp_path / "odd name ü%20" / "lists"), tmp_path)


def test_s3(bucket: str, tmp_path: Path) -> None:
    check_place(f"s3://{bucket}/lists/of shop", tmp_path)


def test_google_and_azure(emulator: Emulator, container: str, tmp_path: Path) -> None:
    check_place(f"{container}/lists/of shop", tmp_path)
    name = container.partition("://")[2]
    there = emulator.filesystem().get_file_info(pafs.FileSelector(name, recursive=True))
    assert not [info.path for info in there if "partial" in info.path or "_probe" in info.path]


def test_an_upload_that_s3_refuses_leaves_what_was_there(faulty: Faulty, bucket: str, tmp_path: Path) -> None:
    place = output(f"s3://{bucket}/lists")
    place.put("current.json", blob(tmp_path, b"old"))
    faulty.fault = lambda request: Refusal(503, "SlowDown") if request.method == "PUT" else None
    with pytest.raises(FinestError, match="too busy"):
        place.put("current.json", blob(tmp_path, b"new"))
    assert place.get("current.json", tmp_path / "got") and (tmp_path / "got").read_bytes() == b"old"


def test_an_upload_that_an_object_store_refuses_leaves_what_was_there(
    faulty_emulator: Faulty, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.objects.gcs.RETRY_SECONDS", 1)
    place = output(f"{container}/lists")
    place.put("current.json", blob(tmp_path, b"old"))
    busy = Refusal(503, "ServerBusy", headers={"x-ms-error-code": "ServerBusy"})
    faulty_emulator.fault = lambda request: busy if request.method in ("PUT", "POST") else None
    with pytest.raises(UnavailableError):
        place.put("current.json", blob(tmp_path, b"new"))
    assert place.get("current.json", tmp_path / "got") and (tmp_path / "got").read_bytes() == b"old"


def test_a_missing_bucket_is_one_line(s3_server: S3, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(FinestError, match="there is no bucket no-such-bucket") as error:
        probe_output("s3://no-such-bucket/lists")
    assert "\n" not in str(error.value)
