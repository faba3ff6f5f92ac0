# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Find the docker client of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run

FOLDERS = ["/usr/bin", "/usr/local/bin", "/bin"]
"""Where docker clients are looked for, in this order."""


def choose_client(folders: list[str]) -> dict[str, str]:
    """Return the client, its version and the server's, or the reason why there is none.

    A client of the daemon's own version wins; without one, the first that reaches the daemon.
    """
    found: list[dict[str, str]] = []
    reason = "no docker client is installed"
    for candidate in dict.fromkeys(str(Path(folder, "docker").resolve()) for folder in folders):
        if not os.access(candidate, os.X_OK):
            continue
        try:
            answer = run([candidate, "version", "--format", "{{.Client.Version}} {{.Server.Version}}"])
        except CommandError as error:
            reason = str(error)
            continue
        client_version, server_version = answer.split()
        found.append({"client": candidate, "client_version": client_version, "server_version": server_version})
        if client_version == server_version:
            return found[-1]
    return found[0] if found else {"reason": reason}


def docker() -> str:
    """Return the docker client to use; an empty text where none reaches a daemon."""
    return choose_client(FOLDERS).get("client", "")
