"""The machines of the scenario, the stores on them, and something for nginx to pass requests to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lib.logs import LogHost, needs_loki
from lib.wait import wait_for

# Answers every request with what it got. It is no log store: it shows what nginx lets through, and how.
BACKEND = """
import http.server, json, sys

class Echo(http.server.BaseHTTPRequestHandler):
    def answer(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        got = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": sent}
        body = json.dumps(got).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


@pytest.fixture(scope="session")
def machine() -> LogHost:
    """The machine that the role ran on."""
    return LogHost("counter-logs-bookworm")


@pytest.fixture(scope="session")
def other() -> LogHost:
    """The other machine, bare until a test runs the role on it."""
    return LogHost("counter-logs-trixie")


@pytest.fixture(scope="module", params=["loki", "victorialogs"])
def backend(request: pytest.FixtureRequest, machine: LogHost) -> Iterator[None]:
    """The proxy of a store, and in the store's place a server that answers with what nginx passed on.

    That of Loki needs no Loki. The one that the role ran with comes last, and stays.
    """
    machine.store = request.param
    played = machine.role(parts=["host", "proxy"])
    assert played.status == 0, played.output
    machine.run("systemctl", "restart", "nginx")
    machine.run("systemctl", "stop", "log-store")
    machine.run("systemd-run", "--unit=backend", "python3", "-c", BACKEND, str(machine.ports[machine.store]))
    wait_for("the backend", machine.is_ready, 20)
    yield
    machine.run("systemctl", "stop", "backend")
    machine.run("systemctl", "start", "log-store")
    if machine.store == "victorialogs":
        machine.wait_ready()


@pytest.fixture(scope="module", params=["victorialogs", pytest.param("loki", marks=needs_loki)])
def store(request: pytest.FixtureRequest, machine: LogHost) -> LogHost:
    """The machine with each of the stores in turn."""
    if machine.store != request.param:
        machine.store = request.param
        played = machine.role()
        assert played.status == 0, played.output
    return machine


@pytest.fixture(scope="session")
def small_disk(other: LogHost) -> Iterator[tuple[LogHost, str]]:
    """The other machine as a log host whose data has a small disk of its own, and that disk."""
    other.run("truncate", "--size=400M", "/srv/disk")
    device = other.run("losetup", "--find", "--show", "/srv/disk")
    try:
        played = other.role("-e", f"log_host_data_device={device}")
        assert played.status == 0, played.output
        mounted = other.run("findmnt", "--noheadings", "--output=SOURCE,FSTYPE", "/var/lib/log-store")
        assert mounted.split() == [device, "ext4"]
        yield other, device
    finally:
        other.run("systemctl", "stop", "log-store", "log-disk-guard", check=False)
        other.run("umount", "/var/lib/log-store", check=False)
        other.run("losetup", "--detach", device)
        other.run("rm", "/srv/disk")
        # The unit requires what is mounted there, and would go on to require the disk that is gone.
        other.run("sed", "--in-place", "/ .var.lib.log-store /d", "/etc/fstab")
        other.run("systemctl", "daemon-reload")
        other.run("systemctl", "start", "log-disk-guard")
