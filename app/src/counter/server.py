"""gunicorn as the process that runs the service, uvicorn as what speaks HTTP in its workers."""

import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, ClassVar

from falcon.asgi import App, Request, Response
from gunicorn.app.base import BaseApplication
from uvicorn_worker import UvicornWorker

from counter.app import Lifecycle, create_app
from counter.config import ConfigError, Settings
from counter.logs import JsonLogger
from counter.metrics import Metrics
from counter.stores import Store, open_store

_log = logging.getLogger("counter.server")
# Listener, logs, pages, event loop, heartbeat and some to spare.
_OWN_FILES = 64


def worker_class(settings: Settings) -> type[UvicornWorker]:
    """gunicorn's worker, with uvicorn set up by https://uvicorn.dev/settings/."""

    class Worker(UvicornWorker):
        CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
            "http": "httptools",
            "loop": "counter.loop:Loop",
            "ws": "none",
            "lifespan": "on",
            "interface": "asgi3",
            # The service writes its own line per request, and does not ask who sent it.
            "access_log": False,
            "proxy_headers": False,
            "server_header": False,
            # Here and not in the application: what uvicorn itself answers is not to be kept either.
            "headers": [("Cache-Control", "no-store")],
            "limit_concurrency": settings.max_connections,
            "timeout_notify": 1,
            # What is left of the time to stop, less a second: requests end in an orderly way before the master kills.
            "timeout_graceful_shutdown": max(1, settings.graceful - settings.drain - 1),
        }

        def init_process(self) -> None:
            """Run the worker; called in the new process."""
            # What there is by now stays for good, and full collections need not look at it.
            gc.freeze()
            super().init_process()

        def init_signals(self) -> None:
            """Set what signals do until uvicorn takes them over, and again when it has ended."""
            super().init_signals()
            # uvicorn raises the signal that ended it once more. By default that is the end there and then.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

        async def callback_notify(self) -> None:
            """Tell the master that the worker is alive, and end with it."""
            await super().callback_notify()
            if os.getppid() != self.ppid:
                self.log.error("The master has gone")
                signal.raise_signal(signal.SIGTERM)

    return Worker


def gunicorn_options(settings: Settings) -> dict[str, Any]:
    """Settings of gunicorn.

    Returns:
        Values by the names of https://docs.gunicorn.org/en/stable/settings.html.
    """
    return {
        "bind": str(settings.bind),
        "workers": settings.workers,
        "worker_class": worker_class(settings),
        # The pages must be the same memory in all workers, so they are made before the fork.
        "preload_app": True,
        "keepalive": settings.keepalive,
        "graceful_timeout": settings.graceful,
        # Recycling a worker would cut its connections: requests would be lost.
        "max_requests": 0,
        # A heartbeat on a disk stalls with the disk, and the worker would be killed for it.
        "worker_tmp_dir": str(settings.runtime_dir),
        "control_socket_disable": True,
        "logger_class": JsonLogger,
        "loglevel": settings.log_level,
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
        info = {"version": settings.version, "pod": settings.pod, "store": settings.store}
        self.metrics = Metrics(info, settings.workers)
        self._store = make_store(settings)
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn for its settings; its own variables and files are not read."""
        for name, value in gunicorn_options(self.settings).items():
            self.cfg.set(name, value)

    def load(self) -> App[Request, Response]:
        """Called by gunicorn for the application, once, before the fork."""
        return create_app(self.settings, self._store, self.metrics, Lifecycle(self.settings.drain))
