"""A certificate that somebody else's CA has signed, instead of the environment's own."""

import ssl
from pathlib import Path

from lib.certificates import self_signed, sign
from lib.logs import LogHost
from lib.wait import wait_for


def wait_until_served(machine: LogHost, certificate: Path) -> None:
    """Wait until clients get a certificate: a reload is over a moment after it was asked for."""
    address, wanted = (machine.logs.address, 443), certificate.read_text().split()
    wait_for("the certificate", lambda: ssl.get_server_certificate(address).split() == wanted, 10)


def test_certificate_of_ones_own_is_served(machine: LogHost, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, machine.logs.address)
    given = ["-e", f"log_host_certificate={certificate}", "-e", f"log_host_certificate_key={key}"]
    machine.role(*given, parts=["host", "files", "service"]).ok()
    wait_until_served(machine, certificate)


def test_certificate_that_ends_soon_is_renewed_and_clients_trust_it(machine: LogHost) -> None:
    secrets = machine.secrets
    # As the role makes it, but for the days.
    names = ("-addext", f"subjectAltName=DNS:{machine.name}", "-addext", "extendedKeyUsage=serverAuth")
    sign(secrets / "server.crt", secrets / "server.key", secrets, 5, "-subj", f"/CN={machine.name}", *names)
    ends = (secrets / "server.crt").read_text().split()
    machine.role(parts=["host", "secrets", "files", "service"]).ok()
    assert (secrets / "server.crt").read_text().split() != ends
    wait_until_served(machine, secrets / "server.crt")
    # By the CA that clients had before.
    assert machine.logs.request("GET", "/ready", "reader")[0] == 200
