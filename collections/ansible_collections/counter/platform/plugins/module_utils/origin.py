# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Results that come from a registry instead of being made here: each an image, named by the key of its inputs."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.counter.platform.plugins.module_utils.archives import (
    config_digest,
    image_manifest,
    write_archive,
    write_layer,
)
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run

# Options of the modules that ask a registry.
ACCESS: dict[str, Any] = {
    "registry": {"type": "str", "required": True},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "ca": {"type": "path", "default": ""},
}
TRIES = 3
COMPRESSION = 6  # of files in a folder; of nine
ANSWER = 15  # seconds in which a registry has to answer a question
IMAGE = 600  # seconds that one image may take
# What skopeo says, and what that is in the words of whoever set the registry up.
MEANINGS = {
    "unauthorized": "it refuses the login (image_registry_user, image_registry_password)",
    "authentication required": "it refuses the login (image_registry_user, image_registry_password)",
    "certificate signed by unknown authority": "its certificate is of a CA that is not known here (image_registry_ca)",
    "manifest unknown": "it has nothing of this digest: playbooks/mirror.yml fills it",
    "name unknown": "it has nothing of this name: playbooks/mirror.yml fills it",
    "connection refused": "nobody answers at its address",
    "no such host": "its name is not known",
    "i/o timeout": "it does not answer in time",
    "context deadline exceeded": "it does not answer in time",
}


@dataclass(frozen=True)
class Entry:
    """A result as a registry has it.

    Attributes:
        repository: below the registry's address.
        digest: of the manifest, ``sha256:…``; a registry that serves anything else is refused.
        id: digest of the image's configuration, ``sha256:…``, by which a node names the image.
        size: of all layers as they are sent, in bytes.
    """

    repository: str
    digest: str
    id: str
    size: int


def digest_of_file(path: Path) -> str:
    """Return a file's digest as images have it, ``sha256:`` and 64 hex digits."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def require_identity(archive: Path, entry: Entry, address: str) -> None:
    """Raise :class:`CommandError` where the image that came from an address is not the one of an entry."""
    found = config_digest(archive)
    if found != entry.id:
        raise CommandError(f"{address}/{entry.repository} has {found} instead of {entry.id}")


@dataclass(frozen=True)
class Registry:
    """A registry by way of skopeo.

    Args:
        address: host, port and what all names begin with, as in registry.example.com/platform.
        authfile: file with logins as docker and skopeo write it; empty for none.
        ca: file with the CA of its certificate; empty for those of the system.
    """

    address: str
    authfile: str = ""
    ca: str = ""

    def pull(self, entry: Entry, archive: Path, image: str) -> None:
        """Write an image as a docker archive, under a name of ours.

        Raises :class:`CommandError`, in words, where the registry is away, refuses the login or has something else.
        """
        source = f"docker://{self.address}/{entry.repository}@{entry.digest}"
        with self._access("src") as options:
            self._skopeo(entry.repository, "copy", *options, source, f"docker-archive:{archive}:{image}")
        require_identity(archive, entry, self.address)

    def check(self, entry: Entry) -> None:
        """Raise :class:`CommandError`, in words, where the registry does not give what an entry says."""
        if not self.address:
            raise CommandError("no registry is named (image_registry)")
        with self._access("") as options:
            self._skopeo(
                entry.repository, "inspect", "--raw", *options,
                f"docker://{self.address}/{entry.repository}@{entry.digest}",
            )  # fmt: skip

    def push(self, archive: Path, repository: str, tag: str, *, check_mode: bool) -> tuple[Entry | None, bool]:
        """Put the image of a docker archive there, and return it as it is there, and whether it was not before."""
        target = f"docker://{self.address}/{repository}:{tag}"
        identity = config_digest(archive)
        there = self._there(repository, tag)
        if there is not None and there.id == identity:
            return there, False
        if check_mode:
            return None, True
        with self._access("dest") as options:
            self._skopeo(repository, "copy", *options, f"docker-archive:{archive}", target)
        made = self._there(repository, tag)
        if made is None or made.id != identity:
            raise CommandError(f"{self.address}/{repository}:{tag} is not what was put there")
        return made, True

    def _there(self, repository: str, tag: str) -> Entry | None:
        """Return what a tag is, or nothing."""
        target = f"docker://{self.address}/{repository}:{tag}"
        with self._access("") as options:
            try:
                manifest = self._skopeo(repository, "inspect", "--raw", *options, target)
            except CommandError as error:
                if "manifest unknown" in str(error) or "name unknown" in str(error):
                    return None
                raise
        told = json.loads(manifest)
        size = sum(layer["size"] for layer in told["layers"])
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        return Entry(repository, digest, told["config"]["digest"], size)

    @contextlib.contextmanager
    def _access(self, side: str) -> Iterator[list[str]]:
        """Give the options of skopeo that let it in."""
        prefix = f"--{side}-" if side else "--"
        options = [f"{prefix}authfile={self.authfile}"] if self.authfile else []
        with tempfile.TemporaryDirectory() as folder:
            if self.ca:
                (Path(folder) / "ca.crt").write_bytes(Path(self.ca).read_bytes())
                options.append(f"{prefix}cert-dir={folder}")
            yield options

    def _skopeo(self, what: str, command: str, *arguments: str) -> str:
        # A question is the first thing, and is answered or not.
        copies = command == "copy"
        seconds, retries = (IMAGE, [f"--retry-times={TRIES}"]) if copies else (ANSWER, [])
        try:
            return run(["skopeo", f"--command-timeout={seconds}s", command, *retries, *arguments])
        except CommandError as error:
            said = str(error)
            meaning = next((words for sign, words in MEANINGS.items() if sign in said), None)
            if meaning is None:
                raise
            # Its log has a time before it.
            last = re.sub(r'^.*? msg="(.*)"$', r"\1", said.splitlines()[-1])
            raise CommandError(f"{self.address}: {meaning}. Of {what} skopeo said: {last}") from error


@dataclass(frozen=True)
class Folder:
    """A registry's part without a registry: compressed archives in a folder, by their digests.

    Args:
        address: the folder.
    """

    address: str

    def pull(self, entry: Entry, archive: Path, _image: str) -> None:
        """Write an image as a docker archive, under the name that it was made by.

        Raises :class:`CommandError` where the folder has something else.
        """
        self.check(entry)
        if digest_of_file(self._file(entry.digest)) != entry.digest:
            raise CommandError(f"{self.address} has a damaged {entry.repository}")
        with gzip.open(self._file(entry.digest)) as source, archive.open("wb") as target:
            shutil.copyfileobj(source, target, 2**20)
        require_identity(archive, entry, self.address)

    def check(self, entry: Entry) -> None:
        """Raise :class:`CommandError` where the folder has nothing of that digest."""
        if not self._file(entry.digest).exists():
            raise CommandError(f"{self.address} has no {entry.repository}@{entry.digest}")

    def push(self, archive: Path, repository: str, _tag: str, *, check_mode: bool) -> tuple[Entry | None, bool]:
        """Put the image of a docker archive there, and return it as it is there, and whether it was not before."""
        if check_mode:
            return None, True
        Path(self.address).mkdir(parents=True, exist_ok=True)
        staged = Path(self.address) / f".{repository.replace('/', '_')}"
        # Without a name and a time the same archive gives the same file.
        with (
            archive.open("rb") as source,
            staged.open("wb") as target,
            gzip.GzipFile("", "wb", COMPRESSION, target, mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed, 2**20)
        digest = digest_of_file(staged)
        is_new = not self._file(digest).exists()
        size = staged.stat().st_size
        staged.replace(self._file(digest))
        return Entry(repository, digest, config_digest(archive), size), is_new

    def _file(self, digest: str) -> Path:
        return Path(self.address) / f"{digest.removeprefix('sha256:')}.tar.gz"


def registry_at(address: str, authfile: str = "", ca: str = "") -> Registry | Folder:
    """Return the registry at an address, or the folder, where it is one's path."""
    return Folder(address) if address.startswith("/") else Registry(address, authfile, ca)


@dataclass(frozen=True)
class Origin:
    """Where results come from that are not made here.

    Args:
        registry: has them.
        artifacts: what it has, by ``NAME/KEY``.
    """

    registry: Registry | Folder
    artifacts: dict[str, Entry]

    @classmethod
    def read(cls, file: str) -> Origin:
        """Read what :func:`written` has written. Raises :class:`OSError` where there is no such file."""
        told = json.loads(Path(file).read_text(encoding="utf-8"))
        artifacts = {name: Entry(**entry) for name, entry in told["artifacts"].items()}
        return cls(registry_at(**told["registry"]), artifacts)

    def written(self) -> str:
        """Return the text of the file that :meth:`read` reads."""
        entries = {name: asdict(entry) for name, entry in self.artifacts.items()}
        return json.dumps({"registry": asdict(self.registry), "artifacts": entries}, indent=1)

    def image(self, name: str, key: str, image: str, folder: Path) -> None:
        """Bring an image as ``folder/image.tar``, as ``image``. Raises :class:`CommandError` as pull does."""
        self.registry.pull(self._entry(name, key), folder / "image.tar", image)

    def files(self, name: str, key: str, folder: Path) -> None:
        """Bring the files of a result that is no image. Raises :class:`CommandError` as pull does."""
        with tempfile.TemporaryDirectory(dir=folder) as inside:
            archive = Path(inside) / "image.tar"
            self.registry.pull(self._entry(name, key), archive, f"{name}:{key}")
            # Python 3.11.2, which Debian 12 has, knows no safe way to unpack; tar leaves out what leads elsewhere.
            run(["tar", "--extract", f"--directory={inside}", f"--file={archive}"])
            for layer in image_manifest(archive)["Layers"]:
                run(["tar", "--extract", "--no-same-owner", f"--directory={folder}", f"--file={inside}/{layer}"])

    def _entry(self, name: str, key: str) -> Entry:
        entry = self.artifacts.get(f"{name}/{key}")
        if entry is None:
            raise CommandError(
                f"the lock file has no {name} of the key {key}: it was written for another state of the project. "
                "Fill the registry from this one by playbooks/mirror.yml, or set image_source to build"
            )
        return entry


def archive_of_files(folder: Path, archive: Path) -> None:
    """Write the files of a folder as the one layer of a docker archive; the same files give the same bytes."""
    with tempfile.NamedTemporaryFile(dir=archive.parent) as layer:
        write_layer(Path(layer.name), folder)
        write_archive(archive, None, [Path(layer.name)], {})


def repository_of(name: str) -> str:
    """Return the repository of a result: its name, with images' own slash, and others below ``files``."""
    return name.replace("_", "/", 1) if "_" in name else f"counter-platform/files/{name}"


def login(registry: str, user: str, password: str) -> str:
    """Return a login in the form of docker's own file."""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {registry.split("/")[0]: {"auth": auth}}})


@contextlib.contextmanager
def logged_in(address: str, user: str, password: str, ca: str) -> Iterator[Registry | Folder]:
    """Give a registry whose login, where there is a user, is on the disk for as long as the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        authfile = Path(folder) / "login.json"
        if user:
            authfile.touch(mode=0o600)
            authfile.write_text(login(address, user, password))
        yield registry_at(address, str(authfile) if user else "", ca)
