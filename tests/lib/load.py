"""Clients that count without pause while something happens, and what each of them saw."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType


@dataclass
class Traffic:
    """Clients with a connection each, which they keep as long as they are let.

    Attributes:
        port: port of this machine that they ask.
        clients: how many there are.
        most: how many requests they send together before they end by themselves.
        counts: the number that each answered request produced.
        failures: what became of the others.
        seconds: how long each request took, answered or not.
    """

    port: int
    clients: int = 8
    most: int = 200_000
    counts: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._left = self.most
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._count, daemon=True) for _ in range(self.clients)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end.set()
        self.wait()

    def wait(self) -> None:
        """Return when every client has ended."""
        for thread in self._threads:
            thread.join(timeout=600)

    def _may_go_on(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0 and not self._end.is_set()

    def _count(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        failed = 0
        while self._may_go_on():
            started = time.monotonic()
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    self.counts.append(json.loads(body)["count"])
                else:
                    self.failures.append(f"{time.strftime('%T')} {answer.status} {body.decode(errors='replace')}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{time.strftime('%T')} {error!r}")
                connection.close()
            self.seconds.append(time.monotonic() - started)
            if len(self.failures) > failed:
                # What fails at once would fail again as fast.
                failed = len(self.failures)
                self._end.wait(0.1)
        connection.close()

    def check_exact(self) -> None:
        """Fail unless every request was answered, by a number of its own, with none left out in between."""
        assert not self.failures, f"{len(self.failures)} of {len(self.seconds)} requests failed: {self.failures[:5]}"
        counts = sorted(self.counts)
        assert counts
        twice = len(counts) - len(set(counts))
        gaps = counts[-1] - counts[0] + 1 - len(set(counts))
        assert (twice, gaps) == (0, 0), f"{twice} numbers twice and {gaps} left out of {len(counts)}"
