"""What Prometheus and the log host have of the requests that a test sent."""

import time
from datetime import UTC, datetime

from lib.cluster import Cluster
from lib.lines import Lines
from lib.prometheus import Prometheus
from lib.wait import wait_for, wait_until_none

# A pod of the service that ends takes along what it counted after its last scrape. Valkey stays.
INCREMENTS = 'redis_commands_total{cmd="incr"}'


class Counts:
    """Compares requests that are answered after :meth:`begin` with Valkey's increments and the lines on the log host.

    It needs an environment with logs and monitoring, and no other client that counts.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._prometheus, self._lines = Prometheus(cluster), Lines(cluster)

    def begin(self) -> None:
        """Wait until Prometheus has read what was counted before."""
        self._began = self._read()
        self._before = self._prometheus.value(INCREMENTS)

    def check(self, answered: int) -> None:
        """Fail unless Valkey has incremented once for each answered request, and each has a line on the log host."""
        # A surplus increment may come with the next scrape.
        self._read()
        since = datetime.fromtimestamp(self._began, UTC).strftime("%FT%T.%fZ")
        asked = f'_time:>={since} logger:="counter.request" method:="GET" path:="/" status:="200"'

        def differing() -> list[str]:
            increments = round(self._prometheus.value(INCREMENTS) - self._before)
            # By their requests: a line is there twice when the collector was killed meanwhile.
            (row,) = self._lines.query(f"{asked} | stats count_uniq(request_id) requests")
            known = {"increments": increments, "requests with a line": int(row["requests"])}
            return [f"{number} {what}" for what, number in known.items() if number != answered]

        wait_until_none(f"other than {answered} answered requests", differing, 90)

    def _read(self) -> float:
        """Wait until Prometheus has scraped Valkey's exporter once more, and return the time before that."""
        now = time.time()
        wait_for("Valkey's figures to be read", lambda: self._prometheus.query(f"timestamp(redis_up) > {now}"), 60)
        return now
