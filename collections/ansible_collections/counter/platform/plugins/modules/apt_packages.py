#!/usr/bin/python
# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Install Debian packages, with an honest check mode on a machine that has nothing yet."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_packages
short_description: Install Debian packages, also in check mode on a bare machine
description:
  - Asks dpkg what is installed and apt-get for the rest. Fails where apt would have to remove a package.
  - M(ansible.builtin.apt) needs python3-apt, installs it by itself, and therefore fails in check mode on a
    machine that lacks it. This module needs nothing but dpkg and apt-get.
options:
  names:
    description: Packages that shall be installed.
    type: list
    elements: str
    required: true
  target_release:
    description:
      - Take the packages, and what they need newer, from this release (C(apt-get -t)).
      - apt gets to know the release, from the archive it uses already, at a priority behind the machine's own.
    type: str
  directory:
    description:
      - Take the packages from folders in this one, each named like a release and made by
        M(counter.platform.debian_packages), and from nowhere else; empty for the mirrors that apt is set up with.
    type: path
    default: ""
author: counter-platform contributors
"""

EXAMPLES = r"""
- name: Install mmdebstrap
  counter.platform.apt_packages:
    names: [mmdebstrap]
"""

RETURN = r"""
missing:
  description: The packages that were not installed, or not from the target release, before.
  returned: always
  type: list
  elements: str
"""

import platform
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run
from ansible_collections.counter.platform.plugins.module_utils.debian import APT_GET, mirrors, update

ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
SOURCES = Path("/etc/apt/sources.list.d")
PREFERENCES = Path("/etc/apt/preferences.d")


def installed(names: list[str]) -> set[str]:
    """Return those of ``names`` that dpkg has unpacked and configured."""
    listing = run(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n"])
    present = {line.split()[0] for line in listing.splitlines() if line.endswith(" installed")}
    return present.intersection(names)


@contextmanager
def only_from(directory: Path, releases: list[str]) -> Iterator[list[str]]:
    """Give the options of apt that let it take packages from a directory alone, and read its index.

    Raises :class:`CommandError` where the directory has none of a release.
    """
    folders = [directory / release for release in releases]
    missing = [folder.name for folder in folders if not (folder / "Packages").exists()]
    if missing:
        raise CommandError(f"{directory} has no packages of Debian's release {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as inside:
        # Not beside each other: apt removes what it does not know from the folder of its lists.
        sources, lists = Path(inside) / "sources.list", Path(inside) / "lists"
        (lists / "partial").mkdir(parents=True)
        # Whoever gives the directory has verified it.
        sources.write_text("".join(f"deb [trusted=yes] file:{folder} ./\n" for folder in folders))
        settings = {
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": lists,
            # Its own user may enter neither folder.
            "APT::Sandbox::User": "root",
        }
        options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        update(*options)
        yield options


def own_release() -> str:
    """Return the code name of this machine's release."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def know(release: str) -> None:
    """Let apt know ``release`` from the archive it uses already, behind the machine's own release in every choice."""
    archive = mirrors()["main"]
    pin = f"Package: *\nPin: release n={release}\nPin-Priority: 100\n"
    (PREFERENCES / f"counter-platform-{release}").write_text(pin)
    (SOURCES / f"counter-platform-{release}.list").write_text(f"deb {archive} {release} main\n")


def outdated(names: list[str], release: str) -> list[str]:
    """Return those of ``names`` that ``release`` has newer than what is installed, or that are not installed.

    All of them where apt does not know the release (yet), as in check mode before its source is written.
    """
    try:
        plan = run([*APT_GET, "--simulate", "-t", release, "install", "--no-install-recommends", *names])
    except CommandError:
        return sorted(names)
    planned = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
    return sorted(planned.intersection(names))


def install(names: list[str], release: str | None, directory: str) -> None:
    """Install packages, from a release or from a directory where one is given, and remove none.

    Raises :class:`CommandError`, with the names of the packages that would have to go.
    """
    command = ["install", "--no-install-recommends", "--no-remove", *names]
    given: AbstractContextManager[list[str]] = nullcontext(["-t", release] if release else [])
    if directory:
        given = only_from(Path(directory), [own_release(), *([release] if release else [])])
    with given as options:
        # apt names on standard output what it would remove.
        follow([*APT_GET, *options, *command], lambda line: None, env=ENVIRONMENT)


ARGUMENTS: dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "required": True},
    "target_release": {"type": "str"},
    "directory": {"type": "path", "default": ""},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
    )
    names: list[str] = module.params["names"]
    release: str | None = module.params["target_release"]
    directory: str = module.params["directory"]
    try:
        missing = sorted(set(names) - installed(names))
        if directory and release:
            missing = sorted(names)
        elif release:
            if not module.check_mode:
                know(release)
                update()
            missing = outdated(names, release)
        elif missing and not module.check_mode and not directory:
            update()
        if missing and not module.check_mode:
            install(missing, release, directory)
    except CommandError as error:
        module.fail_json(msg=f"cannot install {', '.join(names)}: {error}")
    module.exit_json(
        changed=bool(missing),
        missing=missing,
        diff={"before": "", "after": "".join(f"{name}\n" for name in missing)},
    )


if __name__ == "__main__":
    main()
