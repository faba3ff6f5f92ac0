"""What is no sound HTTP/1 is not counted, and whoever sends it is told: the proxy in front of the service."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.harness import UNTRACED, Proxy, Service, needs_proxy

pytestmark = needs_proxy
CLOSE = b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Proxy]]:
    folder = tmp_path_factory.mktemp("protocol")
    with Service(folder, **UNTRACED) as service, Proxy(folder, service) as proxy:
        yield service, proxy


def status_of(answer: bytes) -> int:
    """Return the status of an answer, which has what every answer of the service has."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *headers = head.decode().lower().split("\r\n")
    named = dict(header.split(": ", 1) for header in headers)
    assert named["cache-control"] == "no-store"
    assert re.fullmatch("[a-z0-9._-]{1,64}", named["x-request-id"])
    assert named["content-type"] == "application/json"
    assert json.loads(body)
    return int(line.split()[1])


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("GET / HTTP/1.1", [], 400),
        ("GET / HTTP/1.1", ["Host: a b"], 400),
        ("GET / HTTP/1.1", ["Host: a/b"], 400),
        ("GET / HTTP/1.1", ["Host: [::1"], 400),
        ("GET / HTTP/1.0", ["Host: a@b"], 400),
        ("GET / HTTP/1.1", ["Host: a.example:80"], 200),
        ("GET / HTTP/1.1", ["Host: [::1]:8080"], 200),
        ("GET / HTTP/1.0", [], 200),
        ("GET http://a.example HTTP/1.1", ["Host: a.example"], 200),
        *((f"GET {path} HTTP/1.1", ["Host: a"], 404) for path in ("/nowhere", "/metrics", "//metrics", "/%6detrics")),
    ],
)
def test_only_a_sound_request_is_counted(
    pair: tuple[Service, Proxy], request_line: str, headers: list[str], status: int
) -> None:
    service, proxy = pair
    before = service.request("/").json["count"]
    sent = "\r\n".join([request_line, *headers]).encode() + b"\r\n" + CLOSE
    assert status_of(proxy.raw(sent)) == status
    assert service.request("/").json["count"] - before == 1 + (status == 200)


def test_http_2_with_prior_knowledge_is_not_counted(pair: tuple[Service, Proxy]) -> None:
    service, proxy = pair
    before = service.request("/").json["count"]
    # SETTINGS, and HEADERS that end a GET of / (RFC 7541, appendix B, indexed fields 2, 4 and 6).
    frames = bytes.fromhex("000000040000000000" + "000003010500000001" + "828486")
    assert b"HTTP/1.1 400 " in proxy.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames)
    assert service.request("/").json["count"] == before + 1


def test_answer_of_the_proxy_has_the_id_of_the_request(pair: tuple[Service, Proxy]) -> None:
    _, proxy = pair
    for given, kept in (("mine-1", True), ("not a name", False)):
        answer = proxy.request("/nowhere", X_Request_ID=given)
        assert (answer.status, answer.headers["x-request-id"] == given) == (404, kept)


def test_answer_of_the_server_below_the_service_is_the_proxys_own(pair: tuple[Service, Proxy]) -> None:
    """uvicorn has no words for a method that HAProxy passes on."""
    _, proxy = pair
    assert status_of(proxy.raw(b"NO! / HTTP/1.1\r\nHost: a\r\n" + CLOSE)) == 400
