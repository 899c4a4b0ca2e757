"""Packages with a bit flipped: whoever takes one finds it, before anything is compared or served."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.preflight import work as preflight
from finest.errors import ConfigError, DamagedError, FinestError
from finest.models import manifest as manifests
from finest.models.manifest import PackageManifest, check
from finest.models.signature import PRIVATE, PUBLIC, verify
from finest.sealed import text_of
from tests.canaries import in_process
from tests.integration.tracking.conftest import NAME
from tracking import ledger, production, promotion, registry, runs
from tracking.promotion import Before, Judged

Step = Callable[..., registry.Version]
PLACES = 100
LOAD = """
import json, sys
import mlflow
for path in json.loads(sys.argv[1]):
    try:
        mlflow.pyfunc.load_model(path)
        print("loaded", path)
    except Exception as error:
        print("refused", type(error).__name__, str(error).splitlines()[0] if str(error) else "")
"""


def stored(version: registry.Version, state: Path) -> Path:
    """Folder in which the embedded store keeps a version's package."""
    (manifest,) = (file for file in (state / "mlflow").rglob(manifests.NAME) if held(file) == version.manifest)
    return manifest.parent


def held(file: Path) -> str:
    return manifests.digest_of(file.read_text(encoding="utf-8"))


def flip(package: Path, place: int, files: list[Path] | None = None) -> str:
    """Flips a bit at a place that the number draws; returns the file's path in the package."""
    draw = random.Random(place)
    file = draw.choice(files or sorted(path for path in package.rglob("*") if path.is_file() and path.stat().st_size))
    content = bytearray(file.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)
    return file.relative_to(package).as_posix()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    monkeypatch.setenv(PRIVATE, private.private_bytes(*pem).decode())
    monkeypatch.setenv(PUBLIC, public.decode())


def test_a_bit_that_flips_anywhere_in_a_package_is_found_by_whoever_takes_it(promoted: Step, state: Path) -> None:
    made = promoted("run-1", 0, None)
    package = stored(made, state)
    whole = {file: file.read_bytes() for file in package.rglob("*") if file.is_file()}
    hit = set()
    for place in range(PLACES):
        name = flip(package, place)
        hit.add(name)
        with pytest.raises(FinestError, match=r"version 1 of finest-test (is damaged: |holds no model)") as found:
            registry.package(made, state / "taken" / str(place))
        assert "finest models rollback" in str(found.value) and "\n" not in str(found.value)
        assert name in str(found.value) or manifests.NAME in str(found.value)
        (package / name).write_bytes(whole[package / name])
    assert {"artifacts/model/weights.safetensors", "MLmodel", manifests.NAME} <= hit
    registry.package(made, state / "taken" / "whole")


def test_the_served_model_finds_it_too_as_it_is_loaded(promoted: Step, state: Path, tmp_path: Path) -> None:
    package = stored(promoted("run-1", 0, None), state)
    copies = []
    for place in range(PLACES):
        copies.append(tmp_path / str(place))
        shutil.copytree(package, copies[-1])
        flip(copies[-1], place)
    (tmp_path / "whole").mkdir()
    shutil.copytree(package, tmp_path / "whole", dirs_exist_ok=True)
    # The first package's code stays loaded, so that what is damaged in the code of others is found by the manifest.
    given = json.dumps([str(one) for one in [tmp_path / "whole", *copies, tmp_path / "whole"]])
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KFP_RUN_ID")}
    command = [sys.executable, "-W", "ignore", "-c", LOAD, given]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    first, *lines, last = [line for line in done.stdout.splitlines() if line.startswith(("loaded", "refused"))]
    assert first.startswith("loaded") and last.startswith("loaded")
    assert len(lines) == PLACES and all(line.startswith("refused") for line in lines), [
        line for line in lines if line.startswith("loaded")
    ]


def test_damage_stops_the_night_the_promotion_and_the_rollback(
    promoted: Step, judged: Callable[..., Judged], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = promoted("run-1", 0, None)
    second = promoted("run-2", 1, "1")
    for version in (first, second):
        flip(stored(version, state), 3, [stored(version, state) / "artifacts" / "model" / "weights.safetensors"])
    with pytest.raises(
        DamagedError, match=r"version 2 of finest-test is damaged: artifacts/model/weights\.safetensors"
    ):
        preflight.whole(second, "refuse")
    assert preflight.whole(second, "replace") is None

    monkeypatch.setenv("KFP_RUN_ID", "run-3")
    runs.open_parent({}, line="finest", source="data.csv", seed=0, tags={})
    with runs.step_run("promote") as run:
        made = promotion.register(run, NAME, judged(2))
        flip(stored(made, state), 3, [stored(made, state) / "artifacts" / "model" / "weights.safetensors"])
        with pytest.raises(DamagedError, match="version 3 of finest-test is damaged"):
            promotion.promote(run, NAME, judged(2), Before("2", 2), in_process)
    assert registry.champion(NAME) == registry.get(NAME, "2") and ledger.read(NAME).champion == "2"
    assert any("version 2 of finest-test is damaged" in line for line in production.problems(NAME))


def test_files_that_come_or_go_and_another_package_of_the_line_are_damage(promoted: Step, state: Path) -> None:
    made, other = promoted("run-1", 0, None), promoted("run-2", 1, "1")
    package = stored(made, state)
    (package / "code" / "finest" / "extra.py").write_text("")
    with pytest.raises(DamagedError, match=r"code/finest/extra\.py was not packed with it"):
        registry.package(made, state / "a")
    (package / "code" / "finest" / "extra.py").unlink()
    (package / "requirements.txt").unlink()
    with pytest.raises(DamagedError, match=r"requirements\.txt is missing"):
        registry.package(made, state / "b")
    shutil.rmtree(package)
    shutil.copytree(stored(other, state), package)
    with pytest.raises(DamagedError, match=r"manifest\.json has the digest [0-9a-f]{12}, and should have "):
        registry.package(made, state / "c")


def test_what_a_package_of_an_earlier_release_lacks_is_said(
    promoted: Step, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = promoted("run-1", 0, None)
    manifest = stored(made, state) / manifests.NAME
    text = manifest.read_text()
    manifest.unlink()
    with pytest.raises(DamagedError, match=r"manifest\.json is missing"):
        registry.package(made, state / "a")
    manifest.write_text(json.dumps(json.loads(text)))
    with pytest.raises(DamagedError, match=r"manifest\.json is not as it was written"):
        registry.package(made, state / "b")
    manifest.write_text("[]")
    with pytest.raises(DamagedError, match=r"manifest\.json cannot be read"):
        registry.package(made, state / "c")


def test_a_signed_package_is_taken_by_its_key_alone(
    keys: None, promoted: Step, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = promoted("run-1", 0, None)
    package = stored(made, state)
    signature = package / manifests.SIGNATURE
    whole = signature.read_bytes()
    for place in range(PLACES):
        flip(package, place, [signature])
        with pytest.raises(DamagedError, match=r"version 1 of finest-test is damaged: model\.sig is no signature of"):
            registry.package(made, tmp_path / str(place))
    signature.unlink()
    with pytest.raises(DamagedError, match=rf"it is not signed \(model\.sig is missing\), and {PUBLIC} asks for that"):
        registry.package(made, tmp_path / "unsigned")
    signature.write_bytes(whole)
    registry.package(made, tmp_path / "whole")

    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    file = tmp_path / "key.pem"
    file.write_bytes(other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    monkeypatch.setenv(PUBLIC, str(file))
    with pytest.raises(DamagedError, match="another key has signed"):
        registry.package(made, tmp_path / "other")


@pytest.mark.parametrize(
    ("key", "said"),
    [("/nowhere/key.pem", "there is no file /nowhere/key.pem"), ("-----BEGIN no key", "holds no public")],
)
def test_a_key_that_is_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, said: str) -> None:
    (tmp_path / manifests.SIGNATURE).write_text("{}")
    monkeypatch.setenv(PUBLIC, key)
    with pytest.raises(ConfigError, match=said):
        verify(tmp_path)


def test_a_manifest_of_a_newer_release_is_read(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "verdict.json").write_text("{}")
    files = manifests.digests(tmp_path)
    facts = dict.fromkeys(("line", "run", "data_fingerprint", "finest", "git_commit", "image_digest"), "x")
    known = PackageManifest(files=files, verdict=files["artifacts/verdict.json"], **facts)
    (tmp_path / manifests.NAME).write_text(text_of(known.model_dump() | {"newer": 1}))
    assert check(tmp_path) == known
