"""Whether a folder has a certificate of its CA, by certificates that openssl makes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.test.certificate_for import certificate_for
from lib.certificates import make_key, sign
from lib.command import run

NAMES = ["logs.example", "192.0.2.10", "FD00::1"]
USAGE = "keyUsage=critical,digitalSignature"
SAN = "subjectAltName=DNS:logs.example,IP:192.0.2.10,IP:fd00::1"


def make_ca(folder: Path) -> None:
    key = make_key(folder / "ca.key")
    subject = ("-subj", "/CN=CA", "-addext", "basicConstraints=critical,CA:TRUE")
    run("openssl", "req", "-x509", "-new", "-key", str(key), *subject, "-out", str(folder / "ca.crt"))


def make_certificate(
    folder: Path, *, days: int = 60, name: str = "logs.example", usage: str = USAGE, names: str = SAN
) -> None:
    words = ("-subj", f"/CN={name}", *(word for text in (usage, names) for word in ("-addext", text)))
    sign(folder / "server.crt", folder / "server.key", folder, days, *words)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_ca(tmp_path)
    make_key(tmp_path / "server.key")
    make_certificate(tmp_path)
    return tmp_path


def test_certificate_in_order_is_valid(folder: Path) -> None:
    assert certificate_for(str(folder), NAMES)


FAULTS: dict[str, Callable[[Path], object]] = {
    "ends within a month": lambda folder: make_certificate(folder, days=29),
    "another common name": lambda folder: make_certificate(folder, name="192.0.2.10"),
    "another usage": lambda folder: make_certificate(folder, usage="keyUsage=digitalSignature,keyEncipherment"),
    "a name is missing": lambda folder: make_certificate(folder, names="subjectAltName=DNS:logs.example"),
    "another server key": lambda folder: make_key(folder / "server.key"),
    "another CA": make_ca,
    "another CA key": lambda folder: make_key(folder / "ca.key"),
    "no CA key": lambda folder: (folder / "ca.key").unlink(),
    "no certificate": lambda folder: (folder / "server.crt").write_text("none"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(folder: Path, fault: str) -> None:
    FAULTS[fault](folder)
    assert not certificate_for(str(folder), NAMES)


def test_further_name_is_found(folder: Path) -> None:
    assert not certificate_for(str(folder), [*NAMES, "another.example"])
