"""Load: clients that send counting requests side by side, and what became of each request."""

import asyncio
import itertools
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, cast

PATIENCE = 10.0
"""Seconds that a client waits for a connection and an answer."""
PAUSE = 0.1
"""Seconds from a failure to the next request: what fails at once would fail again as fast."""

_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: close", re.IGNORECASE)


class NotExactError(AssertionError):
    """The numbers are not consecutive, or not each there once."""


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    last: bool


class _Connection(asyncio.Protocol):
    """A connection on which every request has to get one answer.

    http.client, in threads, takes three times the processor time for a request, which the service then lacks, and would
    take a second answer for that to the next request.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[_Answer] | None = None
        self._surplus = False

    async def ask(self) -> _Answer:
        """Send a request and return its answer; raise :class:`OSError` where the connection ends without one."""
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        return await self._answer

    def close(self) -> None:
        """Close the connection; raise :class:`AssertionError` where it brought more than one answer to a request."""
        self.transport.close()
        assert not self._surplus, "more than one answer to a request"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return
        if self._answer is None or self._answer.done() or len(body) > int(length[1]):
            self._surplus = True
            self.transport.close()
            return
        self._answer.set_result(_Answer(int(head[9:12]), body, last=_CLOSES.search(head) is not None))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed without an answer"))


class Load:
    """Clients with a connection each, which they keep as long as they are let; for one run.

    A request that fails is not sent again, as it may have been counted.

    Args:
        ports: ports of this machine that the clients ask, spread over them.
        clients: how many there are.

    Attributes:
        values: the number that each answered request got.
        statuses: how many answers had each status.
        unanswered: how many requests got no answer.
        failures: a line for each request that got no number: when, and what it got instead.
        seconds: how long each request took, answered or not.
    """

    def __init__(self, *ports: int, clients: int = 8) -> None:
        self.values: list[int] = []
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self.failures: list[str] = []
        self.seconds: list[float] = []
        self._ports = [ports[number % len(ports)] for number in range(clients)]
        self._end = threading.Event()

    def run(self, requests: int) -> Self:
        """Let each client send so many requests one after the other; return when all have an outcome."""
        asyncio.run(self._send(range(requests)))
        return self

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Let the clients send requests as long as the block runs; when it has ended, all have an outcome."""
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(asyncio.run, self._send(itertools.count()))
            try:
                yield self
            finally:
                self._end.set()
            sent.result()

    def check_exact(self, first: int | None = None) -> None:
        """Fail unless every request got a number of its own, with none left out in between.

        Args:
            first: the smallest number; None where others may have counted before.

        Raises:
            AssertionError: if there was no request, or one failed.
            NotExactError: if a number is there twice, is left out, or is smaller than ``first``.
        """
        assert not self.failures, f"{len(self.failures)} of {len(self.seconds)} requests failed: {self.failures[:5]}"
        assert self.values
        given = set(self.values)
        smallest = min(given) if first is None else first
        repeated = len(self.values) - len(given)
        missing = len(set(range(smallest, max(given) + 1)) - given)
        small = sum(value < smallest for value in given)
        if repeated or missing or small:
            raise NotExactError(f"{repeated} numbers repeated, {missing} missing, {small} smaller than {smallest}")

    async def _send(self, requests: Iterable[int]) -> None:
        async with asyncio.TaskGroup() as group:
            for port in self._ports:
                group.create_task(self._client(port, requests))

    async def _client(self, port: int, requests: Iterable[int]) -> None:
        loop = asyncio.get_running_loop()
        connection: _Connection | None = None
        for _ in requests:
            if self._end.is_set():
                break
            # The server may have closed it since the last answer.
            if connection is not None and connection.transport.is_closing():
                connection.close()
                connection = None
            started = time.monotonic()
            failure = ""
            try:
                async with asyncio.timeout(PATIENCE):
                    if connection is None:
                        _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
                    answer = await connection.ask()
            except OSError as error:
                self.unanswered += 1
                failure = repr(error)
                if connection is not None:
                    connection.close()
            else:
                self.statuses[answer.status] += 1
                if answer.status == 200:
                    self.values.append(json.loads(answer.body)["count"])
                else:
                    failure = f"{answer.status} {answer.body.decode(errors='replace')}"
                if answer.last:
                    connection.close()
            self.seconds.append(time.monotonic() - started)
            if failure:
                self.failures.append(f"{time.strftime('%T')} {failure}")
                await asyncio.sleep(PAUSE)
        if connection is not None:
            connection.close()
