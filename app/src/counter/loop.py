"""uvloop, with what a connection writes in one turn sent as one piece.

uvicorn writes the head of an answer and then its body, and uvloop sends each at once: two system calls, and two
segments that wake the client twice. uvicorn takes a loop of one's own (https://uvicorn.dev/settings/); the rest is
asyncio's interface of protocols and transports.
"""

import asyncio
from typing import Any, cast

import uvloop


class _Transport:
    """A transport that sends at the end of the turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._call_soon(self._send)
        self._pieces.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            self._transport.write(b"".join(pieces))


class Loop(uvloop.Loop):
    """The event loop of a worker."""

    async def create_server(self, protocol_factory: Any, *args: Any, **kwargs: Any) -> Any:
        """Listen as uvloop does, and give the protocols such a transport."""

        def make() -> asyncio.BaseProtocol:
            protocol: Any = protocol_factory()

            def connection_made(transport: asyncio.Transport) -> None:
                del protocol.connection_made  # which leaves that of its class, and no cycle of references
                protocol.connection_made(_Transport(transport, self))

            protocol.connection_made = connection_made
            return cast(asyncio.BaseProtocol, protocol)

        return await super().create_server(make, *args, **kwargs)
