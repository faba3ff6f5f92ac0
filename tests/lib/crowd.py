"""A crowd: clients that hold connections and want little or nothing by them."""

import asyncio
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

PAUSE = 5.0
"""Seconds until a client whose connection was ended opens another."""
AT_ONCE = 200
"""How many connections are opened at the same time: more than a queue for them would be lost, not refused."""
HEAD = b"GET / HTTP/1.1\r\nHost: test\r\n"


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
        self._slow = [False] * idle + [True] * slow
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * len(self._slow) + 1024)), hard))

    @contextmanager
    def there(self) -> Iterator["Crowd"]:
        """Let it be there as long as the block runs."""
        with (
            closing(asyncio.new_event_loop()) as loop,
            ThreadPoolExecutor(1) as pool,
            suppress(asyncio.CancelledError),
        ):
            crowd = loop.create_task(self._run())
            ended = pool.submit(loop.run_until_complete, crowd)
            try:
                yield self
            finally:
                loop.call_soon_threadsafe(crowd.cancel)
            ended.result()

    async def _run(self) -> None:
        door = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._client(door, is_slow=slow) for slow in self._slow))

    async def _client(self, door: asyncio.Semaphore, *, is_slow: bool) -> None:
        while True:
            with suppress(OSError):
                async with door:
                    reader, writer = await asyncio.open_connection(*self._address)
                self.held += 1
                self.most = max(self.most, self.held)
                try:
                    writer.write(HEAD + (b"X-Slow: " if is_slow else b"\r\n"))
                    # Until the other side ends the connection.
                    while not reader.at_eof():
                        with suppress(TimeoutError):
                            async with asyncio.timeout(1 if is_slow else None):
                                await reader.read(1024)
                        if is_slow:
                            writer.write(b"x")
                finally:
                    self.held -= 1
                    writer.transport.abort()
            await asyncio.sleep(PAUSE)
