"""The same over TLS, with a certificate authority of our own."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scope.errors import Unavailable
from scope.store import fetch
from scope.store.fetch import Web
from scope.store.safety import Rules
from scope.store.transfer import Cancelled, Stop, Transfer, Wanted
from tests.store.conftest import QUICK
from tests.store.far import Far, far_end, sha256

CONTENT = bytes(range(256)) * 1000


def certificate(folder: Path) -> tuple[Path, Path]:
    """For 127.0.0.1 only; it vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "far end")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(secret)
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def far_end_with(cert: Path, key: Path) -> Iterator[Far]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with far_end(context) as far:
        yield far


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    fetch._tls.cache_clear()
    with far_end_with(cert, key) as opened:
        yield opened
    fetch._tls.cache_clear()


def transfer(far: Far, web: Web, folder: Path) -> Transfer:
    return Transfer(Wanted(f"{far.address}/file", folder / "file.bin", "the file", sha256=sha256(CONTENT)), web, QUICK)


def test_a_file_that_breaks_on_the_way(far: Far, tmp_path: Path) -> None:
    far.put("/file", CONTENT, breaks_after_bytes=[100_000])
    made = transfer(far, Web(Rules.trusting(far.address)), tmp_path)
    made.run(Stop())
    assert made.wanted.target.read_bytes() == CONTENT
    assert [asked.first_byte for asked in far.asked][0] is None and len(far.asked) == 2


def test_another_name_than_the_certificates(far: Far, tmp_path: Path) -> None:
    far.put("/file", CONTENT)
    port = far.address.rpartition(":")[2]
    web = Web(Rules.trusting(f"https://files.example:{port}"), lookup=lambda *_: ["127.0.0.1"])
    with pytest.raises(Unavailable, match=r"cannot prove that it is files\.example"):
        web.get(f"https://files.example:{port}/file")
    assert not far.asked


def test_nobody_vouches_for_it(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    fetch._tls.cache_clear()
    with pytest.raises(Unavailable, match="cannot prove"):
        Web(Rules.trusting(far.address)).get(f"{far.address}/file")


def test_cancel_at_once(far: Far, tmp_path: Path) -> None:
    far.put("/file", CONTENT, bytes_per_s=20_000)
    made, stop = transfer(far, Web(Rules.trusting(far.address)), tmp_path), Stop()
    ended: list[BaseException] = []

    def run() -> None:
        try:
            made.run(stop)
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while made.done_bytes < 5000:
        time.sleep(0.01)
    began_s = time.monotonic()
    stop.ask()
    thread.join(5)
    assert ended and time.monotonic() - began_s < 1
