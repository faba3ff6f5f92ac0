"""What the report says where it cannot be written; molecule/monitoring writes one."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules import metrics_report


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ("1h", "Prometheus cannot be asked: there is no .*/kubectl, which `make up` makes"),
        ("week", "as in 30m, 6h or 2d"),
    ],
)
def test_report_that_cannot_be_written(tmp_path: Path, span: str, message: str) -> None:
    given = {"kubectl": str(tmp_path / "kubectl"), "kubeconfig": "none", "namespace": "monitoring", "span": span}
    with pytest.raises(CommandError, match=message):
        metrics_report.ensure(
            {**given, "title": "none", "dest": str(tmp_path / "report/index.html"), "owner": 0}, check_mode=False
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dropped", [0, metrics_report.ATTEMPTS - 1, metrics_report.ATTEMPTS])
def test_connection_that_is_dropped_is_made_again(dropped: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for number in range(metrics_report.ATTEMPTS):
                client, _ = server.accept()
                with client:
                    client.recv(65536)
                    if number == dropped:
                        client.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"data": "answered"}')
                        return

        with ThreadPoolExecutor() as pool:
            served = pool.submit(serve)
            prometheus = metrics_report.Prometheus(f"http://127.0.0.1:{server.getsockname()[1]}")
            expected = pytest.raises(CommandError, match="no answer in 3 attempts: Remote end closed connection")
            with expected if dropped == metrics_report.ATTEMPTS else contextlib.nullcontext():
                assert prometheus.ask("query", query="up") == "answered"
            served.result(timeout=10)
