"""One file with everything that a run needs on a machine without a network, and the way back out of it.

Nothing of a bundle is used before all of it was verified. It needs Python's standard library and nothing else, as it
runs before anything is installed: ``python3 tools/bundle.py unpack --bundle FILE --clone CLONE --into FOLDER``.

A bundle is a tar, or parts of one: first ``manifest.json``, then its signature where it has one, then the files that
the manifest names, each with its size in bytes and its SHA-256.
"""

import argparse
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST, SIGNATURE = "manifest.json", "manifest.json.sig"
NAMESPACE = "counter-platform-bundle"  # of signatures by ssh-keygen -Y
SIGNER = "bundle"  # the principal in a file of allowed signers
BLOCK = 2**20
_COMMIT = re.compile(r"[0-9a-f]{40}")


class BundleError(Exception):
    """What is wrong with a bundle, in words."""


@dataclass(frozen=True)
class Content:
    """A file of a bundle: its size in bytes and the hex digits of its SHA-256."""

    size: int
    sha256: str


def content_of(path: Path) -> Content:
    """Return what a manifest says of a file."""
    with path.open("rb") as stream:
        return Content(path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


def commit_of(clone: Path) -> str:
    """Return the commit that a clone has checked out. Raises :class:`BundleError` where it cannot be told."""
    git = clone / ".git"
    try:
        if git.is_file():  # a worktree
            git = clone / git.read_text().removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text().strip()
        common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        name = head.removeprefix("ref:").strip()
        packed = (common / "packed-refs").read_text().splitlines() if (common / "packed-refs").exists() else []
        told = [line.split()[0] for line in packed if line.endswith(f" {name}")]
        loose = common / name
        commit = loose.read_text().strip() if name != head and loose.exists() else (told or [head])[0]
    except OSError as error:
        raise BundleError(f"{clone} is no clone: {error}") from error
    if not _COMMIT.fullmatch(commit):
        raise BundleError(f"{clone} has no commit checked out, but {commit}")
    return commit


class _PartsWriter(io.RawIOBase):
    """Writes one stream into files of at most so many bytes; 0 is no limit."""

    def __init__(self, target: Path, limit: int) -> None:
        self._target, self._limit = target, limit
        self.written: list[Path] = []
        self._stream: IO[bytes] | None = None
        self._left = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            if self._stream is None or (self._limit and self._left == 0):
                self._next()
            chunk = view[done : done + self._left] if self._limit else view[done:]
            assert self._stream is not None
            self._stream.write(chunk)
            self._left -= len(chunk)
            done += len(chunk)
        return len(view)

    def _next(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self.written.append(self._target.with_name(f".{self._target.name}.{len(self.written) + 1}"))
        self._stream = self.written[-1].open("wb")
        self._left = self._limit

    def finish(self) -> list[Path]:
        """Give the files their names and return them."""
        if self._stream is not None:
            self._stream.close()
        count = len(self.written)
        names = [self._target] if count == 1 else [part(self._target, number, count) for number in range(1, count + 1)]
        for staged, name in zip(self.written, names, strict=True):
            staged.replace(name)
        return names


def part(bundle: Path, number: int, count: int) -> Path:
    """Return the name of a part."""
    return bundle.with_name(f"{bundle.name}.{number}-of-{count}")


def sign(text: bytes, key: Path) -> bytes:
    """Return a signature. Raises :class:`BundleError` where ssh-keygen makes none."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / MANIFEST
        file.write_bytes(text)
        _ssh_keygen("-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(file))
        return file.with_name(SIGNATURE).read_bytes()


def verify(text: bytes, signature: bytes, signers: Path) -> None:
    """Raise :class:`BundleError` where a signature is of nobody that a file of allowed signers names."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / SIGNATURE
        file.write_bytes(signature)
        try:
            _ssh_keygen(
                "-Y", "verify", "-f", str(signers), "-I", SIGNER, "-n", NAMESPACE, "-s", str(file), given=text
            )  # fmt: skip
        except BundleError as error:
            raise BundleError(f"the signature is of nobody that {signers} names: {error}") from error


def _ssh_keygen(*arguments: str, given: bytes = b"") -> None:
    try:
        done = subprocess.run(["ssh-keygen", *arguments], input=given, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise BundleError("there is no ssh-keygen, which Debian's openssh-client has") from error
    if done.returncode != 0:
        raise BundleError(f"ssh-keygen says {(done.stderr + done.stdout).decode(errors='replace').strip()}")


def files_of(sources: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Return the files that sources have, by their names in a bundle.

    Args:
        sources: names in a bundle, each with the file or folder that it stands for; folders of one name become one.

    Raises :class:`FileNotFoundError` where there is no such file or folder.
    """
    found: dict[str, Path] = {}
    for name, source in sources:
        source.stat()
        for path in [source] if source.is_file() else source.rglob("*"):
            if path.is_file():
                found[str(Path(name) / path.relative_to(source))] = path
    return dict(sorted(found.items()))


def pack(
    files: dict[str, Path], target: Path, commit: str, *, part_bytes: int = 0, key: Path | None = None
) -> list[Path]:
    """Write a bundle.

    Args:
        files: what goes into it, by the names there.
        target: the bundle; with parts, their names begin with it.
        commit: of the clone that it is for.
        part_bytes: the most that one part may have; 0 for one file.
        key: private key of ssh's that signs it.

    Returns the files that were written. Raises :class:`BundleError` where it cannot be signed.
    """
    told = {name: vars(content_of(path)) for name, path in files.items()}
    manifest = json.dumps({"commit": commit, "files": told}, indent=1, sort_keys=True).encode()
    heads = {MANIFEST: manifest, **({SIGNATURE: sign(manifest, key)} if key else {})}
    parts = _PartsWriter(target, part_bytes)
    with tarfile.open(fileobj=parts, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, text in heads.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
        for name, path in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = path.stat().st_size, 0o755 if path.stat().st_mode & 0o111 else 0o644
            with path.open("rb") as stream:
                tar.addfile(entry, stream)
    return parts.finish()


def parts_of(bundle: Path) -> list[Path]:
    """Return the files of a bundle. Raises :class:`BundleError` where it, or a part of it, is not there."""
    if bundle.is_file():
        return [bundle]
    there = sorted(bundle.parent.glob(f"{bundle.name}.*-of-*"))
    counts = {path.name.rpartition("-of-")[2] for path in there}
    if len(counts) != 1:
        what = f"parts of {len(counts)} bundles of that name" if counts else "no such file, and no part of one"
        raise BundleError(f"{bundle}: there is {what}" if not counts else f"{bundle}: there are {what}")
    count = int(counts.pop())
    wanted = [part(bundle, number, count) for number in range(1, count + 1)]
    missing = [path.name for path in wanted if path not in there]
    if missing:
        raise BundleError(f"{bundle}: {', '.join(missing)} is missing")
    return wanted


class _PartsReader(io.RawIOBase):
    """Reads files one after the other as one stream."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = list(paths)
        self._stream: IO[bytes] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._stream is None:
                if not self._paths:
                    return 0
                self._stream = self._paths.pop(0).open("rb")
            data = self._stream.read(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
            self._stream.close()
            self._stream = None


def _entries(paths: list[Path]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    with tarfile.open(fileobj=io.BufferedReader(_PartsReader(paths), BLOCK), mode="r|") as tar:
        for entry in tar:
            stream = tar.extractfile(entry)
            if stream is None:
                raise BundleError(f"{entry.name} is no file")
            yield entry, stream


def _write(stream: IO[bytes], path: Path) -> Content:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as target:
        while data := stream.read(BLOCK):
            digest.update(data)
            size += len(data)
            target.write(data)
    return Content(size, digest.hexdigest())


def unpack(bundle: Path, commit: str, into: Path, *, signers: Path | None = None) -> bool:
    """Unpack a bundle that is whole, and was made for a commit; otherwise leave nothing.

    Args:
        bundle: the file, or what the names of its parts begin with.
        commit: that is wanted.
        into: folder that has its files afterwards, and the manifest.
        signers: file of allowed signers; without one no signature is asked for.

    Returns whether it was unpacked; it is not where the folder has that bundle already. Raises :class:`BundleError`.
    """
    paths = parts_of(bundle)
    try:
        return _unpack(paths, commit, into, signers)
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"{bundle} is damaged: {error}") from error
    except BundleError as error:
        raise BundleError(f"{bundle}: {error}") from error


def _unpack(paths: list[Path], commit: str, into: Path, signers: Path | None) -> bool:
    entries = _entries(paths)
    entry, stream = next(entries, (None, None))
    if entry is None or stream is None or entry.name != MANIFEST:
        raise BundleError("it is no bundle, as it does not begin with a manifest")
    text = stream.read()
    try:
        told = json.loads(text)
        files = {name: Content(**content) for name, content in told["files"].items()}
        made_for = str(told["commit"])
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"its manifest is damaged: {error!r}") from error
    if made_for != commit:
        raise BundleError(f"it is for the commit {made_for}, and the clone has {commit}")
    if signers is not None:
        entry, stream = next(entries, (None, None))
        if entry is None or stream is None or entry.name != SIGNATURE:
            raise BundleError(f"it is not signed, and {signers} says who may have")
        verify(text, stream.read(), signers)
    if (into / MANIFEST).exists() and (into / MANIFEST).read_bytes() == text:
        return False
    _check_room(into, sum(content.size for content in files.values()))
    staging = into.with_name(f".unpacking-{into.name}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        missing = dict(files)
        for entry, stream in entries:
            if entry.name == SIGNATURE:
                continue
            wanted = missing.pop(entry.name, None)
            if wanted is None:
                raise BundleError(f"{entry.name} is not in its manifest")
            if _write(stream, staging / entry.name) != wanted:
                raise BundleError(f"{entry.name} is damaged: it has not the SHA-256 that the manifest says")
            (staging / entry.name).chmod(entry.mode & 0o755)
        if missing:
            raise BundleError(f"{min(missing)} is missing or damaged, as is all that comes after it")
        (staging / MANIFEST).write_bytes(text)
        shutil.rmtree(into, ignore_errors=True)
        staging.rename(into)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return True


def _check_room(into: Path, size: int) -> None:
    there = next(path for path in (into, *into.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < size:
        raise BundleError(f"it has {size / 2**30:.1f} GiB, and {there} has {free / 2**30:.1f} GiB free")


def _source(text: str) -> tuple[str, Path]:
    name, equals, source = text.partition("=")
    if not (name and equals and source):
        raise argparse.ArgumentTypeError(f"{text} is not written as NAME=PATH")
    return name, Path(source)


def main(arguments: list[str]) -> int:
    """Pack or unpack what the arguments name; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="write a bundle, and print the names of its files")
    packing.add_argument("sources", type=_source, nargs="+", metavar="NAME=PATH", help="what goes into it, as what")
    packing.add_argument("--part-mib", type=int, default=0, help="the most that one part may have")
    packing.add_argument("--key", type=Path, help="private key of ssh's that signs it")
    unpacking = commands.add_parser("unpack", help="verify a bundle, and unpack it")
    unpacking.add_argument("--into", type=Path, required=True, help="folder for its files")
    unpacking.add_argument("--signers", type=Path, help="file of allowed signers, as ssh-keygen has it")
    for command in (packing, unpacking):
        command.add_argument("--bundle", type=Path, required=True)
        command.add_argument("--clone", type=Path, required=True, help="the commit that it has is the bundle's")
    options = parser.parse_args(arguments)
    try:
        commit = commit_of(options.clone)
        if options.command == "pack":
            limit = options.part_mib * 2**20
            written = pack(files_of(options.sources), options.bundle, commit, part_bytes=limit, key=options.key)
            print(*written, sep="\n")
        else:
            unpack(options.bundle, commit, options.into, signers=options.signers)
    except (BundleError, OSError) as error:
        print(f"{error}. Nothing was changed.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
