"""What apt on this machine is set up with."""

from __future__ import annotations

import shutil
import urllib.request

import pytest
from ansible_collections.counter.platform.plugins.module_utils.debian import mirrors

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
