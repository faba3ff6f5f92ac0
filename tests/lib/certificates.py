"""Keys, and certificates that a CA signs for as many days as a test wants."""

from pathlib import Path
from tempfile import TemporaryDirectory

from lib.command import run


def make_key(path: Path) -> Path:
    """Make a private key, and return where it is."""
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", str(path))
    return path


def self_signed(folder: Path, host: str) -> tuple[Path, Path]:
    """Make a key and a certificate for an address, valid for two days, that is its own CA; return the files."""
    certificate, key = folder / "server.crt", folder / "server.key"
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2",
        "-subj", "/CN=test", "-addext", f"subjectAltName=IP:{host}", "-out", str(certificate), "-keyout", str(key),
    )  # fmt: skip
    return certificate, key


def sign(certificate: Path, key: Path, ca: Path, days: int, *words: str) -> None:
    """Write a certificate for a private key, that says what the words for ``openssl req`` do.

    It is signed by the CA whose ``ca.crt`` and ``ca.key`` are in the folder ``ca``.
    """
    with TemporaryDirectory() as folder:
        request = f"{folder}/request.pem"
        run("openssl", "req", "-new", "-key", str(key), *words, "-out", request)
        run(
            "openssl", "x509", "-req", "-in", request, "-copy_extensions", "copyall", "-days", str(days),
            "-CA", str(ca / "ca.crt"), "-CAkey", str(ca / "ca.key"), "-out", str(certificate),
        )  # fmt: skip
