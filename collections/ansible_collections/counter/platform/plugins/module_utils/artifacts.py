# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""A store of build results, each in a directory named by the hash of everything that went into it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

DAY_SECONDS = 24 * 3600


def digest_of(inputs: Mapping[str, Any]) -> str:
    """Return the key of a result: 16 hex digits of the SHA-256 over its inputs as canonical JSON.

    Sixteen digits (64 bits) name a few hundred results without a collision and stay readable as an image tag.
    """
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()[:16]


def digest_of_tree(root: Path) -> str:
    """Return the SHA-256 (hex) over the names, execute bits and contents of all files below ``root``.

    Times and owners are left out: two clones of one commit give one digest. Raises :class:`NotADirectoryError` when
    ``root`` is no folder, which would otherwise have the digest of an empty one.
    """
    if not root.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(root))
    total = hashlib.sha256()
    files = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    for path in files:
        mode = "x" if os.access(path, os.X_OK) else "-"
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root)}\0{mode}\0{content}\n".encode())
    return total.hexdigest()


def write_whole(path: Path, content: str) -> None:
    """Write a file that is there whole or as it was before, also after a power cut."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    with staged.open("w", encoding="utf-8") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Progress:
    """Reports what a long step is doing, through a file that the progress callback prints from.

    A module's own output only appears when it ends, so minutes would pass in silence without it.
    """

    def __init__(self, cache: Path, label: str) -> None:
        self._path = cache / "progress"
        self._label = label

    def __call__(self, message: str) -> None:
        """Replace the current message by ``message`` (one line)."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        staged = self._path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        staged.write_text(f"{self._label}: {message}\n", encoding="utf-8")
        staged.replace(self._path)


class ArtifactStore:
    """Build results below ``cache/artifacts/NAME/KEY``; a directory is there whole or not at all.

    Args:
        cache: the cache folder.
        days: how long a result that nothing asks for stays; it goes when another of its name is made.
    """

    def __init__(self, cache: Path, days: int) -> None:
        self._root = cache / "artifacts"
        self._days = days

    def path(self, name: str, key: str) -> Path:
        """Return where the result ``name`` with ``key`` is, or would be."""
        return self._root / name / key

    def has(self, name: str, key: str) -> bool:
        """Return whether the result is complete, and record its use.

        For a result that root made, only root can record it; for anybody else a use of the last day is enough, and
        :class:`PermissionError` asks for root.
        """
        path = self.path(name, key)
        if not path.is_dir():
            return False
        try:
            os.utime(path)
        except PermissionError:
            if path.stat().st_mtime < time.time() - DAY_SECONDS:
                raise
        return True

    def build(self, name: str, key: str, make: Callable[[Path], None]) -> bool:
        """Make the result with ``make(directory)`` unless it is there; return whether it was made.

        Two runs at once build it once: the second waits for the first. What an interrupted run left behind is
        removed first. ``make`` writes into a fresh directory that is renamed into place when it returns.
        """
        folder = self._root / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock, _exclusive(lock):
            if self.has(name, key):
                return False
            for stale in folder.glob(".building-*"):
                shutil.rmtree(stale)
            staging = folder / f".building-{key}"
            staging.mkdir()
            make(staging)
            for path in [*staging.rglob("*"), staging]:
                if not path.is_symlink():
                    sync(path)
            staging.rename(self.path(name, key))
            sync(folder)
            self._drop_unused(folder)
            return True

    def ensure(self, name: str, key: str, make: Callable[[Path], None], *, check_mode: bool) -> bool:
        """Return whether the result was missing; outside check mode, make it then as :meth:`build` does."""
        return not self.has(name, key) if check_mode else self.build(name, key, make)

    def _drop_unused(self, folder: Path) -> None:
        oldest = time.time() - self._days * DAY_SECONDS
        for path in folder.iterdir():
            if path.is_dir() and path.stat().st_mtime < oldest:
                shutil.rmtree(path)


@contextmanager
def _exclusive(lock: IO[str]) -> Iterator[None]:
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
