"""An encrypted S3 server of one's own, with a certificate that only AWS_CA_BUNDLE knows."""

import datetime
import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from finest.errors import FinestError
from storage import checkpoint_store, resolve
from tests.services import s3
from tests.services.process import HOST, free_port, listens, running

MEGABYTE = 1 << 20


def certificate(folder: Path) -> tuple[Path, Path]:
    """Files of a certificate that vouches for itself, and of its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    )
    builder = builder.not_valid_before(now - day).not_valid_after(now + day)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "certificate.pem").write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    (folder / "key.pem").write_bytes(key.private_bytes(*plain))
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def bundle(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The certificate of the server that this process uses, which has a bucket of that name."""
    (crt, key), port, root = certificate(tmp_path), free_port(), tmp_path / "s3"
    (root / bucket).mkdir(parents=True)
    command = [*s3.command(root, port), "--cert", str(crt), "--key", str(key)]
    with running(command, tmp_path / "log", listens(port)):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{HOST}:{port}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield crt


def test_it_reads_and_writes_small_and_large(
    bundle: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    store, blob, back = checkpoint_store(f"s3://{bucket}/p"), tmp_path / "blob", tmp_path / "back"
    for content in (b"", b"small", os.urandom(17 * MEGABYTE)):
        blob.write_bytes(content)
        store.put("clean", blob)
        assert store.get("clean", back) and back.read_bytes() == content
    source = resolve(f"s3://{bucket}/p")
    assert source.filesystem.open_input_file(source.files[0].path).read() == content


def test_without_the_certificate_it_cannot_be_reached(bundle: Path, bucket: str) -> None:
    with pytest.raises(FinestError, match=r"cannot be reached \(SSLError\)"):
        resolve(f"s3://{bucket}/p")
