# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Debian root file systems as tar files, from the mirrors that this machine's apt is set up with."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.counter.platform.plugins.module_utils.artifacts import digest_of
from ansible_collections.counter.platform.plugins.module_utils.builders.artifact import Artifact
from ansible_collections.counter.platform.plugins.module_utils.commands import follow
from ansible_collections.counter.platform.plugins.module_utils.debian import mirrors, sources, write_client_settings

LEFT_OUT = ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"]
"""Paths that dpkg does not unpack; the licences in /usr/share/doc/*/copyright stay."""
LEFT_OVER = [
    "var/cache/apt/*",
    "var/lib/apt/lists/*",
    "var/log/*.log",
    "var/log/apt",
    "var/cache/ldconfig/aux-cache",
]


def preferences(newer: dict[str, list[str]]) -> str:
    """Return apt preferences under which only the named packages come from each newer release."""
    blocks = []
    for release, packages in newer.items():
        blocks.append(f"Package: *\nPin: release n={release}*\nPin-Priority: 100\n")
        blocks.append(f"Package: {' '.join(packages)}\nPin: release n={release}*\nPin-Priority: 990\n")
    return "\n".join(blocks)


class DebianRootfs(Artifact):
    """A rootfs of a release, its updates and security; the file is C(root.tar)."""

    TYPE = "rootfs"
    OPTIONS: ClassVar[dict[str, Any]] = {
        "suite": {"type": "str", "required": True},
        "packages": {"type": "list", "elements": "str", "required": True},
        "newer": {"type": "dict", "default": {}},
        "remove": {"type": "list", "elements": "str", "default": []},
        "refresh": {"type": "str", "required": True},
        "check_valid_until": {"type": "bool", "default": True},
    }
    MAKING = ("make", "the Debian rootfs")

    @cached_property
    def key(self) -> str:
        inputs = {option: self.options[option] for option in ("suite", "packages", "newer", "refresh")}
        return digest_of({**inputs, "remove": self._removals})

    @property
    def path(self) -> Path:
        return self.folder / "root.tar"

    @property
    def _removals(self) -> list[str]:
        return [*LEFT_OVER, *self.options["remove"]]

    def make(self, folder: Path) -> None:
        """Make it by mmdebstrap."""
        suite, newer = self.options["suite"], self.options["newer"]
        self.progress("reading package lists")
        (folder / "preferences").write_text(preferences(newer))
        client = folder / "client.conf"
        write_client_settings(client)
        listed = sources(suite, list(newer), mirrors())
        (folder / "sources.list").write_text("".join(f"{line}\n" for line in listed))
        wanted = [*self.options["packages"], *(package for packages in newer.values() for package in packages)]
        command = [
            "mmdebstrap",
            "--variant=essential",
            "--format=tar",
            f"--include={','.join(wanted)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            '--aptopt=Acquire::Retries "3"',
            f"--setup-hook=copy-in {folder}/preferences /etc/apt/preferences.d/",
            f"--setup-hook=copy-in {client} /etc/apt/apt.conf.d/",
            # `:?` ends the hook should the rootfs ever be empty: the path must never be one of this machine's.
            f'--customize-hook=rm "${{1:?}}"/etc/apt/apt.conf.d/{client.name}',
            *(f'--customize-hook=rm -rf "${{1:?}}"/{path}' for path in self._removals),
            suite,
            str(folder / "root.tar"),
            str(folder / "sources.list"),
        ]
        if not self.options["check_valid_until"]:
            command.insert(1, '--aptopt=Acquire::Check-Valid-Until "false"')
        follow(command, lambda line: self.progress(line.strip()[:100]))
        for name in ("preferences", client.name, "sources.list"):
            (folder / name).unlink()
