"""What the tests share besides fixtures."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLLECTION = Path(__file__).resolve().parents[2]
COLLECTIONS = COLLECTION.parents[2]
LABEL = "counter-unit"
"""Label of every image that a test builds, by which it is found again."""

RunModule = Callable[..., dict[str, Any]]


def alone(run_module: RunModule, name: str, items: str, *, common: tuple[str, ...]) -> RunModule:
    """Return a function that runs a module for one of its ``items`` and returns what it says of that one.

    The function takes the options of the item together with those that are ``common`` to all items.
    """

    def run(arguments: dict[str, Any], **how: Any) -> dict[str, Any]:
        shared = {option: arguments[option] for option in common}
        item = {option: value for option, value in arguments.items() if option not in shared}
        result = run_module(name, {items: [item], **shared}, **how)
        if result.get("failed"):
            assert result["results"] == []
            return result
        (about,) = result["results"]
        assert about["changed"] == result["changed"]
        return dict(about)

    return run


@dataclass
class Docker:
    """A docker daemon, and a name that this test alone uses in it."""

    client: str
    name: str

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> str:
        done = subprocess.run([self.client, *arguments], input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    @property
    def session(self) -> str:
        """The first part of the name, which all tests of one run share."""
        return "-".join(self.name.split("-")[:3])

    def containers(self) -> set[str]:
        """Return the names of this test's containers."""
        return set(self("ps", "--all", "--filter", f"name=^/{self.name}", "--format", "{{.Names}}").split())

    def networks(self) -> set[str]:
        """Return the names of this test's networks."""
        return set(self("network", "ls", "--filter", f"name=^{self.name}", "--format", "{{.Name}}").split())

    def images(self) -> set[str]:
        """Return the ids of this test's images, those that lost their name included."""
        label = f"label={LABEL}={self.session}"
        # The pattern's star stops at a slash.
        references = [f"--filter=reference={self.name}*", f"--filter=reference={self.name}*/*"]
        named = self("image", "ls", "--quiet", "--no-trunc", *references)
        return {*named.split(), *self("image", "ls", "--all", "--quiet", "--no-trunc", "--filter", label).split()}

    def clean(self) -> None:
        """Remove everything that has this test's name."""
        if containers := self.containers():
            self("rm", "--force", "--volumes", *containers)
        if networks := self.networks():
            self("network", "rm", *networks)
        if images := self.images():
            self("image", "rm", "--force", *images)


def results_in(cache: Path) -> list[str]:
    """Return the complete results in a cache, ``NAME/KEY`` each."""
    found = cache.glob("artifacts/*/*")
    return sorted(f"{path.parent.name}/{path.name}" for path in found if not path.name.startswith("."))


def go_program(*lines: str, go: str = "go1.26.6") -> bytes:
    """Return an ELF file with nothing but Go's build information, and in that the lines of the list of modules."""

    def string(text: bytes) -> bytes:
        length, head = len(text), b""
        while length >= 0x80:
            head, length = head + bytes([length & 0x7F | 0x80]), length >> 7
        return head + bytes([length]) + text

    fence = b"0" * 16
    listed = fence + "".join(f"{line}\n" for line in lines).encode() + fence if lines else b""
    about = b"\xff Go buildinf:\x08\x02" + bytes(16) + string(go.encode()) + string(listed)
    names = b"\0.go.buildinfo\0.shstrtab\0"
    head = struct.pack("<6s34xQ10xHHH", b"\x7fELF\x02\x01", 64, 64, 3, 2)
    # Of each section: its name, its place and its size.
    place = 64 * 4
    sections = [(0, 0, 0), (1, place, len(about)), (15, place + len(about), len(names))]
    return head + b"".join(struct.pack("<I20xQQ24x", *section) for section in sections) + about + names
