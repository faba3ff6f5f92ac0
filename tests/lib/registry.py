"""A registry of its own: Debian's docker-registry, behind TLS and a login."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib.certificates import self_signed
from lib.command import run
from lib.network import free_port
from lib.wait import wait_for

CONFIG = """
version: 0.1
storage:
  filesystem: {{rootdirectory: {folder}/images}}
http:
  addr: {address}
  tls: {{certificate: {folder}/server.crt, key: {folder}/server.key}}
"""
AUTH = """
auth:
  htpasswd: {{realm: registry, path: {folder}/users}}
"""


@dataclass(frozen=True)
class Login:
    """How to get into a registry at a host and port: a user who may write, and the CA of its certificate, a file."""

    address: str
    user: str
    password: str
    ca: Path

    def options(self, lock: Path) -> list[str]:
        """Return what tells a playbook of it, but for the password, and of the lock file."""
        values = {
            "image_registry": f"{self.address}/platform",
            "image_registry_user": self.user,
            "image_registry_ca": self.ca,
            "image_lock": lock,
        }
        return [word for name, value in values.items() for word in ("-e", f"{name}={value}")]


@contextmanager
def registry(folder: Path, host: str = "127.0.0.1", *, is_open: bool = False) -> Iterator[Login]:
    """Run a registry with its images in a folder, at an address of this machine; an open one asks for no login."""
    folder.mkdir(exist_ok=True)
    address = f"{host}:{free_port(host)}"
    certificate, _ = self_signed(folder, host)
    login = Login(address, "mirror", "of-images", certificate)
    # The registry takes bcrypt alone.
    users = run("htpasswd", "-nbB", login.user, login.password).stdout
    (folder / "users").write_text(users)
    config = CONFIG if is_open else CONFIG + AUTH
    (folder / "config.yml").write_text(config.format(folder=folder, address=address))
    log = folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=stream, stderr=subprocess.STDOUT
        )
        try:

            def listens() -> bool:
                assert process.poll() is None, log.read_text()
                return "listening on" in log.read_text()

            wait_for("the registry", listens)
            yield login
        finally:
            process.terminate()
            process.wait()


def away(login: Login) -> Login:
    """Return a login to where no registry is."""
    return Login(f"127.0.0.1:{free_port()}", login.user, login.password, login.ca)
