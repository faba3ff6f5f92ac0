"""What watching costs: processor time and memory of the monitoring's pods, without load and at a steady rate.

On an environment that stands with its monitoring; the figures are what Prometheus itself has of kubelet.
"""

from __future__ import annotations

import argparse
import time

from lib.cluster import Cluster
from lib.docker import docker
from lib.load import Load
from lib.prometheus import Prometheus

CLIENTS = 40
CPU = 'sum by (pod) (rate(container_cpu_usage_seconds_total{{namespace="monitoring",container!=""}}[{span}s]))'
MEMORY = 'sum by (pod) (container_memory_working_set_bytes{namespace="monitoring",container!=""})'


def send(port: int, rate: int, seconds: int) -> None:
    """Send so many requests a second, each of which has to be counted."""
    started = time.monotonic()
    for second in range(seconds):
        Load(port, clients=CLIENTS).run(rate // CLIENTS).check_exact()
        time.sleep(max(0, started + second + 1 - time.monotonic()))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", default="local")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--rate", type=int, default=1000, help="requests in a second")
    parser.add_argument("--seconds", type=int, default=120, help="of each phase")
    options = parser.parse_args()
    cluster = Cluster(options.environment)
    prometheus = Prometheus(cluster)

    def measured() -> dict[str, tuple[float, float]]:
        """Return processors and MiB of each pod."""
        memory = {labels["pod"]: value for labels, value in prometheus.query(MEMORY)}
        cpu = {labels["pod"]: value for labels, value in prometheus.query(CPU.format(span=options.seconds))}
        return {pod: (cpu[pod], memory[pod] / 2**20) for pod in sorted(cpu)}

    time.sleep(options.seconds)
    idle = measured()
    started = time.monotonic()
    send(options.port, options.rate, options.seconds)
    rate = options.rate * options.seconds / (time.monotonic() - started)
    loaded = measured()
    series = prometheus.value("prometheus_tsdb_head_series")
    print(f"{series:.0f} series; {rate:.0f} requests/s for {options.seconds} s\n")
    print("| pod | CPU idle, of one processor | memory idle, MiB | CPU under load | memory under load |")
    print("|---|---|---|---|---|")
    for pod, (cpu, memory) in idle.items():
        more_cpu, more_memory = loaded.get(pod, (0, 0))
        print(f"| {pod} | {cpu:.1%} | {memory:.0f} | {more_cpu:.1%} | {more_memory:.0f} |")
    print("\n| container | memory |\n|---|---|")
    for name in (cluster.node, f"{cluster.name}-logs"):
        print(f"| {name} | {docker('stats', '--no-stream', '--format={{.MemUsage}}', name).split(' / ')[0]} |")


if __name__ == "__main__":
    main()
