"""The receiver of alerts that monitoring_webhook_url names: this machine, at the gateway of the cluster's network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from lib.cluster import Cluster
from lib.docker import docker
from lib.network import serving

PORT = 9911


class Webhook:
    """What Alertmanager has sent: a status, and the labels of the alert that has it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

    def has(self, status: str, alert: str, **labels: str) -> bool:
        """Return whether an alert with these labels was sent with this status."""
        wanted = {"alertname": alert, **labels}.items()
        return any(status == sent and wanted <= found.items() for sent, found in self.seen)


@contextmanager
def webhook(cluster: Cluster) -> Iterator[Webhook]:
    """Receive alerts as long as the block runs."""
    received = Webhook()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            alerts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"]
            received.seen += [(alert["status"], alert["labels"]) for alert in alerts]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    (network,) = json.loads(docker("network", "inspect", cluster.name))
    gateway = next(entry["Gateway"] for entry in network["IPAM"]["Config"] if ":" not in entry["Gateway"])
    with serving(Receiver, gateway, PORT):
        yield received
