"""Waiting for what others do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_for(what: str, condition: Callable[[], Any], seconds: float, every: float = 1) -> float:
    """Return after how many seconds ``condition`` became true; fail, naming ``what``, when it does not in time."""
    started = time.monotonic()
    while not condition():
        passed = time.monotonic() - started
        assert passed < seconds, f"{what}: not within {seconds} s"
        time.sleep(every)
    return time.monotonic() - started
