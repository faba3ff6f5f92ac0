# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""What images and folders of programs are made of: Debian packages, Python packages and Go modules, with licences.

It is read out of the finished result, so that it is what is there and not what was meant to be. An image that carries
others in containerd's store, as a kind node does, has their parts too.
"""

from __future__ import annotations

import ctypes
import gzip
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import IO

from ansible_collections.counter.platform.plugins.module_utils.archives import image_manifest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.go_buildinfo import BuildInfo, Module, build_infos
from ansible_collections.counter.platform.plugins.module_utils.licences import of_debian, of_wheel
from packageurl import PackageURL

STATUS = "var/lib/dpkg/status"
STATUS_FOLDER = PurePosixPath("var/lib/dpkg/status.d")
RELEASE = "usr/lib/os-release"
DOCUMENTS = PurePosixPath("usr/share/doc")
STORE = PurePosixPath("var/lib/containerd/io.containerd.content.v1.content/blobs/sha256")
# A file of the first name hides what lower layers have in its folder, one of this prefix what has the rest of its name
# (source: OCI image specification).
OPAQUE, REMOVED = ".wh..wh..opq", ".wh."
ZSTD, GZIP, ELF = b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\x7fELF"
STANDARD_LIBRARY = "BSD-3-Clause"


@dataclass(frozen=True)
class Part:
    """Something of others' that is in an image.

    Attributes:
        name: as whoever made it calls it.
        url: type, name and version as a package URL.
        licence: an SPDX expression; empty where none is known.
        places: paths of the programs that have it.
    """

    name: str
    url: PackageURL
    licence: str
    places: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Link:
    target: str


_Content = str | _Link | IO[bytes]
_Files = dict[str, _Content]


def of_image(archive: Path, go_licences: Mapping[str, str], go: str) -> list[Part]:
    """Return the parts of the image in a docker archive, sorted.

    ``go_licences`` are those of Go modules by ``MODULE@VERSION``, ``go`` is the command. Raises :class:`CommandError`
    or a :class:`tarfile.TarError` for an archive that cannot be read.
    """
    layers = image_manifest(archive)["Layers"]
    with ExitStack() as stack:
        image = stack.enter_context(tarfile.open(archive))
        files = _overlay(_open(stack, _stream(image, layer)) for layer in layers)
        found = _parts(files, go_licences, go)
        for inner in _images_in({path: stream for path, stream in _streams(files) if path.parent == STORE}):
            with ExitStack() as open_layers:
                found += _parts(_overlay(_open(open_layers, stream) for stream in inner), go_licences, go)
    return _merged(found)


def of_folder(folder: Path, go_licences: Mapping[str, str], go: str) -> list[Part]:
    """Return the parts of the Go programs in a folder, sorted. Raises :class:`CommandError` where there is none."""
    return _merged(_linked(build_infos(folder, go), go_licences))


def modules_in(folder: Path, go: str) -> list[Module]:
    """Return the Go modules of the programs in a folder, each once."""
    return sorted({module for about in build_infos(folder, go).values() for module in about.modules}, key=str)


def _stream(tar: tarfile.TarFile, name: str | tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(name)
    if stream is None:
        raise CommandError(f"{name} is no file")
    return stream


def _open(stack: ExitStack, stream: IO[bytes]) -> tarfile.TarFile:
    """Open a layer, compressed or not. Programs are read from their ends, so it is unpacked before."""
    stream.seek(0)
    magic = stream.read(4)
    stream.seek(0)
    if magic == ZSTD or magic[:2] == GZIP:
        unpack = _unzstd if magic == ZSTD else _gunzip
        stream = unpack(stream, stack.enter_context(tempfile.TemporaryFile()))  # noqa: SIM115 # by the stack
    return stack.enter_context(tarfile.open(fileobj=stream))


def _gunzip(source: IO[bytes], target: IO[bytes]) -> IO[bytes]:
    with gzip.open(source) as text:
        shutil.copyfileobj(text, target, 2**20)
    target.seek(0)
    return target


def _unzstd(source: IO[bytes], target: IO[bytes]) -> IO[bytes]:
    """Decompress by dpkg's own library, which every Debian has: Python has one from 3.14 on."""
    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError as error:
        raise CommandError(f"a layer is compressed by zstd, and its library cannot be loaded: {error}") from error
    for function in (library.ZSTD_getFrameContentSize, library.ZSTD_decompress):
        function.restype = ctypes.c_uint64
    packed = source.read()
    size = library.ZSTD_getFrameContentSize(packed, ctypes.c_size_t(len(packed)))
    # The two highest numbers stand for an unknown size and an error.
    if size >= 2**64 - 2:
        raise CommandError("a layer is compressed by zstd and does not say its size")
    text = ctypes.create_string_buffer(size)
    done = library.ZSTD_decompress(text, ctypes.c_size_t(size), packed, ctypes.c_size_t(len(packed)))
    if done != size:
        raise CommandError("a layer that is compressed by zstd is damaged")
    target.write(text)
    target.seek(0)
    return target


def _overlay(layers: Iterable[tarfile.TarFile]) -> _Files:
    """Return the files that matter here, as the topmost of the layers has them."""
    found: _Files = {}
    for layer in layers:
        own: _Files = {}
        names, gone = set(), set()
        for entry in layer:
            path = PurePosixPath(entry.name)
            if path.name == OPAQUE:
                gone.add(path.parent)
            elif path.name.startswith(REMOVED):
                gone.add(path.with_name(path.name.removeprefix(REMOVED)))
            else:
                names.add(str(path))
                content = _content(layer, entry, path)
                if content is not None:
                    own[str(path)] = content
        kept = {
            name: content
            for name, content in found.items()
            if name not in names and not gone & {PurePosixPath(name), *PurePosixPath(name).parents}
        }
        found = kept | own
    return found


def _content(layer: tarfile.TarFile, entry: tarfile.TarInfo, path: PurePosixPath) -> _Content | None:
    if entry.issym():
        return _Link(entry.linkname) if path.parent == DOCUMENTS else None
    if _is_text(path) and (entry.isfile() or entry.islnk()):
        return _stream(layer, entry).read().decode(errors="replace")
    if not entry.isfile():
        return None
    return _stream(layer, entry) if path.parent == STORE or entry.mode & 0o111 else None


def _is_text(path: PurePosixPath) -> bool:
    is_wheel = path.name == "METADATA" and path.parent.suffix == ".dist-info"
    is_copyright = path.name == "copyright" and path.parent.parent == DOCUMENTS
    return is_wheel or is_copyright or str(path) in (STATUS, RELEASE) or path.parent == STATUS_FOLDER


def _streams(files: _Files) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Yield the executables and containerd's store."""
    for path, content in files.items():
        if not isinstance(content, str | _Link):
            yield PurePosixPath(path), content


def _programs(files: _Files, go: str) -> dict[str, BuildInfo]:
    """Return what the Go programs among the executables say of their making. Go reads them from files."""
    paths: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path, stream in _streams(files):
            if path.parent != STORE and stream.read(len(ELF)) == ELF:
                stream.seek(0)
                name = str(len(paths))
                paths[name] = str(path)
                with Path(folder, name).open("wb") as copy:
                    shutil.copyfileobj(stream, copy, 2**20)
        return {paths[name]: about for name, about in build_infos(Path(folder), go).items()}


def _images_in(blobs: Mapping[PurePosixPath, IO[bytes]]) -> Iterator[list[IO[bytes]]]:
    """Yield the layers of each image in containerd's store.

    Raises :class:`CommandError` where something in there is a part of none of them.
    """
    left = set(blobs)
    for path, stream in blobs.items():
        if stream.read(1) != b"{":
            continue
        left.discard(path)
        stream.seek(0)
        layers = json.load(stream).get("layers", [])
        # There may be more than layers, such as signatures.
        paths = [STORE / layer["digest"].partition(":")[2] for layer in layers if "tar" in layer["mediaType"]]
        # An import leaves the manifest that the layers had before they were compressed.
        if paths and blobs.keys() >= set(paths):
            left -= set(paths)
            yield [blobs[layer] for layer in paths]
    if left:
        raise CommandError(f"{min(left)} is in containerd's store and in none of its images")


def _parts(files: _Files, go_licences: Mapping[str, str], go: str) -> list[Part]:
    texts = {path: content for path, content in files.items() if isinstance(content, str)}
    links = {PurePosixPath(path).name: content.target for path, content in files.items() if isinstance(content, _Link)}
    found = [*_debian_packages(texts, links), *_linked(_programs(files, go), go_licences)]
    for path, text in texts.items():
        if PurePosixPath(path).name == "METADATA":
            fields = HeaderParser().parsestr(text)
            url = PackageURL("pypi", None, fields["Name"], fields["Version"])
            found.append(Part(url.name, url, of_wheel(fields)))
    return found


def _linked(programs: Mapping[str, BuildInfo], go_licences: Mapping[str, str]) -> Iterator[Part]:
    for path, about in programs.items():
        library = PackageURL("golang", None, "stdlib", about.go)
        yield Part("stdlib", library, STANDARD_LIBRARY, frozenset({path}))
        for module in about.modules:
            namespace, _, name = module.path.rpartition("/")
            url = PackageURL("golang", namespace, name, module.version)
            yield Part(module.path, url, go_licences.get(str(module), ""), frozenset({path}))


def _debian_packages(texts: Mapping[str, str], links: Mapping[str, str]) -> Iterator[Part]:
    release = dict(line.split("=", 1) for line in texts.get(RELEASE, "").splitlines() if "=" in line)
    distribution = f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', '').strip(chr(34))}".rstrip("-")
    listed = [text for path, text in texts.items() if path == STATUS or PurePosixPath(path).parent == STATUS_FOLDER]
    paragraphs = [
        HeaderParser().parsestr(paragraph.lstrip("\n"))
        for text in listed
        for paragraph in re.split(r"\n\n+", text)
        if paragraph.strip()
    ]
    installed = [fields for fields in paragraphs if fields["Status"] in (None, "install ok installed")]
    copyrights = {
        PurePosixPath(path).parent.name: text for path, text in texts.items() if PurePosixPath(path).name == "copyright"
    }
    # A package's folder may be a link to that of another one of the same source (source: Debian policy, 12.5), and
    # dpkg leaves the link out where it leaves out /usr/share/doc.
    sources = {str(fields["Package"]): str(fields["Source"] or fields["Package"]).split()[0] for fields in installed}
    of_source = {sources[name]: text for name, text in sorted(copyrights.items()) if name in sources}
    for fields in installed:
        name = str(fields["Package"])
        text = copyrights.get(PurePosixPath(links.get(name, name)).name) or of_source.get(sources[name])
        qualifiers = {"arch": fields["Architecture"], "distro": distribution}
        url = PackageURL("deb", "debian", name, fields["Version"], qualifiers)
        yield Part(name, url, of_debian(text, sources[name]) if text else "")


def _merged(parts: Iterable[Part]) -> list[Part]:
    """Return each part once, with all its places."""
    found: dict[str, Part] = {}
    for part in parts:
        key = str(part.url)
        known = found.get(key, part)
        found[key] = replace(known, licence=known.licence or part.licence, places=known.places | part.places)
    return [found[key] for key in sorted(found)]
