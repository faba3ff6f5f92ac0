# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Which modules a Go program was linked from, read out of the program without a Go compiler.

Source of the form: Go's package ``debug/buildinfo``, for programs of Go 1.18 or newer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError

ELF = b"\x7fELF\x02\x01"  # 64 bits, little-endian
MAGIC = b"\xff Go buildinf:"
STRINGS = 32  # where the two strings begin in the section
INLINE = 2  # the flag of programs that have them there
FENCE = 16  # bytes before and after the list of modules


@dataclass(frozen=True)
class Module:
    """A module that is linked into a program."""

    path: str
    version: str

    def __str__(self) -> str:
        return f"{self.path}@{self.version}"


@dataclass(frozen=True)
class BuildInfo:
    """The release of Go that linked a program, as in 1.26.6, and the modules in it, without the one that was built."""

    go: str
    modules: tuple[Module, ...]


def build_info(stream: IO[bytes]) -> BuildInfo | None:
    """Return what a seekable file says of its making; None where it is no Go program.

    Raises :class:`CommandError` for a Go program that does not say it in this form.
    """
    section = _section(stream, b".go.buildinfo")
    if section is None or not section.startswith(MAGIC):
        return None
    if not section[15] & INLINE:
        raise CommandError("a program was linked by a Go before 1.18, whose list of modules is of another form")
    release, rest = _string(section[STRINGS:])
    listed, _ = _string(rest)
    text = listed[FENCE:-FENCE].decode() if len(listed) > 2 * FENCE else ""
    return BuildInfo(release.decode().partition(" ")[0].removeprefix("go"), tuple(_modules(text)))


def _modules(text: str) -> list[Module]:
    found: list[Module] = []
    for line in text.splitlines():
        word, *values = line.split("\t")
        # The main module has a checksum where it was fetched; otherwise it is what was built, and ours.
        if word == "dep" or (word == "mod" and len(values) > 2 and values[2]):
            found.append(Module(values[0], values[1]))
        elif word == "=>":
            found[-1] = Module(values[0], values[1])
    # What replaces a module without a version is a folder beside the program's source, and no other's.
    return sorted((module for module in found if module.version), key=str)


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Return a string with its length before it, and what comes after."""
    length = shift = 0
    for position, byte in enumerate(data):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return data[position + 1 : position + 1 + length], data[position + 1 + length :]
    raise CommandError("a program's build information is cut off")


def _section(stream: IO[bytes], name: bytes) -> bytes | None:
    """Return a section of an ELF file by its name."""
    head = stream.read(64)
    if not head.startswith(ELF) or len(head) < 64:
        return None
    (start,) = struct.unpack_from("<Q", head, 0x28)
    size, count, names = struct.unpack_from("<HHH", head, 0x3A)
    if not start or names >= count:
        return None
    stream.seek(start)
    table = stream.read(size * count)
    # Of each: its name, four bytes and two words of no interest, its place and its size.
    sections = [struct.unpack_from("<I20xQQ", table, size * number) for number in range(count)]
    _, place, length = sections[names]
    stream.seek(place)
    texts = stream.read(length)
    for offset, place, length in sections:
        if texts[offset : offset + len(name) + 1] == name + b"\0":
            stream.seek(place)
            return stream.read(length)
    return None
