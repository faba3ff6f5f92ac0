"""``python -m counter``: run the service in the foreground."""

import logging
import os
import sys
from collections.abc import Callable

from counter import logs
from counter.config import ConfigError, Settings, load
from counter.server import Server
from counter.stores import Store, open_store

_log = logging.getLogger("counter")


def main(make_store: Callable[[Settings], Store] = open_store) -> int:
    """Run until told to stop.

    Args:
        make_store: makes the store, before the workers fork.

    Returns:
        ``EX_CONFIG`` (78) when the service cannot start as configured; gunicorn exits by itself otherwise.
    """
    logs.configure("info")
    try:
        settings, warnings = load(os.environ)
        logs.configure(settings.log_level)
        for warning in warnings:
            _log.warning("%s", warning)
        server = Server(settings, make_store)
    except ConfigError as error:
        for problem in error.problems:
            _log.error("%s", problem)
        return os.EX_CONFIG
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
