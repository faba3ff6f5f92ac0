"""Settings from the environment, checked once before anything is started."""

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from counter import __version__

StoreName = Literal["page", "valkey"]
LogLevel = Literal["debug", "info", "warning", "error"]

PREFIX = "COUNTER_"
# Kubernetes puts variables of this form into every pod for each Service of the namespace. A Service called
# "counter" or "counter-valkey" thereby owns names such as COUNTER_PORT: no setting may end like that.
_SERVICE_LINK = re.compile(r".*_(PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?|SERVICE_(HOST|PORT)(_\w+)?)")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._+-]{0,251}[A-Za-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9._:{}/-]{1,256}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")


class ConfigError(Exception):
    """The service cannot start as configured.

    Args:
        problems: one sentence per fault, each naming the variable, its value and what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address.

    Attributes:
        host: name or IP address, IPv6 without brackets.
        port: 0 (bind only: any free one) to 65535.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment asked for. README.md has the table of variables.

    Times are in seconds, counts are per worker unless the name says otherwise.
    """

    bind: Address
    workers: int
    max_connections: int
    store: StoreName
    page_file: Path
    runtime_dir: Path
    valkey_address: Address | None
    valkey_username: str | None
    valkey_password: str | None
    valkey_db: int
    valkey_key: str
    valkey_timeout: float
    valkey_connections: int
    pod: str
    version: str
    log_level: LogLevel
    keepalive: int
    drain: int
    graceful: int

    def __repr__(self) -> str:
        # The generated one would print the password wherever settings are logged.
        return f"Settings(bind={self.bind}, workers={self.workers}, store={self.store!r})"


class _Reader:
    """Reads variables one by one and collects what is wrong, so that one start shows every fault."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []
        self.known: set[str] = set()

    def raw(self, name: str) -> str | None:
        """Value of the variable, None when it is unset or empty."""
        self.known.add(name)
        return self._environ.get(name) or None

    def bad(self, name: str, want: str, *, secret: bool = False) -> None:
        shown = "(hidden)" if secret else repr(self._environ.get(name, ""))
        self.problems.append(f"{name}={shown} cannot be used: {want}")

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        text = self.raw(name)
        if text is None:
            return default
        if re.fullmatch(r"[0-9]{1,9}", text) and low <= int(text) <= high:
            return int(text)
        self.bad(name, f"set it to a whole number from {low} to {high}, or unset it for {default}")
        return default

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        text = self.raw(name) or default
        if text not in options:
            self.bad(name, f"set it to one of {', '.join(options)}, or unset it for {default}")
            return default
        return text

    def text(self, name: str, default: str, pattern: re.Pattern[str], want: str) -> str:
        text = self.raw(name) or default
        if not pattern.fullmatch(text):
            self.bad(name, want)
        return text

    def address(self, name: str, default: Address | None, lowest_port: int) -> Address | None:
        text = self.raw(name)
        if text is None:
            return default
        host, _, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host_ok = _IPV6.fullmatch(host[1:-1]) if bracketed else _HOST.fullmatch(host)
        if host_ok and re.fullmatch(r"[0-9]{1,5}", port) and lowest_port <= int(port) <= 65535:
            return Address(host[1:-1] if bracketed else host, int(port))
        self.bad(name, f"set it to HOST:PORT, port {lowest_port} to 65535, IPv6 in brackets like [::1]:8080")
        return default

    def path(self, name: str, default: str, holds: Callable[[Path], Path]) -> Path:
        """An absolute path; ``holds`` gives the directory that must exist and be writable for it."""
        path = Path(self.raw(name) or default)
        directory = holds(path)
        if not path.is_absolute():
            self.bad(name, f"set it to an absolute path, or unset it for {default}")
        elif not directory.is_dir() or not os.access(directory, os.W_OK | os.X_OK):
            self.problems.append(
                f"{name}={str(path)!r} cannot be used: {directory} is not a directory this user "
                f"(uid {os.geteuid()}) can write to; mount a writable volume there or set {name} elsewhere"
            )
        return path

    def password(self) -> str | None:
        """The store's password, from the variable or from the file that the other variable names."""
        direct, file = self.raw("COUNTER_VALKEY_PASSWORD"), self.raw("COUNTER_VALKEY_PASSWORD_FILE")
        if file is None:
            return direct
        if direct is not None:
            self.bad("COUNTER_VALKEY_PASSWORD", "unset it or COUNTER_VALKEY_PASSWORD_FILE", secret=True)
            return None
        try:
            content = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self.bad("COUNTER_VALKEY_PASSWORD_FILE", f"{reason}; name a file this user can read")
            return None
        if not content:
            self.bad("COUNTER_VALKEY_PASSWORD_FILE", "the file is empty; put the password on its first line")
        return content

    def unknown(self) -> list[str]:
        """Variables that look like settings and are not; a misspelt one would otherwise pass unseen."""
        ours = (name for name in self._environ if name.startswith(PREFIX) and name not in self.known)
        return sorted(name for name in ours if not _SERVICE_LINK.fullmatch(name))


def load(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Read the settings.

    Args:
        environ: the environment, such as ``os.environ``.

    Returns:
        The settings, and warnings to log.

    Raises:
        ConfigError: at least one variable cannot be used; every such variable is named.
    """
    read = _Reader(environ)
    name_hint = "use letters, digits and . _ + - (at most 253, a letter or digit at both ends)"
    settings = Settings(
        bind=cast(Address, read.address("COUNTER_BIND", Address("0.0.0.0", 8080), 0)),  # noqa: S104
        workers=read.integer("COUNTER_WORKERS", 1, 1, 64),
        max_connections=read.integer("COUNTER_MAX_CONNECTIONS", 1000, 1, 100_000),
        store=cast(StoreName, read.choice("COUNTER_STORE", "page", ("page", "valkey"))),
        page_file=read.path("COUNTER_PAGE_FILE", "/dev/shm/counter.page", lambda path: path.parent),  # noqa: S108
        runtime_dir=read.path("COUNTER_RUNTIME_DIR", "/dev/shm", lambda path: path),  # noqa: S108
        valkey_address=read.address("COUNTER_VALKEY_ADDRESS", None, 1),
        valkey_username=read.raw("COUNTER_VALKEY_USERNAME"),
        valkey_password=read.password(),
        valkey_db=read.integer("COUNTER_VALKEY_DB", 0, 0, 1_000_000),
        valkey_key=read.text("COUNTER_VALKEY_KEY", "counter", _KEY, "use letters, digits and . _ : { } / -"),
        valkey_timeout=read.integer("COUNTER_VALKEY_TIMEOUT_MS", 500, 10, 500) / 1000,
        valkey_connections=read.integer("COUNTER_VALKEY_CONNECTIONS", 32, 1, 1024),
        pod=read.text("COUNTER_POD", socket.gethostname(), _LABEL, name_hint),
        version=read.text("COUNTER_VERSION", __version__, _LABEL, name_hint),
        log_level=cast(LogLevel, read.choice("COUNTER_LOG_LEVEL", "info", ("debug", "info", "warning", "error"))),
        keepalive=read.integer("COUNTER_KEEPALIVE_SECONDS", 75, 1, 3600),
        drain=read.integer("COUNTER_DRAIN_SECONDS", 2, 0, 600),
        graceful=read.integer("COUNTER_GRACEFUL_SECONDS", 20, 1, 900),
    )
    if settings.drain >= settings.graceful:
        read.problems.append(
            f"COUNTER_DRAIN_SECONDS={settings.drain} cannot be used: it is part of the time given by "
            f"COUNTER_GRACEFUL_SECONDS={settings.graceful}; make it smaller or raise that one"
        )
    if settings.store == "valkey" and not read.raw("COUNTER_VALKEY_ADDRESS"):
        read.bad("COUNTER_VALKEY_ADDRESS", "COUNTER_STORE=valkey needs it; set it to HOST:PORT")
    if read.problems:
        raise ConfigError(read.problems)
    return settings, [f"{name} is not a setting of this service and is ignored" for name in read.unknown()]
