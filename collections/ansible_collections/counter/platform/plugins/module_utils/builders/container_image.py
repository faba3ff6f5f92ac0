# Copyright: counter-platform contributors
# SPDX-License-Identifier: Apache-2.0
"""Container images as docker archives: by `docker build --network=none`, or without a daemon from layers and files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.counter.platform.plugins.module_utils.archives import (
    config_digest,
    content,
    image_content,
    write_archive,
    write_layer,
)
from ansible_collections.counter.platform.plugins.module_utils.artifacts import digest_of, digest_of_tree
from ansible_collections.counter.platform.plugins.module_utils.builders.artifact import Artifact
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, follow, run
from ansible_collections.counter.platform.plugins.module_utils.origin import Origin

# No registry has images of this name.
NAMESPACE = "counter-platform"
DOCKER = "docker"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HELD = "[{{json .RootFS.Layers}}, {{json .Config}}]"


def content_key(path: Path) -> str:
    """Return the hash of a file's content and execute bit, or of a folder's."""
    if path.is_dir():
        return digest_of_tree(path)
    return digest_of({"content": path.read_bytes().hex(), "executable": os.access(path, os.X_OK)})


def place(source: Path, target: Path) -> None:
    """Put ``source`` at ``target`` in the build context, by hard link where the file system allows it."""

    def link(origin: str, copy: str) -> None:
        try:
            # A link to a symbolic link would carry the name and not the content, which is what the key stands for.
            os.link(os.path.realpath(origin), copy)
        except OSError:
            shutil.copy2(origin, copy)

    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True, ignore=ignore)
    else:
        link(str(source), str(target))


class ContainerImage(Artifact):
    """An image; the file is C(image.tar). Without a Dockerfile it is layers and files, and needs no daemon."""

    TYPE = "image"
    OPTIONS: ClassVar[dict[str, Any]] = {
        "tag": {"type": "str"},
        "replaces": {"type": "str"},
        "dockerfile": {"type": "str"},
        "base": {"type": "str"},
        "build_args": {"type": "dict", "default": {}},
        "layers": {"type": "list", "elements": "str", "default": []},
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "artifact": {"type": "str"},
                "path": {"type": "str", "default": ""},
                "dest": {"type": "str", "required": True},
            },
        },
        "images": {"type": "list", "elements": "str", "default": []},
        "entrypoint": {"type": "list", "elements": "str", "default": []},
        "load": {"type": "bool", "default": False},
    }
    MAKING = ("build", "the image")

    @property
    def repository(self) -> str:
        """Its name without a tag."""
        return str(self.options["name"] or f"{NAMESPACE}/{self.name}")

    @property
    def stored(self) -> str:
        return self.repository.replace("/", "_")

    @property
    def image(self) -> str:
        """Name and tag."""
        return f"{self.repository}:{self.options['tag'] or self.key}"

    @property
    def path(self) -> Path:
        return self.folder / "image.tar"

    @property
    def parts(self) -> list[str]:
        files = [entry["artifact"] for entry in self.options["files"] if entry["artifact"]]
        return [*self.options["layers"], *files, *(base.name for base in self._bases), *self.options["images"]]

    @property
    def needs(self) -> list[str]:
        # Images in this one are made for it alone.
        own = [name for name in self.parts if name not in self.options["images"]]
        return own + [name for image in self._images for name in image.needs]

    @property
    def _images(self) -> list[ContainerImage]:
        images = self.others(self.options["images"], ContainerImage)
        if unnamed := [image.name for image in images if not image.options["replaces"] or image.options["dockerfile"]]:
            raise CommandError(f"{self.name}: {unnamed[0]} needs replaces and no dockerfile to be in another image")
        return images

    @property
    def _bases(self) -> list[ContainerImage]:
        return self.others([self.options["base"]] if self.options["base"] else [], ContainerImage)

    @cached_property
    def key(self) -> str:
        inputs = {
            "name": self.repository,
            "tag": self.options["tag"],
            "files": {entry["dest"]: self._key_of(entry) for entry in self.options["files"]},
        }
        if not self.options["dockerfile"]:
            layers = [self.entries[name].key for name in self.options["layers"]]
            return digest_of({**inputs, "layers": layers, "settings": self._settings})
        return digest_of(
            {
                **inputs,
                "dockerfile": self._dockerfile.read_text(),
                "build_args": self._build_args,
                "bases": [base.key for base in self._bases],
                "images": {self._place_of(image): image.key for image in self._images},
            }
        )

    def _key_of(self, entry: dict[str, Any]) -> str:
        if entry["artifact"]:
            return self.entries[entry["artifact"]].key
        return content_key(self.workshop.file(entry["path"]))

    @property
    def _dockerfile(self) -> Path:
        return self.workshop.file(self.options["dockerfile"])

    @property
    def _build_args(self) -> dict[str, Any]:
        arguments = dict(self.options["build_args"])
        for base in self._bases:
            arguments["BASE_IMAGE"] = base.image
        return arguments

    @property
    def _settings(self) -> dict[str, Any]:
        """The configuration of an image without a Dockerfile, with the PATH that docker gives every image."""
        return {"Entrypoint": self.options["entrypoint"] or None, "Env": [f"PATH={PATH}"], "WorkingDir": "/"}

    @staticmethod
    def _place_of(image: ContainerImage) -> str:
        """Return where an image is in the context of another one, by the name that its node asks for."""
        return f"images/{image.options['replaces']}.tar"

    def _place_files(self, folder: Path) -> None:
        for entry in self.options["files"]:
            source = self.entries[entry["artifact"]].path if entry["artifact"] else self.workshop.root
            place(source / entry["path"], folder / entry["dest"])

    def assemble(self, image: str, archive: Path) -> None:
        """Write an image without a Dockerfile as an archive. Raises :class:`OSError` when a file cannot be read."""
        with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
            files, top = Path(temporary, "content"), Path(temporary, "top.tar")
            files.mkdir()
            self._place_files(files)
            layers = [self.entries[name].path for name in self.options["layers"]]
            if self.options["files"]:
                write_layer(top, files)
                layers.append(top)
            write_archive(archive, image, layers, self._settings)

    def make(self, folder: Path) -> None:
        """Build or assemble it."""
        archive = folder / "image.tar"
        if self.options["dockerfile"]:
            self._build(folder, archive)
        else:
            self.assemble(self.image, archive)
        (folder / "id").write_text(config_digest(archive))

    def fetch(self, folder: Path) -> None:
        Origin.read(self.workshop.origin).image(self.stored, self.key, self.image, folder)
        (folder / "id").write_text(config_digest(folder / "image.tar"))

    def _build(self, folder: Path, archive: Path) -> None:
        for base in self._bases:
            base.load()
        context = folder / "context"
        context.mkdir()
        self._place_files(context)
        for image in self._images:
            target = context / self._place_of(image)
            target.parent.mkdir(parents=True, exist_ok=True)
            image.assemble(image.repository, target)
        arguments = [f"--build-arg={option}={value}" for option, value in self._build_args.items()]
        dockerfile = f"--file={self._dockerfile}"
        follow(
            [DOCKER, "build", "--network=none", dockerfile, f"--tag={self.image}", *arguments, str(context)],
            lambda line: self.progress(line.strip()[:100]),
            env={"DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
        )
        self.progress("saving")
        run([DOCKER, "save", "--output", str(archive), self.image])
        shutil.rmtree(context)

    def is_loaded(self) -> bool:
        """Return whether the daemon has this image: under a given tag it may have one of other inputs."""
        if not self.path.exists() or not shutil.which(DOCKER):
            return False
        try:
            # `image ls` finds no name that is written out with docker.io/library.
            held = run([DOCKER, "image", "inspect", "--format", HELD, self.image])
        except CommandError:
            return False
        return content(*json.loads(held)) == image_content(self.path)

    def load(self) -> None:
        """Load it into the daemon. Raises :class:`CommandError`."""
        self.progress("loading into the daemon")
        run([DOCKER, "load", "--quiet", "--input", str(self.path)])

    def about(self) -> dict[str, Any]:
        identity = self.folder / "id"
        own = {"image": self.image, "archive": str(self.path), "id": identity.read_text() if identity.exists() else ""}
        return super().about() | own
