"""Azure Blob Storage where it answers what it should not, and what only it has."""

import itertools
import os
import pickle
import traceback
from pathlib import Path

import pytest

from finest.errors import ConfigError, FinestError, UnavailableError
from storage import checkpoint_store, output, resolve
from storage.objects.blobs import Download
from tests.services import azurite
from tests.services.faults import Added, Answer, CutOff, Fault, Faulty, Request
from tests.services.gcs import Emulator

pytestmark = pytest.mark.parametrize("emulator", [azurite], ids=["abfs"], indirect=True, scope="session")

MEGABYTE = 1 << 20
REFUSAL = b"<?xml version='1.0'?><Error><Code>ServerBusy</Code><Message>no</Message></Error>"
UNREADABLE = {
    "cut off within": Answer(503, REFUSAL[:40], "application/xml"),
    "cut off on the way": Answer(503, REFUSAL[:40], "application/xml", missing=40),
    "empty": Answer(503, b"", "application/xml"),
    "a page": Answer(503, b"<!DOCTYPE html><html><br>busy</html>", "text/html"),
    "a page for XML": Answer(503, b"<html><body>busy</body></html>", "application/xml"),
    "without a message": Answer(503, b"<Error><Code>ServerBusy</Code></Error>", "application/xml"),
    "no XML at all": Answer(500, b"\x00\xff busy", "application/xml"),
    "of no type": Answer(503, b"busy", ""),
}


def blob(folder: Path, content: bytes) -> Path:
    file = folder / "blob"
    file.write_bytes(content)
    return file


def once(answer: Answer | CutOff, *methods: str) -> Fault:
    """The first request of these methods fails."""
    count = itertools.count()
    return lambda request: answer if request.method in methods and next(count) == 0 else None


@pytest.mark.parametrize("which", UNREADABLE)
def test_a_refusal_that_cannot_be_read_is_one_line_and_what_was_there_stays(
    faulty_emulator: Faulty, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    place, file = output(f"{container}/lists"), blob(tmp_path, b"old")
    place.put("current.json", file)
    monkeypatch.setattr("storage.objects.azure.RETRIES", 0)
    place = output(f"{container}/lists")
    faulty_emulator.fault = lambda request: UNREADABLE[which]
    for call in (
        lambda: place.put("current.json", blob(tmp_path, b"new")),
        lambda: place.get("current.json", tmp_path / "got"),
        lambda: resolve(f"{container}/lists"),
        lambda: checkpoint_store(f"{container}/p").list(""),
    ):
        with pytest.raises(
            UnavailableError, match=r"(is too busy|cannot be reached) \((HTTP 50.|no connection)\)"
        ) as error:
            call()
        assert "\n" not in str(error.value)
    faulty_emulator.fault = lambda request: None
    assert place.get("current.json", tmp_path / "got") and (tmp_path / "got").read_bytes() == b"old"


def test_a_listing_that_is_none_is_one_line(faulty_emulator: Faulty, container: str) -> None:
    for content in (REFUSAL, b"", b"<html>hello</html>", b"<EnumerationResults><Blobs><Blob/></Blobs></Enum"):
        faulty_emulator.fault = lambda request, content=content: Answer(200, content, "application/xml")  # type: ignore[misc]
        with pytest.raises(FinestError) as error:
            resolve(f"{container}/data")
        assert "\n" not in str(error.value)


def test_a_connection_that_breaks_costs_a_block(faulty_emulator: Faulty, container: str, tmp_path: Path) -> None:
    place, content = output(f"{container}/lists"), os.urandom(33 * MEGABYTE)
    faulty_emulator.fault = once(Answer(201, b"", "", missing=5), "PUT")
    place.put("part", blob(tmp_path, content))
    faulty_emulator.fault = once(CutOff(MEGABYTE), "GET")
    assert place.get("part", tmp_path / "got") and (tmp_path / "got").read_bytes() == content
    blocks = [request for request in faulty_emulator.seen if "comp=block&" in request.path]
    assert len(blocks) == 4


def test_names_are_taken_as_they_are(container: str, tmp_path: Path) -> None:
    names = ["a=1/b c.csv", "50%25/100%.csv", "n#1?x.csv", "\u00fc/\u65e5.csv", "[a]*.csv", "a+b&c;d.csv"]
    place = output(f"{container}/odd # %20\u00fc")
    for name in names:
        place.put(name, blob(tmp_path, name.encode()))
    found = resolve(f"{container}/odd # %20\u00fc")
    assert sorted(file.path.removeprefix(found.root).lstrip("/") for file in found.files) == sorted(names)
    for name in names:
        assert place.get(name, tmp_path / "got") and (tmp_path / "got").read_text() == name
        place.delete(name)
    with pytest.raises(FinestError, match="no files lie there"):
        resolve(f"{container}/odd # %20\u00fc")


def test_what_is_replaced_while_it_is_read_is_said(container: str, tmp_path: Path) -> None:
    place = output(f"{container}/lists")
    place.put("part", blob(tmp_path, b"first"))
    found = resolve(f"{container}/lists")
    with found.filesystem.open_input_file(found.files[0].path) as file:
        assert file.read_at(2, 0) == b"fi"
        place.put("part", blob(tmp_path, b"other"))
        with pytest.raises(OSError, match=r"object store: replaced \(ConditionNotMet\)"):
            file.read_at(2, 2)


@pytest.mark.parametrize("times", [2, 99])
def test_a_file_that_is_replaced_while_it_is_fetched_is_fetched_again(
    container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    place = output(f"{container}/lists")
    place.put("current.json", blob(tmp_path, b"{}"))
    real, left = Download.readinto, times

    def replaced(self: Download, buffer: object) -> int:
        nonlocal left
        if left:
            left -= 1
            place.put("current.json", blob(tmp_path, str(left).encode()))
        return real(self, buffer)

    monkeypatch.setattr(Download, "readinto", replaced)
    if times < 5:
        assert place.get("current.json", tmp_path / "got") and (tmp_path / "got").read_text() == "0"
    else:
        with pytest.raises(FinestError, match=r"it was replaced, or removed, while it was read .*; run again"):
            place.get("current.json", tmp_path / "got")


def test_a_source_travels_without_its_credentials(container: str, tmp_path: Path) -> None:
    output(f"{container}/lists").put("part", blob(tmp_path, b"first"))
    found = resolve(f"{container}/lists")
    packed = pickle.dumps(found)
    assert azurite.KEY.encode() not in packed
    there = pickle.loads(packed)  # noqa: S301 - our own
    assert there.files == found.files and there.passing(OSError("object store: busy (ServerBusy)"))
    with there.filesystem.open_input_stream(there.files[0].path) as file:
        assert file.read() == b"first"


@pytest.mark.parametrize(("ends", "expected"), [("success", ""), ("failed", "a copy is failed")])
def test_a_copy_is_waited_for(
    faulty_emulator: Faulty, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str, expected: str
) -> None:
    monkeypatch.setattr("storage.objects.blobs.time.sleep", lambda seconds: None)
    states = iter(["pending", "pending", ends])

    def fault(request: Request) -> Added | None:
        looks = "x-ms-copy-source" in request.headers or request.method == "HEAD"
        return Added({"x-ms-copy-status": next(states, ends)}) if looks else None

    faulty_emulator.fault = fault
    place = output(f"{container}/lists")
    if expected:
        with pytest.raises(UnavailableError, match=expected):
            place.put("part", blob(tmp_path, b"x"))
    else:
        place.put("part", blob(tmp_path, b"x"))
        assert next(states, None) is None


def test_no_secret_is_said_whatever_fails(
    emulator: Emulator, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = f"AccountName={azurite.ACCOUNT};BlobEndpoint="
    for endpoint, secret, expected in (
        ("http://127.0.0.1:9/x", "SharedAccessSignature=sv=2020&sig=aHVudGVyMg", "cannot be reached"),
        (emulator.endpoint, "SharedAccessSignature=sv=2020-01-01&sig=aHVudGVyMg", "does not accept the credentials"),
        (emulator.endpoint, "AccountKey=aHVudGVyMg!", "no credentials for Azure Blob Storage can be had"),
        (emulator.endpoint, "AccountKey=aHVudGVyMg==", "does not accept the credentials"),
    ):
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"{base}{endpoint};{secret}")
        for call in (
            lambda: resolve(f"{container}/data"),
            lambda: output(f"{container}/data").put("x", blob(tmp_path, b"x")),
        ):
            with pytest.raises(FinestError, match=expected) as error:
                call()
            shown = "".join(traceback.format_exception(error.value))
            assert "aHVudGVyMg" not in shown and "\n" not in str(error.value)


def test_an_address_that_is_none_is_a_config_error(container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = f"AccountName={azurite.ACCOUNT};AccountKey={azurite.KEY};"
    for connection, expected in (
        (f"{key}BlobEndpoint=ftp//", "the account's address is none; check AZURE_STORAGE_CONNECTION_STRING"),
        (f"{key}BlobEndpoint=http://[::1", "the account's address is none; check AZURE_STORAGE_CONNECTION_STRING"),
        ("AccountName=somebody;DefaultEndpointsProtocol=http", "takes an identity over that alone"),
    ):
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
        with pytest.raises(ConfigError, match=expected):
            resolve(f"{container}/data")
