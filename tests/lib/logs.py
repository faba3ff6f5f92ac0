"""A log host as a client sees it, behind TLS and a password, and the machine of its scenario."""

import hashlib
import json
import os
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlencode

import pytest
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers

from lib.command import Run, execute, status_of
from lib.docker import docker
from lib.paths import ROOT
from lib.wait import wait_for

Headers = dict[str, str]
Labels = dict[str, str]

ARCHIVE = os.environ.get("LOG_STORE_ARCHIVE", "")
"""Upstream's archive of Loki, a file; empty where there is none."""
needs_loki = pytest.mark.skipif(not ARCHIVE, reason="needs Loki: LOG_STORE_ARCHIVE names no archive of it")

LOST_SECONDS = {"victorialogs": 3.0, "loki": 0.0}
"""How much of what a store acknowledged before `kill -9` may be lost, in seconds, as its README says."""


def label() -> Labels:
    """Return labels that no other test uses."""
    return {"job": uuid.uuid4().hex}


def selector(labels: Labels) -> str:
    """Return what selects lines with these labels."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


# Source: https://protobuf.dev/programming-guides/encoding/, and of OTLP's messages common/v1/common.proto and
# logs/v1/logs.proto of https://github.com/open-telemetry/opentelemetry-proto.
def otlp_field(number: int, content: bytes) -> bytes:
    """Return a field of a protobuf message that has a length: a string, or a message."""
    size, written = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(written) + bytes([size]) + content


def otlp_attributes(number: int, values: Labels) -> bytes:
    """Return attributes as a repeated field of OTLP's messages."""
    pairs = (
        otlp_field(1, key.encode()) + otlp_field(2, otlp_field(1, value.encode())) for key, value in values.items()
    )
    return b"".join(otlp_field(number, pair) for pair in pairs)


def otlp_record(nanoseconds: int, line: str, fields: Labels) -> bytes:
    """Return a LogRecord, as a field of ScopeLogs."""
    # Field 1 has 8 bytes and no length.
    moment = bytes([1 << 3 | 1]) + nanoseconds.to_bytes(8, "little")
    return otlp_field(2, moment + otlp_field(5, otlp_field(1, line.encode())) + otlp_attributes(6, fields))


@dataclass(frozen=True)
class Logs:
    """A log host by the name in its certificate, and its log store, victorialogs or loki.

    The folder of secrets is the environment's, with the CA and a password for each user.
    """

    name: str
    address: str
    secrets: Path
    store: str = "victorialogs"

    def password(self, user: str) -> str:
        return (self.secrets / f"{user}-password").read_text()

    def request(
        self,
        method: str,
        path: str,
        user: str | None = None,
        *,
        password: str | None = None,
        body: bytes | None = None,
        headers: Headers | None = None,
    ) -> tuple[int, str]:
        """Send a request, its path as it is written, over a connection of its own; return status and body.

        Raises :class:`ConnectionError` when there is no answer.
        """
        if not self.address:
            raise ConnectionError(f"{self.name} has no address: it does not run")
        # A pool would write the path anew.
        connection = HTTPSConnection(
            self.address,
            ca_certs=str(self.secrets / "ca.crt"),
            server_hostname=self.name,
            assert_hostname=self.name,
            timeout=10,
        )
        sent = dict(headers or {})
        if user is not None:
            sent |= make_headers(basic_auth=f"{user}:{password or self.password(user)}")
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.data.decode(errors="replace")
        except HTTPError as error:
            raise ConnectionError(f"{method} {path} on {self.name}") from error
        finally:
            connection.close()

    def push(self, lines: list[str], labels: Labels, *, age: float = 0) -> int:
        """Push lines that are ``age`` seconds old, each a nanosecond after the one before; return the status."""
        first = time.time_ns() - round(age * 1e9)
        values = [[str(first + number), line] for number, line in enumerate(lines)]
        body = json.dumps({"streams": [{"stream": labels, "values": values}]}).encode()
        headers = {"Content-Type": "application/json"}
        return self.request("POST", "/loki/api/v1/push", "collector", body=body, headers=headers)[0]

    def pushed(self, *lines: str, age: float = 0) -> Labels:
        """Push lines with labels that no other test uses and return these; fail where they are not taken."""
        labels = label()
        assert self.push(list(lines), labels, age=age) == 204
        return labels

    def push_otlp(self, lines: list[str], resource: Labels, *, fields: Labels | None = None) -> int:
        """Push lines by OTLP, with attributes of their resource and of each line; return the status."""
        records = [otlp_record(time.time_ns() + number, line, fields or {}) for number, line in enumerate(lines)]
        body = otlp_field(1, otlp_field(1, otlp_attributes(1, resource)) + otlp_field(2, b"".join(records)))
        headers = {"Content-Type": "application/x-protobuf"}
        return self.request("POST", "/v1/logs", "collector", body=body, headers=headers)[0]

    def query(self, query: str, *, hours: float = 1) -> list[dict[str, str]]:
        """Return what a LogsQL query of the last hours finds in VictoriaLogs."""
        path = f"/select/logsql/query?{urlencode({'query': query, 'start': f'{hours:g}h'})}"
        status, body = self.request("GET", path, "reader")
        assert status == 200, f"{status} {body}"
        return [json.loads(line) for line in body.splitlines()]

    def lines(self, selector: str, *, hours: float = 1) -> list[str]:
        """Return all lines of the last hours that a selector finds, the oldest first."""
        if self.store == "victorialogs":
            return [record["_msg"] for record in self.query(f"{selector} | sort by (_time)", hours=hours)]
        query = {
            "query": selector,
            "start": str(time.time_ns() - round(hours * 3600e9)),
            "end": str(time.time_ns() + 10**9),
            "limit": "5000",
            "direction": "forward",
        }
        status, body = self.request("GET", f"/loki/api/v1/query_range?{urlencode(query)}", "reader")
        assert status == 200, f"{status} {body}"
        found = [value for stream in json.loads(body)["data"]["result"] for value in stream["values"]]
        return [line for _, line in sorted(found, key=lambda value: int(value[0]))]

    def wait_lines(self, selector: str, expected: list[str], *, hours: float = 1) -> None:
        """Return when a selector finds just these lines: VictoriaLogs finds a line some time after it took it."""
        seen: list[str] = []

        def found() -> bool:
            seen[:] = self.lines(selector, hours=hours)
            return seen == expected

        try:
            wait_for("the lines", found, 15)
        except TimeoutError:
            assert seen == expected


class LogHost:
    """The machine of the scenario, and what the role makes of it."""

    suite = os.environ.get("MACHINE_SUITE", "bookworm")
    name = f"counter-logs-{suite}"
    secrets = ROOT / ".state/log-host/logs"
    ports: ClassVar[dict[str, int]] = {"victorialogs": 9428, "loki": 3100}

    def __init__(self) -> None:
        self.store = "victorialogs"

    @property
    def logs(self) -> Logs:
        """The log host as its clients see it; its address may be another after a restart."""
        address = docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.name)
        return Logs(self.name, address, self.secrets, self.store)

    @property
    def data(self) -> str:
        return f"/var/lib/log-store/{self.store}"

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command on the machine and return what it prints."""
        return docker("exec", self.name, *command, check=check)

    def command(self, playbook: str, *arguments: str) -> list[str]:
        """Return what runs a playbook for this machine and its store, as the scenario does."""
        values = {"log_host_store": self.store}
        if ARCHIVE:
            values["log_host_loki_archive"] = ARCHIVE
            checksum = hashlib.sha256(Path(ARCHIVE).read_bytes()).hexdigest()
            values["log_host_loki_archive_checksum"] = f"sha256:{checksum}"
        inventory = os.environ["MOLECULE_INVENTORY_FILE"]
        return ["ansible-playbook", "-i", inventory, playbook, "-e", json.dumps(values), *arguments]

    def play(self, playbook: str, *arguments: str) -> Run:
        """Run a playbook for this machine and its store."""
        return execute(*self.command(playbook, *arguments))

    def role(self, *arguments: str, parts: list[str] | None = None) -> Run:
        """Run the role, or no more than the parts that are named."""
        chosen = ["-e", json.dumps({"parts": parts})] if parts else []
        return self.play("molecule/log_host/converge.yml", *chosen, *arguments)

    def own_port(self, path: str, tenant: str = "1") -> str:
        """Return what the store answers on its own port, which the machine alone reaches."""
        url = f"http://127.0.0.1:{self.ports[self.store]}{path}"
        request = f"u.Request('{url}', headers={{'X-Scope-OrgID': '{tenant}', 'AccountID': '{tenant}'}})"
        return self.run("python3", "-c", f"import urllib.request as u; print(u.urlopen({request}).read().decode())")

    def rights(self, unit: str) -> tuple[bool, int, str]:
        """Return of a unit's process whether it is root, its capabilities, and whether it may get no more."""
        pid = self.run("systemctl", "show", "--property=MainPID", "--value", unit)
        fields = status_of(self.run("cat", f"/proc/{pid}/status"))
        return int(fields["Uid"].split()[0]) == 0, int(fields["CapEff"], 16), fields["NoNewPrivs"]

    def is_ready(self) -> bool:
        try:
            return self.logs.request("GET", "/ready", "reader")[0] == 200
        except OSError:
            return False

    def wait_ready(self) -> None:
        wait_for(f"the log store on {self.name}", self.is_ready, 90)


class Writer:
    """Pushes a line at a time, without pause, and knows which were acknowledged, and when."""

    def __init__(self, machine: LogHost) -> None:
        self.labels = label()
        self.acknowledged: dict[str, float] = {}
        self._machine = machine
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def _write(self) -> None:
        logs, number = self._machine.logs, 0
        while not self._end.is_set() and number < 5000:
            number += 1
            line = f"line {number}"
            with suppress(OSError):
                if logs.push([line], self.labels) == 204:
                    self.acknowledged[line] = time.monotonic()
                    continue
            # It was not acknowledged, and what fails at once would fail again as fast. A machine that was restarted may
            # have another address.
            self._end.wait(0.2)
            logs = self._machine.logs

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=30)

    def wait(self, count: int) -> None:
        """Return when so many more lines have been acknowledged."""
        before = len(self.acknowledged)
        wait_for("lines", lambda: len(self.acknowledged) >= before + count, 60)

    def lost(self) -> list[str]:
        """Return the acknowledged lines that are not found, once all that are there can be found."""
        missing: list[str] = []

        def complete() -> bool:
            found = self._machine.logs.lines(selector(self.labels))
            assert len(found) == len(set(found)), "a line is there twice"
            missing[:] = sorted(set(self.acknowledged) - set(found), key=self.acknowledged.__getitem__)
            return not missing

        assert len(self.acknowledged) > 50
        with suppress(TimeoutError):
            wait_for("all lines", complete, 5)
        return missing
