"""A 4 KiB memory page of 64-bit words that processes share and add to without losing an addition."""

import ctypes
import fcntl
import logging
import mmap
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

PAGE_BYTES = 4096
WORD_BYTES = 8
WORDS = PAGE_BYTES // WORD_BYTES
# First word of a page kept in a file: a file of another kind must not be counted into.
MAGIC = int.from_bytes(b"COUNTER1", "little")
_WORD = struct.Struct("=Q")
_log = logging.getLogger("counter.page")
_SEQ_CST = 5  # __ATOMIC_SEQ_CST of GCC's __atomic built-ins

FetchAdd = Callable[[int, int, int], int]


def load_fetch_add() -> FetchAdd | None:
    """Find the atomic addition of 64-bit words.

    Returns:
        ``__atomic_fetch_add_8(address, amount, memory_order)`` of GCC's libatomic
        (https://gcc.gnu.org/wiki/Atomic/GCCMM/LIbrary), or None where the library is not installed.
    """
    try:
        # PyDLL keeps the interpreter lock: the call takes nanoseconds, handing the lock over takes longer.
        function = ctypes.PyDLL("libatomic.so.1")["__atomic_fetch_add_8"]
    except OSError:
        _log.warning("libatomic.so.1 not found: slower record locks are used instead")
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int)
    function.restype = ctypes.c_uint64
    return function


def _make_or_check(fd: int) -> None:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size not in (0, PAGE_BYTES):
        raise ValueError(f"not a counter page: a regular file of {PAGE_BYTES} bytes is expected")
    if status.st_size == 0:
        # Blocks are taken now: a full disk found out later is a SIGBUS in the middle of a request.
        os.posix_fallocate(fd, 0, PAGE_BYTES)
    found = _WORD.unpack(os.pread(fd, WORD_BYTES, 0))[0]
    if found == 0:  # just made, or its maker died at this point
        os.pwrite(fd, _WORD.pack(MAGIC), 0)
    elif found != MAGIC:
        raise ValueError("not a counter page: it does not start with COUNTER1")


class SharedPage:
    """Words shared by this process, its forks and whoever else opens the file.

    Not for several threads of one process when libatomic is missing: the record locks that stand in for it
    belong to a process.

    Args:
        fd: an open file of ``PAGE_BYTES`` bytes; the page takes it over.
        fetch_add: from :func:`load_fetch_add`; None uses a record lock on the file.
    """

    def __init__(self, fd: int, fetch_add: FetchAdd | None) -> None:
        self._fd = fd
        self._memory = mmap.mmap(fd, PAGE_BYTES, mmap.MAP_SHARED)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._fetch_add = fetch_add

    @classmethod
    def in_file(cls, path: Path, fetch_add: FetchAdd | None) -> "SharedPage":
        """Open the page kept in a file, or make the file.

        Args:
            path: the file; its directory must exist.
            fetch_add: see the class.

        Raises:
            OSError: the file cannot be opened, or there is no room for it.
            ValueError: the file is something else than such a page.
        """
        # No symbolic links: the default directory is one that every user may write to.
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # two services may be starting on one volume
            _make_or_check(fd)
            fcntl.flock(fd, fcntl.LOCK_UN)
            return cls(fd, fetch_add)
        except BaseException:
            os.close(fd)
            raise

    def add(self, index: int, amount: int = 1) -> int:
        """Add to a word in one indivisible step.

        Args:
            index: 0 to ``WORDS`` - 1.
            amount: what to add, modulo 2**64.

        Returns:
            The word's value right after this addition, before anybody else's.
        """
        fetch_add = self._fetch_add
        if fetch_add is not None:
            return fetch_add(self._address + index * WORD_BYTES, amount, _SEQ_CST) + amount
        offset = index * WORD_BYTES
        # The kernel drops a record lock when its holder dies, however it dies.
        fcntl.lockf(self._fd, fcntl.LOCK_EX, WORD_BYTES, offset)
        try:
            value: int = _WORD.unpack_from(self._memory, offset)[0] + amount
            _WORD.pack_into(self._memory, offset, value)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, WORD_BYTES, offset)
        return value
