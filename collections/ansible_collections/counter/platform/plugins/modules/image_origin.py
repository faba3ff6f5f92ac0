#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Write down where results are fetched from, for the modules that need them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_origin
short_description: Write down from where results are fetched
description:
  - Joins a lock file and a registry to one file, by which results come from there by their digests and nothing else.
  - The registry is asked for one image of the lock file, so an address, a login, a CA or a content that is wrong is
    found before anything else happens.
options:
  lock:
    description: The lock file, as M(counter.platform.registry_images) returns its content.
    type: path
    required: true
  registry:
    description: Host, port and what all names begin with, or the path of a folder in its place; empty for none.
    type: str
    required: true
  user:
    description: Who logs in; empty for nobody.
    type: str
    default: ""
  password:
    description: The user's password.
    type: str
    default: ""
  ca:
    description: File with the CA of the registry's certificate; empty for the system's.
    type: path
    default: ""
  dest:
    description: File that the modules with an option C(origin) read. The login is beside it.
    type: path
    required: true
  owner:
    description: Number of the user whom the files belong to, and the folder that they are in.
    type: int
    required: true
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Write down from where results are fetched
  counter.platform.image_origin:
    lock: "{{ inventory_dir }}/images.lock.yml"
    registry: registry.example.com/platform
    dest: "{{ platform_state_dir }}/images.json"
    owner: 1000
"""

RETURN = r"""
artifacts:
  description: How many results the lock file names.
  returned: always
  type: int
"""

import os
import shutil
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.counter.platform.plugins.module_utils.artifacts import write_whole
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.entry import run_module
from ansible_collections.counter.platform.plugins.module_utils.origin import (
    ACCESS,
    Entry,
    Origin,
    Registry,
    logged_in,
    login,
)

ARGUMENTS: dict[str, Any] = {
    "lock": {"type": "path", "required": True},
    **ACCESS,
    "dest": {"type": "path", "required": True},
    "owner": {"type": "int", "required": True},
}


def entries(lock: Path) -> dict[str, Entry]:
    """Return what a lock file names. Raises :class:`CommandError` where it is not there or is none."""
    try:
        told = yaml.safe_load(lock.read_text(encoding="utf-8"))
        return {name: Entry(**entry) for name, entry in told["artifacts"].items()}
    except FileNotFoundError as error:
        raise CommandError(f"there is no lock file {lock} (image_lock); playbooks/mirror.yml writes it") from error
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise CommandError(f"{lock} (image_lock) is no lock file as playbooks/mirror.yml writes it: {error}") from error


def keep(path: Path, content: str, owner: int, *, check_mode: bool) -> bool:
    """Write a file that ``owner`` alone may read, but in check mode; return whether it was another or not there."""
    if path.exists() and path.read_text(encoding="utf-8") == content:
        return False
    if check_mode:
        return True
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    write_whole(path, content)
    path.chmod(0o600)
    for made in (path.parent, path):
        os.chown(made, owner, -1)
    return True


def ensure(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Ask the registry, write the file, and return what RETURN says. Raises :class:`CommandError` where it does not."""
    address, user, password, ca = (params[option] for option in ACCESS)
    try:
        artifacts = entries(Path(params["lock"]))
        # Without skopeo, check mode cannot ask it yet.
        if not check_mode or shutil.which("skopeo"):
            with logged_in(address, user, password, ca) as registry:
                registry.check(min(artifacts.values(), key=lambda entry: entry.size))
    except (CommandError, OSError) as error:
        raise CommandError(f"image_source is pull, and nothing can be pulled: {error}") from error
    dest = Path(params["dest"])
    authfile = dest.with_name("registry-login.json")
    logins = {authfile: login(address, user, password)} if user else {}
    files = {**logins, dest: Origin(Registry(address, str(authfile) if user else "", ca), artifacts).written()}
    differs = [keep(path, text, params["owner"], check_mode=check_mode) for path, text in files.items()]
    return {"changed": any(differs), "artifacts": len(artifacts)}


def main() -> None:
    """Entry point."""
    os.umask(0o077)
    run_module(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
