"""What `make dashboards` opens after `make up`."""

import socket
from functools import partial

from lib.command import execute, until_interrupted
from lib.network import answers
from lib.wait import wait_for

# Prometheus has no page here: the link is one of its API.
LINKS = ("http://127.0.0.1:9093/", "http://127.0.0.1:9090/api/v1/query?query=up")


def test_links_answer_until_it_is_interrupted() -> None:
    with until_interrupted("make", "dashboards") as said:
        for link in LINKS:
            wait_for(link, partial(answers, link), 30)
    (output,) = said
    assert all(f" {link}\n" in output for link in LINKS), output
    assert not any(map(answers, LINKS))


def test_port_that_somebody_else_has_is_named() -> None:
    with socket.create_server(("127.0.0.1", 9093)):
        execute("make", "dashboards", timeout=60).failed("port 9093", "address already in use")
    assert not answers(LINKS[1])
