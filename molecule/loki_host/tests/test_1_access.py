"""Who gets to Loki, by which way, and whose lines it is about."""

from __future__ import annotations

import json
import socket
import ssl

import pytest
from platform_loki import Machine, label, selector

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


def test_pushed_lines_are_found_by_query(machine: Machine) -> None:
    labels, lines = label(), [f"line {number} ü" for number in range(100)]
    assert machine.loki.push(lines, labels) == 204
    assert machine.loki.lines(selector(labels)) == lines
    status, body = machine.loki.request("GET", "/loki/api/v1/label/job/values", "reader")
    assert status == 200
    assert labels["job"] in json.loads(body)["data"]


@pytest.mark.parametrize(
    ("login", "password"),
    [(None, None), ("promtail", "wrong"), ("reader", "wrong"), ("nobody", "wrong"), ("", "wrong")],
)
def test_without_a_login_nothing_is_to_be_had(machine: Machine, login: str | None, password: str | None) -> None:
    for method, path in (("POST", "/loki/api/v1/push"), ("GET", "/loki/api/v1/labels"), ("GET", "/ready")):
        status, body = machine.loki.request(method, path, login, password=password)
        assert status == 401, path
        assert "Loki" not in body


def test_a_login_may_do_its_own_thing_only(machine: Machine) -> None:
    assert machine.loki.push(["not for readers"], label(), login="reader") == 401
    assert machine.loki.request("GET", "/loki/api/v1/labels", "promtail")[0] == 401
    assert machine.loki.request("GET", "/loki/api/v1/labels", "reader")[0] == 200


def test_whose_lines_it_is_about_is_not_for_the_client_to_say(machine: Machine) -> None:
    labels, claim = label(), {"X-Scope-OrgID": "somebody"}
    assert machine.loki.push(["mine"], labels, headers=claim) == 204
    assert machine.loki.lines(selector(labels), headers=claim) == ["mine"]

    path = "/loki/api/v1/label/job/values?since=1h"
    assert labels["job"] in machine.own_port(path, "counter")
    assert labels["job"] not in machine.own_port(path, "somebody")


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_paths_are_not_there(machine: Machine, path: str, method: str) -> None:
    for login in ("reader", "promtail"):
        assert machine.loki.request(method, path, login)[0] in (404, 400)


def test_plain_http_is_refused(machine: Machine) -> None:
    with socket.create_connection((machine.loki.address, 443), 5) as connection:
        connection.sendall(b"GET /ready HTTP/1.1\r\nHost: loki\r\nConnection: close\r\n\r\n")
        assert b" 400 " in connection.recv(100)
    with pytest.raises(TimeoutError):
        socket.create_connection((machine.loki.address, 80), 2)


def test_certificate_is_of_the_environments_ca_and_tls_is_not_old(machine: Machine) -> None:
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


# What another host reaches: each port tried with a new connection.
REACH = """
import json, socket, sys
def reaches(port):
    try:
        socket.create_connection((sys.argv[1], port), 2).close()
        return True
    except OSError:
        return False
print(json.dumps([port for port in map(int, sys.argv[2:]) if reaches(port)]))
"""


def test_another_host_reaches_443_and_nothing_else(machine: Machine, other: Machine) -> None:
    listen = "import socket, time; s = socket.create_server(('', 8000)); time.sleep(60)"
    machine.run("systemd-run", "--unit=listener", "python3", "-c", listen)
    try:
        ports = [22, 80, 443, 3100, 7946, 8000, 9095]
        assert json.loads(machine.run("python3", "-c", REACH, "127.0.0.1", *map(str, ports))) == [443, 3100, 8000, 9095]
        reached = other.run("python3", "-c", REACH, machine.loki.address, *map(str, ports))
        assert json.loads(reached) == [443]
    finally:
        machine.run("systemctl", "stop", "listener")
