"""What carries digests: packages with manifest and signature, and the folders that steps hand on.

Any change is found, by whoever reads, before anything is done with it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from unittest.mock import patch

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from finest import sealed
from finest.models import manifest, signature
from finest.models.manifest import BESIDE, MODEL, PackageManifest
from finest.models.saved import load
from tests.fuzz import kept, mutate
from tests.fuzz.kind import Good, Kind, WrongError
from tests.step_folders import FOLDERS, Run, make

KEY = ec.derive_private_key(20260101, ec.SECP256R1())
"""The key that signs, the same in every process."""
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
CHANGES = ("bytes", "bytes", "bytes", "removed", "added", "exchanged")


@contextmanager
def _keys() -> Iterator[None]:
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with patch.dict(
        os.environ, {signature.PRIVATE: KEY.private_bytes(*pem).decode(), signature.PUBLIC: PUBLIC.decode()}
    ):
        yield


def prepare_package(folder: Path) -> None:
    kept.prepare_model(folder)
    kept.prepare_verdict(folder)
    package = folder / "package"
    (package / "artifacts").mkdir(parents=True)
    (folder / "model").rename(package / "artifacts" / MODEL)
    (folder / "verdict.json").rename(package / "artifacts" / manifest.VERDICT)
    (package / "artifacts" / manifest.CARD).write_text("# A card\n")
    (package / "artifacts" / manifest.JUDGED).write_text("{}")
    (package / "code" / "finest").mkdir(parents=True)
    (package / "code" / "finest" / "__init__.py").write_text("")
    (package / "MLmodel").write_text("flavors: {}\n")
    digests = manifest.digests(package)
    facts = dict.fromkeys(("line", "run", "data_fingerprint", "finest", "git_commit", "image_digest"), "x")
    packed = PackageManifest(files=digests, verdict=digests[f"artifacts/{manifest.VERDICT}"], **facts)
    (folder / "digest").write_text(manifest.write(package, packed))
    with _keys():
        assert signature.sign(package)


def make_package(draw: Random, folder: Path, prepared: Path) -> None:
    shutil.copytree(prepared / "package", folder / "package")
    chosen = [folder / "package" / manifest.NAME, folder / "package" / manifest.SIGNATURE, None, None]
    _damage(draw, folder / "package", draw.choice(chosen))


def _damage(draw: Random, folder: Path, file: Path | None = None) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    what = draw.choice(CHANGES)
    file, other = file or draw.choice(files), draw.choice(files)
    if what == "removed":
        file.unlink()
    elif what == "added":
        (file.parent / draw.choice(("new", ".hidden", "x.pyc", "a\nb", "\u202e"))).write_bytes(
            draw.randbytes(draw.randrange(9))
        )
    elif what == "exchanged":
        mine, theirs = file.read_bytes(), other.read_bytes()
        file.write_bytes(theirs)
        other.write_bytes(mine)
    elif file.suffix in (".json", ".sig") and draw.random() < 0.3:
        kept.changed(draw, file)
    else:
        file.write_bytes(mutate.of_bytes(draw, file.read_bytes()))


def read_package(folder: Path, prepared: Path) -> Good:
    """The ledger's digest, every file, the signature: as a canary, a rollback or `predict` takes it."""
    package = folder / "package"
    with _keys():
        manifest.check(package, (prepared / "digest").read_text())
        signature.verify(package)
    load(package / "artifacts" / MODEL)
    _unchanged(package, prepared / "package")
    # What surrounds a signature, like the hint at its key, is not signed: it holds for these files all the same.
    same = (package / manifest.SIGNATURE).read_bytes() == (prepared / "package" / manifest.SIGNATURE).read_bytes()
    return "equal" if same else "other input"


def _unchanged(folder: Path, whole: Path) -> None:
    def beside(path: Path) -> bool:
        return path.as_posix() in BESIDE - {manifest.NAME}

    if sealed.digests(folder, beside) != sealed.digests(whole, beside):
        raise WrongError("what was read is not what was written, and nothing was said")


def prepare_steps(folder: Path) -> None:
    make(folder / "run")


def make_steps(draw: Random, folder: Path, prepared: Path) -> None:
    shutil.copytree(prepared / "run", folder / "run")
    name = draw.choice(FOLDERS)
    (folder / "damaged").write_text(f"{name} {draw.randrange(9)}")
    _damage(draw, folder / "run" / name)


def read_steps(folder: Path, prepared: Path) -> Good:
    """One of the steps that read the folder."""
    name, number = (folder / "damaged").read_text().split()
    run, whole = Run(folder / "run"), Run(prepared / "run")
    if sealed.digests(run.folder / name) == sealed.digests(whole.folder / name):
        return "equal"
    if name == "edits":
        sealed.check(run.folder / name)
    readers = run.readers[name]
    readers[int(number) % len(readers)]()
    raise WrongError(f"{name} was read though it is not what was written")


KINDS = (
    Kind("package", 700, make_package, read_package, prepare_package),
    Kind("steps", 700, make_steps, read_steps, prepare_steps),
)
