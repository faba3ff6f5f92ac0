# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""By which settings Go works here."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path


def go_environment(cache: Path) -> dict[str, str]:
    """Return the variables that Go works by, with its own caches below the cache folder."""
    return {
        "CGO_ENABLED": "0",
        # Whatever the calling shell has for other work.
        "GOOS": "linux",
        "GOARCH": "amd64",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        # A result goes by its inputs, and the commit is none; nor does git answer root about another's clone.
        "GOFLAGS": "-buildvcs=false",
        "GOMODCACHE": str(cache / "go" / "mod"),
        "GOCACHE": str(cache / "go" / "build"),
    }


@contextlib.contextmanager
def compiling(cache: Path) -> Iterator[None]:
    """Keep Go's build cache in its place for as long as the block runs."""
    (cache / "go").mkdir(parents=True, exist_ok=True)
    with (cache / "go" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def drop_build_cache(cache: Path) -> None:
    """Remove Go's build cache, unless somebody compiles: gigabytes that no finished program needs."""
    builds = Path(go_environment(cache)["GOCACHE"])
    if builds.exists():
        with (cache / "go" / "lock").open("w") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(builds)


def drop_archives(cache: Path) -> None:
    """Remove the archives of modules whose source is unpacked beside them.

    Go compiles from the source, and compares with go.sum the hash that it has noted beside the archive (source: the
    module reference, module cache).
    """
    modules = Path(go_environment(cache)["GOMODCACHE"])
    downloads = modules / "cache" / "download"
    for archive in downloads.glob("**/@v/*.zip"):
        name = archive.parents[1].relative_to(downloads)
        is_whole = archive.with_suffix(".ziphash").exists() and not archive.with_suffix(".partial").exists()
        if is_whole and (modules / f"{name}@{archive.stem}").is_dir():
            archive.unlink(missing_ok=True)
