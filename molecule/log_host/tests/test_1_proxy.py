"""What nginx and the firewall let through, to whom, and whose lines it is about.

Behind nginx is a server that answers with what it got, in the place of Loki.
"""

from __future__ import annotations

import itertools
import json
import socket
import ssl
from typing import Any

import pytest
from lib.loki import LogHost, label

pytestmark = pytest.mark.usefixtures("backend")

CLOSED = [
    "/",
    "/flush",
    "/ingester/shutdown",
    "/ingester/prepare_shutdown",
    "/config",
    "/services",
    "/metrics",
    "/debug/pprof/",
    "/debug/pprof/heap",
    "/loki/api/v1/delete",
    "/loki/api/v1/rules",
    "/loki/api/v1/push/",
    "/loki/api/v1/push/../../../../flush",
    "/loki/api/v1/label/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/flush",
    "/loki/api/v1/label/x%2f..%2f..%2f..%2f..%2f..%2fflush/values",
    "//flush",
    "/ready/../flush",
]


def passed_on(machine: LogHost, method: str, path: str, login: str, **sent: Any) -> dict[str, Any]:
    """Send a request that nginx has to let through, and return what came out behind it."""
    status, body = machine.loki.request(method, path, login, **sent)
    assert status == 200, body
    got: dict[str, Any] = json.loads(body)
    return got


def test_push_and_query_pass_unchanged_but_for_the_login(machine: LogHost) -> None:
    pushed = passed_on(machine, "POST", "/loki/api/v1/push", "promtail", body=b"lines")
    assert (pushed["method"], pushed["path"], pushed["body"]) == ("POST", "/loki/api/v1/push", "lines")
    asked = passed_on(machine, "GET", "/loki/api/v1/label/job/values?since=1h&x=%2F", "reader")
    assert (asked["method"], asked["path"]) == ("GET", "/loki/api/v1/label/job/values?since=1h&x=%2F")
    for got in (pushed, asked):
        assert got["headers"]["X-Scope-OrgID"] == "counter"
        assert "Authorization" not in got["headers"]


@pytest.mark.parametrize(
    ("login", "password"),
    [(None, None), ("promtail", "wrong"), ("reader", "wrong"), ("nobody", "wrong"), ("", "wrong")],
)
def test_without_a_login_nothing_is_to_be_had(machine: LogHost, login: str | None, password: str | None) -> None:
    for method, path in (("POST", "/loki/api/v1/push"), ("GET", "/loki/api/v1/labels"), ("GET", "/ready")):
        status, body = machine.loki.request(method, path, login, password=password)
        assert status == 401, path
        assert "Loki" not in body


def test_a_login_may_do_its_own_thing_only(machine: LogHost) -> None:
    assert machine.loki.push(["not for readers"], label(), user="reader") == 401
    assert machine.loki.request("GET", "/loki/api/v1/labels", "promtail")[0] == 401
    assert machine.loki.request("GET", "/loki/api/v1/labels", "reader")[0] == 200


def test_whose_lines_it_is_about_is_not_for_the_client_to_say(machine: LogHost) -> None:
    claim = {"X-Scope-OrgID": "somebody"}
    for method, path, login in (("POST", "/loki/api/v1/push", "promtail"), ("GET", "/loki/api/v1/labels", "reader")):
        assert passed_on(machine, method, path, login, headers=claim)["headers"]["X-Scope-OrgID"] == "counter"


@pytest.mark.parametrize("path", CLOSED)
def test_other_paths_are_not_there(machine: LogHost, path: str) -> None:
    loki = machine.loki
    for method, login in itertools.product(("GET", "POST"), ("reader", "promtail")):
        assert loki.request(method, path, login)[0] in (404, 400), f"{method} by {login}"


def test_more_at_once_than_the_burst_is_refused(machine: LogHost) -> None:
    assert machine.loki.request("POST", "/loki/api/v1/push", "promtail", body=b"x" * (8 * 2**20 + 1))[0] == 413


def test_plain_http_is_refused(machine: LogHost) -> None:
    with socket.create_connection((machine.loki.address, 443), 5) as connection:
        connection.sendall(b"GET /ready HTTP/1.1\r\nHost: loki\r\nConnection: close\r\n\r\n")
        assert b" 400 " in connection.recv(100)


def test_certificate_is_of_the_environments_ca_and_tls_is_not_old(machine: LogHost) -> None:
    context = ssl.create_default_context(cafile=str(machine.loki.secrets / "ca.crt"))
    with (
        socket.create_connection((machine.loki.address, 443), 5) as connection,
        context.wrap_socket(connection, server_hostname=machine.name) as secure,
    ):
        assert secure.version() == "TLSv1.3"
    with socket.create_connection((machine.loki.address, 443), 5) as connection, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(connection, server_hostname=machine.name)
    old = ssl.create_default_context(cafile=str(machine.loki.secrets / "ca.crt"))
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection((machine.loki.address, 443), 5) as connection, pytest.raises(ssl.SSLError):
        old.wrap_socket(connection, server_hostname=machine.name)


# Which ports a host reaches: each tried with a new connection.
REACH = """
import json, socket, sys
def reaches(port):
    try:
        socket.create_connection((sys.argv[1], port), 1).close()
        return True
    except OSError:
        return False
print(json.dumps([port for port in map(int, sys.argv[2:]) if reaches(port)]))
"""


def test_another_host_reaches_443_and_nothing_else(machine: LogHost, other: LogHost) -> None:
    listen = "import socket, time; s = socket.create_server(('', 8000)); time.sleep(60)"
    machine.run("systemd-run", "--unit=listener", "python3", "-c", listen)
    try:
        ports = list(map(str, [22, 80, 443, 3100, 8000]))
        assert json.loads(machine.run("python3", "-c", REACH, "127.0.0.1", *ports)) == [443, 3100, 8000]
        assert json.loads(other.run("python3", "-c", REACH, machine.loki.address, *ports)) == [443]
    finally:
        machine.run("systemctl", "stop", "listener")
