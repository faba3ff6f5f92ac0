"""A crowd: clients that hold connections and want little or nothing by them."""

import asyncio
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Self

PAUSE = 5.0
"""Seconds until a client whose connection was ended opens another."""
AT_ONCE = 200
"""How many connections are opened at the same time: more than a queue for them would be lost, not refused."""


class Crowd:
    """Clients with a connection each, which they open again when it is ended; for one run.

    Args:
        host: an address of this machine, or of a node on it.
        port: there.
        idle: how many send one request that counts, and keep the connection.
        slow: how many send a head that does not end, a byte a second.

    Attributes:
        held: how many connections there are at the moment.
        most: how many there were at once at most.
    """

    def __init__(self, host: str, port: int, *, idle: int, slow: int) -> None:
        self.held = self.most = 0
        self._address = host, port
        self._clients = [self._idle] * idle + [self._slow] * slow
        self._end = threading.Event()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * len(self._clients) + 1024)), hard))

    @contextmanager
    def there(self) -> Iterator[Self]:
        """Let it be there as long as the block runs."""
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(asyncio.run, self._run())
            try:
                yield self
            finally:
                self._end.set()
            sent.result()

    async def _run(self) -> None:
        self._door = asyncio.Semaphore(AT_ONCE)
        clients = [asyncio.create_task(self._client(number)) for number in range(len(self._clients))]
        while not self._end.is_set():
            await asyncio.sleep(0.1)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self, number: int) -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                async with self._door:
                    reader, writer = await asyncio.open_connection(*self._address)
                self.held += 1
                self.most = max(self.most, self.held)
                try:
                    await self._clients[number](reader, writer)
                finally:
                    self.held -= 1
                    writer.transport.abort()
            await asyncio.sleep(PAUSE)

    async def _idle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        # It reads the answer, and goes on until the other side ends the connection.
        await reader.read(-1)

    async def _slow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\nX-Slow: ")
        while not reader.at_eof():
            writer.write(b"x")
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await reader.read(1024)
