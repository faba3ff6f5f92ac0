"""``python -m counter``: run the service in the foreground."""

import logging
import os
import sys

from counter import logs
from counter.config import ConfigError, load
from counter.server import Server

_log = logging.getLogger("counter")


def main() -> int:
    """Run until told to stop.

    Returns:
        ``EX_CONFIG`` (78) when the service cannot start as configured; gunicorn exits by itself otherwise.
    """
    logs.configure("info")
    try:
        settings, warnings = load(os.environ)
        logs.configure(settings.log_level)
        for warning in warnings:
            _log.warning("%s", warning)
        server = Server(settings)
    except ConfigError as error:
        for problem in error.problems:
            _log.error("%s", problem)
        return os.EX_CONFIG
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
