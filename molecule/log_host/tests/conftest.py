"""The machine of the scenario, the stores on it, and something for nginx to pass requests to."""

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
    return LogHost()


def proxy_for(machine: LogHost, store: str) -> None:
    """Set up the proxy for a store; it needs no program of it."""
    machine.store = store
    # Loki's program, which the machine may lack, is no part of it.
    machine.role(parts=["host", "files"]).ok()
    machine.run("systemctl", "restart", "nginx")


@pytest.fixture(scope="module")
def backend(request: pytest.FixtureRequest, machine: LogHost) -> Iterator[None]:
    """The proxy of a store, and in the store's place a server that answers with what nginx passed on."""
    if request.param != "victorialogs":
        proxy_for(machine, request.param)
    machine.run("systemctl", "stop", "log-store")
    machine.run("systemd-run", "--unit=backend", "python3", "-c", BACKEND, str(machine.ports[machine.store]))
    wait_for("the backend", machine.is_ready, 20)
    yield
    machine.run("systemctl", "stop", "backend")
    machine.run("systemctl", "start", "log-store")
    if request.param != "victorialogs":
        proxy_for(machine, "victorialogs")
    machine.wait_ready()


@pytest.fixture(scope="module", params=["victorialogs", pytest.param("loki", marks=needs_loki)])
def store(request: pytest.FixtureRequest, machine: LogHost) -> LogHost:
    """The machine with each of the stores in turn."""
    if machine.store != request.param:
        machine.store = request.param
        machine.role().ok()
    return machine
