"""Services with a store of another make: ``python -m tests.planted NAME``.

The faults are those that the exactness test must find; the sound ones reach states that are hard to time.
"""

import asyncio
import fcntl
import os
import signal
import sys
import warnings
from collections.abc import Callable

from counter.__main__ import main
from counter.config import Settings
from counter.page import WORD_BYTES, SharedPage, load_fetch_add
from counter.stores import PageStore, Store

WORD = 8
DEADLY = 50


class _Planted(PageStore):
    def __init__(self, settings: Settings) -> None:
        super().__init__(SharedPage.in_file(settings.page_file, load_fetch_add()))


class NoAtomicStep(_Planted):
    """Reads and writes in two steps, between which others run."""

    async def increment(self) -> int:
        value = self._page.add(WORD, 0) + 1
        await asyncio.sleep(0)
        self._page.add(WORD, value - self._page.add(WORD, 0))
        return value


class ReadAfterLock(_Planted):
    """Adds under a lock and reads after it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.lock = asyncio.Lock()

    async def increment(self) -> int:
        async with self.lock:
            self._page.add(WORD)
        await asyncio.sleep(0)
        return self._page.add(WORD, 0)


class PerProcess(_Planted):
    """Each worker has a count of its own."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.count = 0

    async def increment(self) -> int:
        self.count += 1
        return self.count


class Slow(_Planted):
    """Sound, and takes three seconds."""

    async def increment(self) -> int:
        await asyncio.sleep(3)
        return self._page.add(WORD)


class _DeadlyPage(SharedPage):
    """Kills the process that makes the count 50, once it has the lock and before the value is written.

    The lock comes first: between a look at the count and an addition without it, another worker may add, so that
    nobody sees 49, or see 49 as well, so that both die.
    """

    def _read(self, index: int) -> int:
        return int.from_bytes(self._memory[index * WORD_BYTES : (index + 1) * WORD_BYTES], sys.byteorder)

    def add(self, index: int, amount: int = 1) -> int:
        if index == WORD:
            fcntl.lockf(self._fd, fcntl.LOCK_EX, WORD_BYTES, index * WORD_BYTES)
            if self._read(index) == DEADLY - 1 and self._read(WORD + 1) == 0:
                super().add(WORD + 1)  # the next worker lives
                os.kill(os.getpid(), signal.SIGKILL)
        # The process has the lock already, and asks for it once more: record locks are not counted.
        return super().add(index, amount)


class Deaf(_Planted):
    """Sound; the reader of standard output goes away with the first increment."""

    deaf = False

    async def increment(self) -> int:
        if not self.deaf:
            self.deaf = True
            reader, writer = os.pipe()
            os.dup2(writer, 1)
            os.close(reader)
        return self._page.add(WORD)


class Noisy(_Planted):
    """Sound; has the event loop and Python complain at each increment."""

    async def increment(self) -> int:
        asyncio.get_running_loop().call_exception_handler({"message": "planted"})
        warnings.warn("planted", stacklevel=1)
        return self._page.add(WORD)


STORES: dict[str, Callable[[Settings], Store]] = {
    "no-atomic-step": NoAtomicStep,
    "read-after-lock": ReadAfterLock,
    "per-process": PerProcess,
    "slow": Slow,
    "deaf": Deaf,
    "noisy": Noisy,
    "lockf": lambda settings: PageStore(SharedPage.in_file(settings.page_file, None)),
    "killed-inside": lambda settings: PageStore(_DeadlyPage.in_file(settings.page_file, None)),
}

if __name__ == "__main__":
    sys.exit(main(STORES[sys.argv[1]]))
