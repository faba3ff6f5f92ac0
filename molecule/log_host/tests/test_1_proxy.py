"""What nginx and the firewall let through, to whom, and whose lines it is about.

Behind nginx is a server that answers with what it got, in the place of the store. Loki's needs no Loki.
"""

import json
import socket
import ssl
from typing import Any

import pytest
from lib.docker import docker
from lib.logs import LogHost
from lib.wait import wait_for

PUSHING = {
    "victorialogs": {
        "/v1/logs": "/insert/opentelemetry/v1/logs",
        "/loki/api/v1/push": "/insert/loki/api/v1/push",
    },
    "loki": {"/v1/logs": "/otlp/v1/logs", "/loki/api/v1/push": "/loki/api/v1/push"},
}
QUERYING = {
    "victorialogs": [
        "/select/vmui",
        "/select/vmui/",
        "/select/vmui/assets/index-I_gKSIT2.css",
        "/select/buildinfo",
        "/select/logsql/query?query=%2A",
        "/select/logsql/tail?query=%2A",
        "/select/logsql/hits",
        "/select/logsql/field_names",
        "/select/logsql/stream_field_values",
        "/select/logsql/stats_query_range",
    ],
    "loki": [
        "/loki/api/v1/query_range?query=%7B%7D",
        "/loki/api/v1/labels",
        "/loki/api/v1/label/job/values?since=1h&x=%2F",
        "/loki/api/v1/index/stats",
    ],
}
HEALTH = {"victorialogs": "/health", "loki": "/ready"}
# Spelt in whatever way, it is one path with one login.
METRICS = [
    "/metrics", "/node/metrics", "/select/vmui/%2e%2e/%2e%2e/metrics", "/select/vmui/..%2f..%2fmetrics",
    "/select/logsql/../../metrics", "//metrics", "/ready/../node/metrics",
]  # fmt: skip
CLOSED = [
    "/", "/ready/", "/metrics/", "/node/", "/node/metrics/", "/flags", "/config", "/services", "/debug/pprof/",
    "/debug/pprof/heap", "/flush", "/ingester/shutdown", "/loki/api/v1/delete", "/loki/api/v1/rules",
    "/loki/api/v1/push/", "/loki/api/v1/push/../../../../flush",
    "/loki/api/v1/label/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/flush",
    "/loki/api/v1/label/x%2f..%2f..%2f..%2f..%2f..%2fflush/values", "/internal/force_flush", "/internal/partition/list",
    "/internal/select/query", "/delete/run_task", "/insert/jsonline", "/insert/loki/api/v1/push",
    "/insert/opentelemetry/v1/logs", "/select/tenant_ids", "/select/vmalert/api/v1/rules",
    "/select/vmui/%2e%2e/%2e%2e/flags", "/select/vmui/..%2f..%2fflags", "/select/logsql/../../flags",
    "/select/logsql/query/", "/metrics/../flags", "//flags", "/ready/../flags", "/health", "/otlp/v1/logs",
]  # fmt: skip
# The store of the scenario comes last: its backend stays until the end of this file.
each_store = pytest.mark.parametrize(
    "backend", [pytest.param("loki", marks=pytest.mark.soak), "victorialogs"], indirect=True, scope="module"
)
# Who gets what: the rows are those who ask, the columns what for.
ACCESS: dict[tuple[str | None, str | None], dict[str, int]] = {
    (None, None): {"push": 401, "query": 401, "metrics": 401, "ready": 401, "closed": 404},
    ("collector", "wrong"): {"push": 401, "query": 401, "metrics": 401, "ready": 401, "closed": 404},
    ("reader", "wrong"): {"push": 401, "query": 401, "metrics": 401, "ready": 401, "closed": 404},
    ("nobody", "wrong"): {"push": 401, "query": 401, "metrics": 401, "ready": 401, "closed": 404},
    ("collector", None): {"push": 200, "query": 401, "metrics": 401, "ready": 200, "closed": 404},
    ("reader", None): {"push": 401, "query": 200, "metrics": 401, "ready": 200, "closed": 404},
    ("prometheus", None): {"push": 401, "query": 401, "metrics": 200, "ready": 200, "closed": 404},
}


def paths(machine: LogHost, what: str) -> list[str]:
    return {
        "push": list(PUSHING[machine.store]),
        "query": QUERYING[machine.store],
        "metrics": METRICS,
        "ready": ["/ready"],
        "closed": CLOSED,
    }[what]


@each_store
def test_every_cell_of_the_access_table(backend: None, machine: LogHost) -> None:
    wrong = []
    for (user, password), row in ACCESS.items():
        for what, expected in row.items():
            # More wrong passwords at once are what another test is about.
            for path in paths(machine, what)[: 1 if password else None]:
                status, body = machine.logs.request(
                    "POST" if what == "push" else "GET", path, user, password=password, body=b"x"
                )
                # nginx itself answers a path that leads out of its root by 400.
                if status != expected and (what, status) != ("closed", 400):
                    wrong.append(f"{user} with {password or 'the right password'}, {path}: {status}, not {expected}")
                assert status == 200 or "headers" not in body
    assert not wrong, "\n".join(wrong)


def passed_on(machine: LogHost, method: str, path: str, user: str, **sent: Any) -> dict[str, Any]:
    """Send a request that nginx has to let through, and return what came out behind it."""
    status, body = machine.logs.request(method, path, user, **sent)
    assert status == 200, body
    got: dict[str, Any] = json.loads(body)
    return got


@each_store
def test_each_path_is_passed_to_the_stores_own(backend: None, machine: LogHost) -> None:
    for path, behind in PUSHING[machine.store].items():
        got = passed_on(machine, "POST", f"{path}?_stream_fields=pod", "collector", body=b"lines")
        # The query is the client's, and would decide what streams are made of.
        assert (got["method"], got["path"], got["body"]) == ("POST", behind, "lines")
        fields = "namespace,app,container,level" if path == "/v1/logs" else None
        assert got["headers"].get("VL-Stream-Fields") == fields
    for path in QUERYING[machine.store]:
        got = passed_on(machine, "GET", path, "reader")
        assert (got["method"], got["path"]) == ("GET", path)
    assert passed_on(machine, "GET", "/ready", "collector")["path"] == HEALTH[machine.store]


@each_store
def test_tenant_and_streams_are_not_for_the_client_to_choose(backend: None, machine: LogHost) -> None:
    claims = {
        "X-Scope-OrgID": "2", "AccountID": "2", "ProjectID": "2", "VL-Stream-Fields": "pod", "VL-Extra-Fields": "app=x",
        "Content-Type": "application/json", "Content-Encoding": "gzip",
    }  # fmt: skip
    pushed = [passed_on(machine, "POST", path, "collector", headers=claims) for path in PUSHING[machine.store]]
    queried = [passed_on(machine, "GET", path, "reader", headers=claims) for path in QUERYING[machine.store]]
    for got in (*pushed, *queried):
        headers = got["headers"]
        assert [headers[name] for name in ("X-Scope-OrgID", "AccountID", "ProjectID")] == ["1", "1", "0"]
        assert headers.get("VL-Stream-Fields") != "pod"
        assert not {"VL-Extra-Fields", "Authorization"} & set(headers)
        assert (headers["Content-Type"], headers["Content-Encoding"]) == ("application/json", "gzip")


@each_store
def test_guesses_are_limited_and_cost_nobody_else_anything(backend: None, machine: LogHost) -> None:
    machine.run("systemctl", "restart", "nginx")
    guesses = [machine.logs.request("GET", "/ready", "reader", password=f"guess {number}")[0] for number in range(40)]
    # Twenty at once, and then one in two seconds.
    assert guesses.count(401) in range(20, 30), guesses
    assert guesses.count(401) + guesses.count(429) == len(guesses)
    # From the same address, while guesses are refused.
    for user in ("reader", "collector"):
        assert [machine.logs.request("GET", "/ready", user)[0] for _ in range(20)] == [200] * 20
    assert machine.logs.request("GET", "/ready")[0] == 401, "a browser asks without a password first"


@each_store
def test_more_at_once_than_the_burst_is_refused(backend: None, machine: LogHost) -> None:
    for path in PUSHING[machine.store]:
        assert machine.logs.request("POST", path, "collector", body=b"x" * (8 * 2**20 + 1))[0] == 413


def test_plain_http_is_refused(machine: LogHost) -> None:
    with socket.create_connection((machine.logs.address, 443), 5) as connection:
        connection.sendall(b"GET /ready HTTP/1.1\r\nHost: logs\r\nConnection: close\r\n\r\n")
        assert b" 400 " in connection.recv(100)


def handshake(machine: LogHost, context: ssl.SSLContext) -> str | None:
    """Return the version of TLS that the proxy and a client agree on."""
    with (
        socket.create_connection((machine.logs.address, 443), 5) as connection,
        context.wrap_socket(connection, server_hostname=machine.name) as secure,
    ):
        return secure.version()


def test_certificate_is_of_the_environments_ca_and_tls_is_not_old(machine: LogHost) -> None:
    context = ssl.create_default_context(cafile=str(machine.secrets / "ca.crt"))
    assert handshake(machine, context) == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        handshake(machine, ssl.create_default_context())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(machine, context) == "TLSv1.2"
    # What Mozilla's intermediate list has no more.
    context.set_ciphers("ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA")
    with pytest.raises(ssl.SSLError):
        handshake(machine, context)
    context.set_ciphers("ALL")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        handshake(machine, context)


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


def test_another_host_reaches_443_and_nothing_else(machine: LogHost) -> None:
    listen = "import socket, time; s = socket.create_server(('', 8000)); time.sleep(60)"
    machine.run("systemd-run", "--unit=listener", "python3", "-c", listen)
    try:
        ports = list(map(str, [22, 80, 443, 9428, 8000]))
        wait_for("the store", machine.is_ready, 20)
        assert json.loads(machine.run("python3", "-c", REACH, "127.0.0.1", *ports)) == [443, 9428, 8000]
        other = ["run", "--rm", f"counter-platform/machine:{machine.suite}"]
        assert json.loads(docker(*other, "python3", "-c", REACH, machine.logs.address, *ports)) == [443]
    finally:
        machine.run("systemctl", "stop", "listener")


def test_firewall_came_before_the_proxy(machine: LogHost) -> None:
    since = machine.run("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", "nftables", "nginx")
    firewall, proxy = map(int, since.split())
    assert 0 < firewall < proxy
