"""The machines of the scenario, and something for nginx to pass requests to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lib.loki import ARCHIVE, LogHost
from lib.wait import wait_for

# Answers every request with what it got. It is no Loki: it shows what nginx lets through, and how.
BACKEND = """
import http.server, json

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

http.server.ThreadingHTTPServer(("127.0.0.1", 3100), Echo).serve_forever()
"""


@pytest.fixture(scope="session")
def machine() -> LogHost:
    """The machine that the role ran on."""
    return LogHost("counter-logs-bookworm")


@pytest.fixture(scope="session")
def other() -> LogHost:
    """The other machine, bare until a test runs the role on it."""
    return LogHost("counter-logs-trixie")


@pytest.fixture(scope="module")
def backend(machine: LogHost) -> Iterator[None]:
    """A server that stands where Loki would listen, and answers with what nginx passed on."""
    if ARCHIVE:
        machine.run("systemctl", "stop", "loki")
    machine.run("systemd-run", "--unit=backend", "python3", "-c", BACKEND)
    wait_for("the backend", machine.is_ready, 20)
    yield
    machine.run("systemctl", "stop", "backend")
    if ARCHIVE:
        machine.run("systemctl", "start", "loki")
        machine.wait_ready()


@pytest.fixture(scope="session")
def small_disk(machine: LogHost, other: LogHost) -> Iterator[tuple[LogHost, str]]:
    """A machine whose data has a small disk of its own, and that disk. With Loki the other one: the first has data."""
    host = other if ARCHIVE else machine
    host.run("truncate", "--size=400M", "/srv/disk")
    device = host.run("losetup", "--find", "--show", "/srv/disk")
    # On a host that has its disk from the first run on, it starts when the disk is there.
    host.run("systemctl", "stop", "loki-disk-guard", check=False)
    try:
        run = host.role(
            "-e", f"log_host_data_device={device}", parts=None if ARCHIVE else ["host", "data", "disk_guard"]
        )
        assert run.status == 0, run.output
        mounted = host.run("findmnt", "--noheadings", "--output=SOURCE,FSTYPE", "/var/lib/loki")
        assert mounted.split() == [device, "ext4"]
        yield host, device
    finally:
        host.run("systemctl", "stop", "loki", "loki-disk-guard", check=False)
        host.run("umount", "/var/lib/loki", check=False)
        host.run("losetup", "--detach", device)
        host.run("rm", "/srv/disk")
        # Loki's unit requires what is mounted there, and would go on to require the disk that is gone.
        host.run("sed", "--in-place", "/ .var.lib.loki /d", "/etc/fstab")
        host.run("systemctl", "daemon-reload")
        host.run("systemctl", "start", "loki-disk-guard")
