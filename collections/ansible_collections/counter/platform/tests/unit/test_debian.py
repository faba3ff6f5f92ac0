"""What apt on this machine is set up with."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.debian import mirrors, update

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt on this machine")


def test_mirrors_are_those_of_debian() -> None:
    archive = mirrors()
    assert set(archive) == {"main", "security"}
    # The machine may have sources of others too, whose archives lack this file's origin line.
    for address, label in ((archive["main"], "Debian"), (archive["security"], "Debian-Security")):
        if not address:
            continue
        suite = "stable" if label == "Debian" else "stable-security"
        with urllib.request.urlopen(f"{address.rstrip('/')}/dists/{suite}/Release", timeout=30) as answer:  # noqa: S310
            release = answer.read(2000).decode()
        assert f"Label: {label}\n" in release


@pytest.mark.skipif(os.geteuid() != 0, reason="refreshes the package lists, which needs root")
def test_another_apt_that_refreshes_the_lists_is_waited_for() -> None:
    with Path("/var/lib/apt/lists/lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        released = threading.Timer(2, fcntl.lockf, (lock, fcntl.LOCK_UN))
        released.start()
        start = time.monotonic()
        update()
        assert time.monotonic() - start > 2
        released.join()
