"""Signs packages, and checks who has signed one, by OpenSSF's model-signing library (the extra `finest[signing]`).

The signature, `model.sig`, is of every file of the package, the verdict among them. Keys are PEM, on an elliptic curve;
a variable of the environment holds one, or the path of its file.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from finest.errors import ConfigError, DamagedError
from finest.models.manifest import BESIDE, COMPILED, NAME, SIGNATURE

if TYPE_CHECKING:
    from model_signing.hashing import Config as Hashing

PRIVATE, PASSWORD, PUBLIC = "FINEST_SIGNING_KEY", "FINEST_SIGNING_KEY_PASSWORD", "FINEST_VERIFYING_KEY"
"""Names of variables: the key that signs, its password where it has one, and the key that a signature is held
against."""
PEM = "-----BEGIN"


def sign(package: Path) -> bool:
    """Writes the signature of a package that is complete; tells whether there is a key to do so.

    Raises:
        ConfigError: The library is not installed, or the key is none.
    """
    if not os.environ.get(PRIVATE):
        return False
    _library(PRIVATE)
    from model_signing import signing

    with _key(PRIVATE) as key:
        try:
            signer = signing.Config().use_elliptic_key_signer(private_key=key, password=os.environ.get(PASSWORD))  # type: ignore[no-untyped-call]
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"{PRIVATE} holds no private key on an elliptic curve that can be used: {error}"
            ) from error
        signer.set_hashing_config(_signed(package)).sign(package, package / SIGNATURE)
    return True


def verify(package: Path) -> None:
    """Checks that the holder of the key has signed the package as it is; without a key nothing is asked.

    Raises:
        DamagedError: Nobody has signed it, or somebody else, or it is not what was signed.
        ConfigError: The library is not installed, or the key is none.
    """
    if not os.environ.get(PUBLIC):
        return
    _library(PUBLIC)
    from model_signing import verifying

    if not (package / SIGNATURE).is_file():
        raise DamagedError(f"it is not signed ({SIGNATURE} is missing), and {PUBLIC} asks for that")
    with _key(PUBLIC) as key:
        try:
            verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{PUBLIC} holds no public key on an elliptic curve: {error}") from error
        try:
            verifier.set_hashing_config(_signed(package)).verify(package, package / SIGNATURE)
        except Exception as error:  # a damaged signature raises the library's, cryptography's or JSON's, of any kind
            raise DamagedError(
                f"{SIGNATURE} is no signature of these files by the key of {PUBLIC}: one of them was changed, or "
                "another key has signed"
            ) from error


def _signed(package: Path) -> "Hashing":
    """Returns what a signature is of: every file but itself, and what comes to a package later."""
    from model_signing import hashing

    beside = [Path(name) for name in sorted(BESIDE - {NAME})]
    compiled = sorted(path.relative_to(package) for path in package.rglob(COMPILED))
    return hashing.Config().set_ignored_paths(paths=[*beside, *compiled], ignore_git_paths=False)  # type: ignore[no-untyped-call]


def _library(variable: str) -> None:
    try:
        import model_signing  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"{variable} is set, and signatures need model-signing: pip install 'finest[signing]'"
        ) from error


@contextmanager
def _key(variable: str) -> Iterator[Path]:
    """Yields the file of a key that a variable holds or names."""
    value = os.environ[variable]
    if PEM not in value:
        if not Path(value).is_file():
            raise ConfigError(f"{variable}: there is no file {value}; set it to a key in PEM, or to the path of one")
        yield Path(value)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # readable by its owner alone
        file.write(value)
        file.flush()
        yield Path(file.name)
