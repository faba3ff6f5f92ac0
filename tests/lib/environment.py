"""The environment that tests of roles talk to: a scenario's own, or the site that `make test` has deployed once.

``python -m lib.environment`` succeeds where its service is ready.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lib.command import Run, execute
from lib.network import answers
from lib.paths import ROOT

NAME = os.environ.get("COUNTER_TEST_ENVIRONMENT", "molecule")
PORT = {"local": 8080, "molecule": 8088}[NAME]
URL = f"http://127.0.0.1:{PORT}/"
READY = f"{URL}readyz"
# A scenario's inventory is gone when its tests run a playbook: they take the one of `local` with a scenario's values.
_SETTINGS = "@molecule/shared/inventory/group_vars/all/settings.yml"
_SCENARIO = () if NAME == "local" else ("-e", _SETTINGS, "-e", f"platform_http_port={PORT}")
# None of the environment's addresses is one that a proxy knows.
_PROXIES = {"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1"}
OPTIONS = ("-i", "inventories/local", "-e", f"platform_environment={NAME}", *_SCENARIO)


@contextmanager
def turn() -> Iterator[None]:
    """Wait for other jobs' playbooks on the environment: two at once refuse each other."""
    (ROOT / ".state").mkdir(mode=0o700, exist_ok=True)
    with (ROOT / ".state" / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def site(*arguments: str, tag: str = "app") -> Run:
    """Run one capability with its prerequisites, the application by default, on the environment."""
    with turn():
        command = ["ansible-playbook", *OPTIONS, "site.yml", "--tags", tag]
        return execute(*command, *arguments, environment=_PROXIES)


def playbook(name: str, *arguments: str) -> Run:
    """Run a playbook on the environment."""
    with turn():
        return execute("ansible-playbook", *OPTIONS, f"playbooks/{name}.yml", *arguments, environment=_PROXIES)


if __name__ == "__main__":
    sys.exit(not answers(READY))
