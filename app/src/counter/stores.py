"""Where the count lives: a shared memory page, or a Valkey (Redis) server."""

import asyncio
from typing import Protocol

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from counter.config import ConfigError, Settings
from counter.page import SharedPage, load_fetch_add

# Far from the page's first word, so that readers of the magic number stay off the counter's cache line.
_COUNT_WORD = 8


class StoreError(Exception):
    """The store gave no certain answer: an increment may or may not have happened, and is not sent again.

    Args:
        reason: "timeout", "connection" or "reply".
        detail: what the store or the system said.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Store(Protocol):
    """What the service needs of a store. An instance is made before the workers fork."""

    async def increment(self) -> int:
        """Add one and return the value that this very addition produced.

        Raises:
            StoreError: the value is not known.
        """

    async def check(self) -> None:
        """Return when the store answers.

        Raises:
            StoreError: it does not.
        """

    async def close(self) -> None:
        """Let go of connections; called in each worker at its end."""


class PageStore:
    """The count in a shared memory page: exact over all processes that have the page.

    Args:
        page: the page, opened before the fork.
    """

    def __init__(self, page: SharedPage) -> None:
        self._page = page

    async def increment(self) -> int:
        """See :class:`Store`."""
        return self._page.add(_COUNT_WORD)

    async def check(self) -> None:
        """Mapped memory always answers."""

    async def close(self) -> None:
        """The page goes with the process."""


class ValkeyStore:
    """The count under one key of a Valkey server, by INCR (https://valkey.io/commands/incr/).

    Args:
        settings: the ``valkey_*`` fields; ``valkey_address`` is set.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.valkey_address is not None
        self._key = settings.valkey_key
        self._timeout = settings.valkey_timeout
        pool = BlockingConnectionPool(
            host=settings.valkey_address.host,
            port=settings.valkey_address.port,
            db=settings.valkey_db,
            username=settings.valkey_username,
            password=settings.valkey_password,
            max_connections=settings.valkey_connections,
            timeout=self._timeout,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            # A lost reply does not tell whether the increment happened: repeating it would skip a value.
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            protocol=2,
            lib_name=None,
            lib_version=None,
        )
        self._client = Redis(connection_pool=pool)

    async def increment(self) -> int:
        """See :class:`Store`."""
        value = await self._ask("INCR", self._key)
        if not isinstance(value, int):
            raise StoreError("reply", "INCR was not answered by a number")
        return value

    async def check(self) -> None:
        """See :class:`Store`."""
        await self._ask("PING")

    async def close(self) -> None:
        """See :class:`Store`."""
        await self._client.aclose()

    async def _ask(self, *command: str) -> object:
        try:
            # One bound over waiting for a connection, connecting, sending and the reply together.
            async with asyncio.timeout(self._timeout):
                reply: object = await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
                return reply
        except (TimeoutError, RedisTimeoutError) as error:
            raise StoreError("timeout", f"no answer within {self._timeout:g} s") from error
        except (RedisConnectionError, OSError) as error:
            raise StoreError("connection", str(error)) from error
        except RedisError as error:
            raise StoreError("reply", str(error)) from error


def open_store(settings: Settings) -> Store:
    """Make the store that the settings ask for.

    Raises:
        ConfigError: the page file cannot be used.
    """
    if settings.store == "valkey":
        return ValkeyStore(settings)
    try:
        return PageStore(SharedPage.in_file(settings.page_file, load_fetch_add()))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            [
                f"COUNTER_PAGE_FILE={str(settings.page_file)!r} cannot be used: {reason}; "
                "remove the file or name another one"
            ]
        ) from error
