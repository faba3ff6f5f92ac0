"""What the tests share besides fixtures."""

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import run
from ansible_collections.counter.platform.plugins.modules import artifacts

COLLECTION = Path(__file__).resolve().parents[2]
COLLECTIONS = COLLECTION.parents[2]
LABEL = "counter-unit"
"""Label of every image that a test builds, by which it is found again."""

BIN = Path(sys.executable).parent
GO = BIN / "go"
needs_go = pytest.mark.skipif(not GO.exists(), reason=f"no Go compiler at {GO}; `make venv` installs it")

RunModule = Callable[..., dict[str, Any]]
Module = partial[dict[str, Any]]
"""A module with options, each of which a call can replace; ``check`` and ``env`` are as in the fixture run_module."""


def one_entry(run_module: RunModule, name: str, /, **options: Any) -> Module:
    """Return the module artifacts for a catalogue with one entry; it returns what the module says of that one.

    Options that are none of the module's are the entry's; ``others`` are entries beside it.
    """

    def run(
        *, check: bool = False, env: dict[str, str] | None = None, others: Any = None, **given: Any
    ) -> dict[str, Any]:
        shared = {option: given.pop(option) for option in artifacts.ARGUMENTS if option in given}
        catalogue = {**(others or {}), name: given}
        result = run_module("artifacts", check=check, env=env, catalogue=catalogue, names=[name], **shared)
        return result if "failed" in result else dict(result["artifacts"][name])

    return partial(run, **{"root": "/", "bin_dir": str(BIN), **options})


def made_once(module: Module, **others: Any) -> dict[str, Any]:
    """Let a module make its result, which is promised in check mode and there afterwards, and return what it says.

    ``others`` are options for the runs that find the result.
    """
    cache = Path(module.keywords["cache"])
    before = results_in(cache)
    promised = module(check=True)
    assert promised["changed"]
    assert results_in(cache) == before, "check mode made something"
    made = module()
    # Ansible adds the mode and the owner of a path that is there.
    assert promised.items() <= made.items(), made
    for check in (False, True):
        again = module(check=check, **others)
        assert again == made | {"changed": False}, again
    return made


def with_defaults(module: ModuleType, **options: Any) -> dict[str, Any]:
    """Return options as Ansible hands them to a module, with the defaults of those that are not given."""
    return {name: option.get("default") for name, option in module.ARGUMENTS.items()} | options


@dataclass
class Docker:
    """A docker daemon, and a name that this test alone uses in it."""

    client: str
    name: str

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> str:
        return run([self.client, *arguments], stdin=stdin).strip()

    @property
    def session(self) -> str:
        """The first part of the name, which all tests of one run share."""
        return "-".join(self.name.split("-")[:3])

    def containers(self) -> set[str]:
        return set(self("ps", "--all", "--filter", f"name=^/{self.name}", "--format", "{{.Names}}").split())

    def networks(self) -> set[str]:
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
    about = b"\xff Go buildinf:\x08\x02" + bytes(16) + string(go.encode()) + string(listed) + bytes(16)
    names = b"\0.go.buildinfo\0.shstrtab\0"
    # Where things are: Go looks for its build information at addresses of 16 bytes' alignment.
    segments, sections, place = 64, 128, 320
    # Of an executable for x86-64: its segments and sections, and the section with the names of sections.
    numbers = (2, 62, 1, segments, sections, 64, 56, 1, 64, 3, 2)
    head = struct.pack("<7s9xHHI8xQQ4xHHHHHH", b"\x7fELF\x02\x01\x01", *numbers)
    # The segment that is loaded, and of each section: name, kind, address, place and size.
    head += struct.pack("<IIQQQQQQ8x", 1, 6, place, place, place, len(about), len(about), 16)
    for section in ((0, 0, 0, 0, 0), (1, 1, place, place, len(about)), (15, 3, 0, place + len(about), len(names))):
        head += struct.pack("<II8xQQQ24x", *section)
    return head + about + names
