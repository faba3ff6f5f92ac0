#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Read the state of a host in one round trip."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Read the state of a host's files and services, and whether it answers
description:
  - Reads in one round trip what a role has to know to decide whether it has anything to do. Changes nothing.
options:
  files:
    description:
      - Files, folders, links and devices, each with its C(path), and C(restarts) or C(reloads) where a service has to
        be restarted or reloaded to read it again. Further keys are ignored. Links are not followed.
    type: list
    elements: dict
    required: true
  commands:
    description: Commands that change nothing, and succeed on a host in order.
    type: list
    elements: list
    default: []
  urls:
    description: URLs with the status that a host in order answers itself with.
    type: dict
    default: {}
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Read the state of nginx
  counter.platform.host_info:
    files:
      - {path: /etc/nginx/nginx.conf, reloads: nginx}
    urls: {"http://127.0.0.1/": 200}
"""

RETURN = r"""
family:
  description: V(debian) or V(redhat); empty for other distributions, and where systemd does not run.
  returned: always
  type: str
files:
  description:
    - Of each path that exists C(owner), C(group), C(mode) as in V("0644"), and C(block), whether it leads to a block
      device; of a link its C(target), of a regular file of less than a MiB its C(sha256).
  returned: always
  type: dict
unknown:
  description: The services without a unit.
  returned: always
  type: list
stopped:
  description: The services that do not run or are not enabled.
  returned: always
  type: list
stale:
  description:
    - The services that were started or reloaded before a file was changed that they read, each with its C(name) and
      C(state), in the order of the files.
  returned: always
  type: list
failed_checks:
  description: The commands, as one string each, and the URLs with another result.
  returned: always
  type: list
"""

import grp
import hashlib
import os
import pwd
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from ansible.module_utils.urls import open_url
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module

HASHED_BELOW = 2**20
FAMILIES = {"/etc/debian_version": "debian", "/etc/system-release": "redhat"}
PROPERTIES = "--property=Id,LoadState,ActiveState,UnitFileState,StateChangeTimestamp"

ARGUMENTS: dict[str, Any] = {
    "files": {"type": "list", "elements": "dict", "required": True},
    "commands": {"type": "list", "elements": "list", "default": []},
    "urls": {"type": "dict", "default": {}},
}


def named(lookup: Callable[[int], Any], number: int) -> str:
    """Return the name of a user or a group, and the number of one that has no name."""
    try:
        return str(lookup(number)[0])
    except KeyError:
        return str(number)


def about(path: Path) -> dict[str, Any]:
    """Return what is known of a path that exists, as RETURN says. Raises :class:`OSError` for any other."""
    status = path.lstat()
    found: dict[str, Any] = {
        "owner": named(pwd.getpwuid, status.st_uid),
        "group": named(grp.getgrgid, status.st_gid),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "block": path.is_block_device(),
    }
    if path.is_symlink():
        found["target"] = str(path.readlink())
    elif path.is_file() and status.st_size < HASHED_BELOW:
        found["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def existing(paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what is known of the paths that exist."""
    return {path: about(Path(path)) for path in paths if os.path.lexists(path)}


def changed_at(unit: Mapping[str, str]) -> float:
    """Return when a service was started or reloaded last, in seconds since 1970; now where it never was."""
    _, _, moment = unit["StateChangeTimestamp"].partition(" ")
    if not moment:
        return time.time()
    return datetime.strptime(moment.replace("UTC", "+0000"), "%Y-%m-%d %H:%M:%S.%f %z").timestamp()


def services(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return which services of the files are unknown, stopped and stale, as RETURN says.

    Raises :class:`CommandError` where systemd does not answer.
    """
    readers = [
        (file["path"], file[key], state)
        for file in files
        for key, state in (("restarts", "restarted"), ("reloads", "reloaded"))
        if key in file
    ]
    names = list(dict.fromkeys(name for _, name, _ in readers))
    shown = run(["systemctl", "show", "--timestamp=us+utc", PROPERTIES, *names]) if names else ""
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    units = {block["Id"][: -len(".service")]: block for block in blocks if block}
    stale = dict.fromkeys(
        (name, state)
        for path, name, state in readers
        if os.path.lexists(path) and os.lstat(path).st_mtime > changed_at(units[name])
    )
    return {
        "unknown": [name for name in names if units[name]["LoadState"] == "not-found"],
        "stopped": [
            name
            for name in names
            if (units[name]["ActiveState"], units[name]["UnitFileState"]) != ("active", "enabled")
        ],
        "stale": [{"name": name, "state": state} for name, state in stale],
    }


def succeeds(command: list[str]) -> bool:
    """Return whether a command ends with status 0."""
    try:
        run(command)
    except CommandError:
        return False
    return True


def status_of(url: str) -> int:
    """Return the status of the answer to a request, and 0 where there is none."""
    try:
        # The certificate has the names that clients use, and no secret is sent.
        return int(open_url(url, validate_certs=False, use_proxy=False, timeout=5).status)
    except HTTPError as error:
        return int(error.code)
    except (OSError, HTTPException):
        return 0


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return what RETURN says; the same in check mode."""
    systemd = Path("/run/systemd/system").is_dir()
    return {
        "changed": False,
        "family": next((name for path, name in FAMILIES.items() if systemd and Path(path).exists()), ""),
        "files": existing(file["path"] for file in params["files"]),
        **services(params["files"] if systemd else []),
        "failed_checks": [" ".join(command) for command in params["commands"] if not succeeds(command)]
        + [url for url, status in params["urls"].items() if status_of(url) != int(status)],
    }


def main() -> None:
    """Entry point."""
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
