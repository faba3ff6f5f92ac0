"""Logs: one JSON object per line on standard output, the server's own lines too."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from gunicorn.glogging import Logger

from counter.config import LogLevel

# Longer writes to a pipe may be mixed with those of another worker: PIPE_BUF in pipe(7).
_PIPE_BUF = 4096
_LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def time_of_day(seconds: float) -> str:
    """Seconds since the epoch in the form of RFC 3339, in UTC and to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_line(line: bytes) -> bool:
    """Write a line or several, newlines included, to standard output in one piece.

    Returns:
        False when it is lost: a reader that has gone or a full disk must not fail a request.
    """
    try:
        return os.write(1, line) == len(line)
    except OSError:
        return False


class JsonFormatter(logging.Formatter):
    """Turns a record into one line of JSON below the size that a pipe takes in one piece."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record.

        Returns:
            An object with time (UTC), level, logger, pid, message and, where there is one, exception.
        """
        fields: dict[str, Any] = {
            "time": time_of_day(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage()[:1000],
        }
        if record.exc_info:
            # The end of a traceback names the error.
            fields["exception"] = self.formatException(record.exc_info)[-2000:]
        return json.dumps(fields)


class LineHandler(logging.Handler):
    """Writes records to standard output."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            write_line(self.format(record).encode() + b"\n")
        except Exception:
            self.handleError(record)


def configure(level: LogLevel) -> None:
    """Send everything that uses :mod:`logging`, and Python's warnings, through :class:`LineHandler`."""
    root = logging.getLogger()
    root.handlers = [LineHandler()]
    root.setLevel(_LEVELS[level])
    logging.captureWarnings(True)


class JsonLogger(Logger):
    """gunicorn's logger, whose handlers uvicorn's loggers are given too."""

    def setup(self, cfg: Any) -> None:
        """Set up as gunicorn does, then replace its plain-text handlers."""
        super().setup(cfg)
        self.error_log.handlers = [LineHandler()]


class RequestLog:
    """A line per request, assembled by hand: the logging module would cost more than the request.

    An instance is made in the worker. Lines are written together at the end of the event loop's turn, because under
    load a write for each would be a tenth of all work. A worker that is killed takes with it the lines of that turn.

    Args:
        level: requests are logged at info, probes at debug.
        lost: called with the number of lines that could not be written.
    """

    def __init__(self, level: LogLevel, lost: Callable[[int], None]) -> None:
        self.requests = _LEVELS[level] <= logging.INFO
        self.probes = _LEVELS[level] <= logging.DEBUG
        self._lost = lost
        self._lines: list[str] = []
        self._begin = ""
        self._origin = f'"logger": "counter.request", "pid": {os.getpid()}, "message": "request"'

    def write(self, probe: bool, method: str, path: str, status: int, seconds: float, request: str) -> None:
        """Write one line; called from a running event loop.

        Args:
            probe: whether the request is a health check or a scrape.
            method: one that httptools knows; it takes no other.
            path: as sent; cut to 256 characters.
            status: HTTP status.
            seconds: time it took.
            request: request id, free of characters that JSON would escape.
        """
        if not self._lines:
            # One time of day for all lines of a turn, which is shorter than a millisecond.
            self._begin = f'{{"time": "{time_of_day(time.time())}", "level": "'
            asyncio.get_running_loop().call_soon(self.flush)
        # The path that matters needs no escaping; every other came from outside.
        shown = '"/"' if path == "/" else json.dumps(path[:256])
        self._lines.append(
            f'{self._begin}{"debug" if probe else "info"}", {self._origin}, "method": "{method}", '
            f'"path": {shown}, "status": {status}, "duration_ms": {seconds * 1000:.3f}, "request_id": "{request}"}}\n'
        )

    def flush(self) -> None:
        """Write what has come together."""
        lines, self._lines = self._lines, []
        first = size = 0
        for number, line in enumerate(lines):
            size += len(line)
            if size > _PIPE_BUF:
                self._put(lines[first:number])
                first, size = number, len(line)
        self._put(lines[first:])

    def _put(self, lines: list[str]) -> None:
        if not write_line("".join(lines).encode()):
            self._lost(len(lines))
