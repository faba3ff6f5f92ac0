"""gunicorn as the process that runs the service."""

import logging
import resource
from collections.abc import Callable
from typing import Any

from falcon.asgi import App, Request, Response
from gunicorn.app.base import BaseApplication

from counter.app import Lifecycle, create_app
from counter.config import ConfigError, Settings
from counter.logs import JsonLogger
from counter.metrics import Metrics
from counter.page import SharedPage, load_fetch_add
from counter.stores import Store, open_store
from counter.worker import CounterWorker

_log = logging.getLogger("counter.server")
# Listener, logs, pages, event loop, heartbeat and some to spare.
_OWN_FILES = 64


def gunicorn_options(settings: Settings) -> dict[str, Any]:
    """Settings of gunicorn.

    Returns:
        Values by the names of https://docs.gunicorn.org/en/stable/settings.html.
    """
    return {
        "bind": str(settings.bind),
        "workers": settings.workers,
        "worker_class": CounterWorker,
        "worker_connections": settings.max_connections,
        "asgi_loop": "uvloop",
        "asgi_lifespan": "on",
        # The pages must be the same memory in all workers, so they are made before the fork.
        "preload_app": True,
        "keepalive": settings.keepalive,
        "graceful_timeout": settings.graceful,
        # Recycling a worker of this class cuts its connections: requests would be lost.
        "max_requests": 0,
        # A heartbeat on a disk stalls with the disk, and the worker would be killed for it.
        "worker_tmp_dir": str(settings.runtime_dir),
        "control_socket_disable": True,
        "http_parser": "python",
        "logger_class": JsonLogger,
        "loglevel": settings.log_level,
        # The service writes its own line per request.
        "accesslog": None,
        "proc_name": "counter",
    }


def allow_open_files(needed: int) -> None:
    """Raise this process's limit of open files as far as it may.

    Args:
        needed: files that one worker may have open.

    Raises:
        ConfigError: the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            [
                "COUNTER_MAX_CONNECTIONS cannot be used: with it a worker needs "
                f"{needed} open files and may have {hard}; "
                "set a smaller number or raise the limit (ulimit -Hn)"
            ]
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class Server(BaseApplication):
    """The service under gunicorn's master process.

    Args:
        settings: see :mod:`counter.config`.
        make_store: makes the store, before the workers fork.

    Raises:
        ConfigError: the store or the limits cannot be had as configured.
    """

    def __init__(self, settings: Settings, make_store: Callable[[Settings], Store] = open_store) -> None:
        allow_open_files(settings.max_connections + settings.valkey_connections + _OWN_FILES)
        self.settings = settings
        self.lifecycle = Lifecycle()
        fetch_add = load_fetch_add()
        if fetch_add is None:
            _log.warning("libatomic.so.1 not found: slower record locks are used instead")
        page = SharedPage.in_memory("counter-metrics", fetch_add)
        info = {"version": settings.version, "pod": settings.pod, "store": settings.store}
        self.metrics = Metrics(page, info, settings.workers)
        self._store = make_store(settings)
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn for its settings; its own variables and files are not read."""
        for name, value in gunicorn_options(self.settings).items():
            self.cfg.set(name, value)

    def load(self) -> App[Request, Response]:
        """Called by gunicorn for the application, once, before the fork."""
        return create_app(self.settings, self._store, self.metrics, self.lifecycle)
