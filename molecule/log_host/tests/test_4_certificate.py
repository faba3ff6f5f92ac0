"""A certificate that somebody else's CA has signed, instead of the environment's own."""

import ssl
from pathlib import Path

from lib.certificates import sign
from lib.command import run
from lib.logs import LogHost
from lib.wait import wait_for


def test_certificate_of_ones_own_is_served(machine: LogHost, tmp_path: Path) -> None:
    certificate, key = tmp_path / "given.crt", tmp_path / "given.key"
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2",
        "-subj", f"/CN={machine.name}", "-out", str(certificate), "-keyout", str(key),
    )  # fmt: skip
    given = ["-e", f"log_host_certificate={certificate}", "-e", f"log_host_certificate_key={key}"]
    machine.role(*given, parts=["host", "proxy", "restart"]).ok()
    address = (machine.logs.address, 443)
    given_lines = certificate.read_text().split()
    # A reload is over a moment after it was asked for.
    wait_for("the certificate", lambda: ssl.get_server_certificate(address).split() == given_lines, 10)


def test_certificate_that_ends_soon_is_renewed_and_clients_trust_it(machine: LogHost) -> None:
    secrets = machine.secrets
    # As the role makes it, but for the days.
    names = ("-addext", f"subjectAltName=DNS:{machine.name}", "-addext", "extendedKeyUsage=serverAuth")
    sign(secrets / "server.crt", secrets / "server.key", secrets, 5, "-subj", f"/CN={machine.name}", *names)
    ends = (secrets / "server.crt").read_text().split()
    machine.role(parts=["host", "secrets", "proxy", "restart"]).ok()
    renewed = (secrets / "server.crt").read_text().split()
    assert renewed != ends
    address = (machine.logs.address, 443)
    wait_for("the certificate", lambda: ssl.get_server_certificate(address).split() == renewed, 10)
    # By the CA that clients had before.
    assert machine.logs.request("GET", "/ready", "reader")[0] == 200
