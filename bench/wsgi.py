"""The least a counter can be under gunicorn's WSGI workers: no logs, no metrics, and one process only."""

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

_lock = threading.Lock()
_count = 0


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Count and answer (PEP 3333)."""
    global _count
    with _lock:
        _count += 1
        value = _count
    body = json.dumps({"count": value}).encode()
    start_response(
        "200 OK",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")],
    )
    return [body]
