"""What lines cost: processor time and memory of the collector and the log host at a steady rate.

On an environment that stands with its logs. A pod writes lines like the service's; everything else that writes there
meanwhile is measured with it.
"""

from __future__ import annotations

import argparse
import time

from lib.cluster import Cluster
from lib.docker import docker
from lib.lines import NAMESPACE, Lines, unique

WRITER = """
import json, time
line = {{"time": "", "level": "info", "logger": "counter.request", "pid": 7, "message": "request", "method": "GET",
        "path": "/", "status": 200, "duration_ms": 0.257, "request_id": "", "run": {run!r}}}
started = time.monotonic()
for tick in range({seconds} * 10):
    for number in range({rate} // 10):
        line["request_id"] = f"{{tick:08x}}{{number:024x}}"
        print(json.dumps(line))
    print(end="", flush=True)
    time.sleep(max(0, started + (tick + 1) / 10 - time.monotonic()))
"""


def processes(container: str, program: str) -> list[tuple[float, int]]:
    """Return processor time in seconds and resident memory in KiB of each process of a program in a container."""
    script = (
        f"for pid in $(pgrep --exact {program}); do "
        "echo $(cut -d' ' -f14,15 /proc/$pid/stat) $(grep VmRSS /proc/$pid/status); done"
    )
    rows = [line.split() for line in docker("exec", container, "bash", "-c", script).splitlines()]
    return [((int(user) + int(system)) / 100, int(memory)) for user, system, _, memory, _ in rows]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", default="local")
    parser.add_argument("--rate", type=int, default=1000, help="lines in a second")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    cluster = Cluster(options.environment)
    lines = Lines(cluster)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    try:
        run, count = unique(), options.rate * options.seconds
        programs = {"collector": cluster.node, "nginx": lines.host, "log-store": lines.host}
        lines.start(bench=WRITER.format(run=run, rate=options.rate, seconds=options.seconds))
        found = f"run:={run} | stats count() lines"
        lines.query_until(f"run:={run} | limit 1", 1)
        before = {program: processes(host, program) for program, host in programs.items()}
        started = time.monotonic()
        lines.wait_for_end("bench", seconds=options.seconds + 60)
        passed = time.monotonic() - started
        after = {program: processes(host, program) for program, host in programs.items()}
        time.sleep(10)
        (arrived,) = lines.query(found)
        print(f"{options.rate} lines/s for {passed:.0f} s; {arrived['lines']} of {count} arrived\n")
        print("| program | CPU, of one processor | memory, MiB |\n|---|---|---|")
        for program, rows in after.items():
            if rows:
                used = sum(seconds for seconds, _ in rows) - sum(seconds for seconds, _ in before[program])
                print(f"| {program} | {100 * used / passed:.1f} % | {sum(memory for _, memory in rows) / 1024:.0f} |")
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


if __name__ == "__main__":
    main()
