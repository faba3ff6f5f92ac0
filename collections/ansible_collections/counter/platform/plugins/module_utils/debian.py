# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""What this machine's own apt is set up with."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run

SECURITY = "{suite}-security"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LOCK_SECONDS = 300
"""How long to wait for another apt on this machine, such as the daily one."""
APT_GET = ["apt-get", "-q", "-y", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "-o", "Acquire::Retries=3"]


def update(*options: str) -> None:
    """Refresh the package lists, when no other apt does; ``options`` are apt's own.

    apt waits for dpkg's lock by itself, and not for the one of the lists. Raises :class:`CommandError` when it fails.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            run([*APT_GET, *options, "update"], env={"LC_ALL": "C"})
        except CommandError as error:
            if "Could not get lock" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def write_client_settings(target: Path) -> None:
    """Write the settings by which this machine's apt reaches mirrors, for an apt whose folder is another.

    They are its proxies, its certificates and the paths of its logins. The file is its owner's alone: a proxy's address
    may have a password in it. Raises :class:`CommandError`.
    """
    kinds = ["Acquire::http", "Acquire::https"]
    own = run(["apt-config", "dump", "--no-empty", "--format", '%f "%v";%n', *kinds])
    logins = run(["apt-config", "shell", "netrc", "Dir::Etc::netrc/f", "netrcparts", "Dir::Etc::netrcparts/d"])
    paths = (word.partition("=") for word in shlex.split(logins))
    target.touch(0o600)
    target.write_text(own + "".join(f'Dir::Etc::{name} "{path}";\n' for name, _, path in paths))


def mirrors() -> dict[str, str]:
    """Return the addresses of the archive and of the security archive that apt takes packages from.

    Keys are ``main`` and ``security``; the latter is empty where the machine has none. Refreshes the package lists
    when there are none yet, since apt names only the sources it has lists of. Raises :class:`CommandError` when apt
    has no Debian source at all.
    """
    for refresh in (False, True):
        if refresh:
            update()
        listing = run(
            ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Identifier: Packages", "Origin: Debian"]
        )
        rows = [line.split() for line in listing.splitlines()]
        main = next((uri for label, uri in rows if label == "Debian"), "")
        if main:
            security = next((uri for label, uri in rows if label == "Debian-Security"), "")
            return {"main": main, "security": security}
    raise CommandError("apt has no Debian source; add one to /etc/apt/sources.list.d and run apt-get update")


def sources(suite: str, newer: list[str], archive: dict[str, str]) -> list[str]:
    """Return the lines of a sources.list for ``suite``, its updates and security, and the ``newer`` releases."""
    lines = []
    for release in [suite, *newer]:
        lines.append(f"deb [signed-by={KEYRING}] {archive['main']} {release} main")
        lines.append(f"deb [signed-by={KEYRING}] {archive['main']} {release}-updates main")
        if archive["security"]:
            lines.append(f"deb [signed-by={KEYRING}] {archive['security']} {SECURITY.format(suite=release)} main")
    return lines
