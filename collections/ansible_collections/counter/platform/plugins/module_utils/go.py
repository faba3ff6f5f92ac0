# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""By which settings Go works here."""

from __future__ import annotations

from pathlib import Path


def go_environment(cache: Path) -> dict[str, str]:
    """Return the variables that Go works by, with its own caches below the cache folder."""
    return {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        # A result goes by its inputs, and the commit is none; nor does git answer root about another's clone.
        "GOFLAGS": "-buildvcs=false",
        "GOMODCACHE": str(cache / "go" / "mod"),
        "GOCACHE": str(cache / "go" / "build"),
    }
