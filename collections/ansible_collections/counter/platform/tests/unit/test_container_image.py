"""Images, built by a real daemon from files alone."""

import json
import os
import re
import shutil
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.archives import (
    config_digest,
    image_content,
    image_manifest,
)
from ansible_collections.counter.platform.plugins.module_utils.artifacts import digest_of_tree
from ansible_collections.counter.platform.plugins.module_utils.builders.container_image import place
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules.engine_probe import probe_root
from ansible_collections.counter.platform.tests.unit.support import LABEL, Docker, Module, RunModule, one_entry

NO_DAEMON = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "folder" / "__pycache__").mkdir(parents=True)
    (root / "folder" / "a").write_text("a")
    (root / "folder" / "a").chmod(0o755)
    (root / "folder" / "__pycache__" / "a.pyc").write_text("compiled")
    (root / "file").write_text("content")
    return root


@pytest.fixture
def build(docker: Docker, cache: Path, source: Path, run_module: RunModule) -> Module:
    """Run the module for one image, and return what it says of that one."""
    dockerfile = source / "Dockerfile"
    dockerfile.write_text(f"FROM scratch\nLABEL {LABEL}={docker.session}\nCOPY . /\n")
    return one_entry(
        run_module,
        "image",
        type="image",
        name=f"{docker.name}/image",
        dockerfile="source/Dockerfile",
        files=[{"path": "source/folder", "dest": "opt/folder"}, {"path": "source/file", "dest": "opt/file"}],
        root=str(source.parent),
        cache=str(cache),
    )


def modes(docker: Docker, image: str) -> dict[str, bool]:
    """Return of each file below /opt in an image whether it can be run."""
    container = docker("create", "--name", docker.name, "--network=none", image, "/none")
    with tempfile.NamedTemporaryFile() as exported:
        docker("export", "--output", exported.name, container)
        docker("rm", docker.name)
        with tarfile.open(exported.name) as tar:
            files = [entry for entry in tar if entry.name.startswith("opt/") and entry.isfile()]
    return {entry.name: entry.mode & 0o111 == 0o111 for entry in files}


def layers_held(docker: Docker, image: str) -> list[str]:
    """Return the digests of the layers that the daemon has under a name."""
    found: list[str] = json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))
    return found


def test_an_image_is_built_once(build: Module, docker: Docker, cache: Path) -> None:
    # A bare machine has no client yet, and check mode still knows.
    promised = build(env={"PATH": "/nowhere"}, check=True)
    assert (promised["changed"], promised["id"]) == (True, "")
    assert not cache.exists()
    assert not docker.images()

    made = build()
    assert made == promised | {"id": config_digest(Path(made["archive"]))}
    assert made["path"] == made["archive"]
    assert made["image"] == f"{docker.name}/image:{made['key']}"
    assert layers_held(docker, made["image"]) == image_content(Path(made["archive"]))["layers"]
    assert sorted(path.name for path in Path(made["archive"]).parent.iterdir()) == ["id", "image.tar"]
    assert modes(docker, made["image"]) == {"opt/file": False, "opt/folder/a": True}

    docker("image", "rm", made["image"])
    for check in (False, True):
        assert build(env={"PATH": "/nowhere"}, check=check) == made | {"changed": False}


@pytest.mark.parametrize("where", ["file", "folder/a"])
def test_the_key_stands_for_content_and_mode_alone(build: Module, source: Path, where: str) -> None:
    keys = [build(check=True)["key"]]
    (source / where).write_text("other")
    keys.append(build(check=True)["key"])
    (source / where).chmod(0o700 if where == "file" else 0o600)
    keys.append(build(check=True)["key"])
    assert len(set(keys)) == 3
    os.utime(source / where, (1, 1))
    (source / "folder" / "__pycache__" / "a.pyc").write_text("compiled by another Python")
    assert build(check=True)["key"] == keys[-1]


def test_the_key_stands_for_every_other_input(build: Module, source: Path) -> None:
    (source / "Dockerfile.other").write_text("FROM scratch\n")
    files = build.keywords["files"]
    rootfs = {"type": "rootfs", "suite": "bookworm", "packages": ["dash"], "refresh": "1"}
    base = {"type": "image", "layers": ["root"]}
    others = {"root": rootfs, "base": base, "part": {**base, "replaces": "registry.example/part:1"}}
    changes: list[dict[str, Any]] = [
        {},
        {"name": f"{build.keywords['name']}2"},
        {"tag": "v1"},
        {"dockerfile": "source/Dockerfile.other"},
        {"files": [{**entry, "dest": f"moved/{entry['dest']}"} for entry in files]},
        {"files": files[:1]},
        {"files": [*files, {"artifact": "root", "dest": "root.tar"}]},
        {"build_args": {"GREETING": "hello"}},
        {"base": "base"},
        {"base": "base", "others": {**others, "root": {**rootfs, "refresh": "2"}}},
        {"images": ["part"]},
        {"images": ["part"], "others": {**others, "part": {**others["part"], "entrypoint": ["/part"]}}},
    ]
    keys = [build(**{"others": others, **change}, check=True)["key"] for change in changes]
    assert len(set(keys)) == len(changes)
    elsewhere = build(base="base", others=others, cache=str(source / "cache"), check=True)
    assert elsewhere["key"] == keys[8], "the key depends on where the cache is"


def test_a_base_comes_from_its_archive(build: Module, docker: Docker, source: Path) -> None:
    base = build()
    docker("image", "rm", "--force", base["image"])
    entry = {name: build.keywords[name] for name in ("type", "name", "dockerfile", "files")}
    (source / "Dockerfile.child").write_text(
        f"ARG BASE_IMAGE\nFROM $BASE_IMAGE\nLABEL {LABEL}={docker.session}\nCOPY child /opt/child\n"
    )
    child = build(
        name=f"{docker.name}/child",
        dockerfile="source/Dockerfile.child",
        files=[{"path": "source/file", "dest": "child"}],
        base="base",
        others={"base": entry},
    )
    assert child["changed"], child
    assert sorted(modes(docker, child["image"])) == ["opt/child", "opt/file", "opt/folder/a"]


def test_what_was_built_before_an_error_is_kept(build: Module, docker: Docker, source: Path) -> None:
    (source / "Dockerfile.broken").write_text("FROM counter-unit-none\n")
    image = {name: build.keywords[name] for name in ("type", "name", "dockerfile", "files")}
    broken = {"dockerfile": "source/Dockerfile.broken", "name": f"{docker.name}/broken", "others": {"base": image}}
    failed = build(**broken, base="base")
    assert failed["msg"].startswith("cannot build the image image: ")
    assert "counter-unit-none" in failed["msg"]
    assert not build()["changed"]


def test_the_daemon_gets_what_it_lacks(build: Module, docker: Docker) -> None:
    load = partial(build, load=True)
    made = load()
    assert not load()["changed"]
    docker("image", "rm", "--force", made["image"])
    assert load(check=True)["changed"]
    assert not docker("image", "ls", "--quiet", made["image"]), "check mode loaded the image"
    assert not build()["changed"], "nobody asked for it in the daemon"
    assert load()["changed"]
    assert docker("image", "ls", "--quiet", made["image"])
    assert not load(check=True)["changed"]


def test_the_daemon_holds_an_image_whose_name_is_written_out(build: Module, docker: Docker) -> None:
    short = f"{docker.name}-written-out"
    load = partial(build, name=f"docker.io/library/{short}", tag="v1", load=True)
    try:
        assert load()["changed"]
        assert not load()["changed"], "the daemon lists it as docker.io's without saying so"
    finally:
        docker("image", "rm", f"{short}:v1")


def test_a_given_tag_gets_the_image_of_these_inputs(build: Module, docker: Docker, source: Path) -> None:
    load = partial(build, tag="v1", load=True)
    first = load()
    assert first["image"] == f"{docker.name}/image:v1"
    (source / "file").write_text("other")
    assert load()["image"] == first["image"]
    # Back to the first, which is in the cache while the daemon has the second under the name.
    (source / "file").write_text("content")
    assert load(check=True)["changed"]
    assert load()["changed"]
    assert layers_held(docker, first["image"]) == image_content(Path(first["archive"]))["layers"]
    assert not load()["changed"]
    # The same files, and another command.
    other = source / "Dockerfile.other"
    other.write_text((source / "Dockerfile").read_text() + 'CMD ["/opt/file"]\n')
    assert load(dockerfile=str(other))["changed"]
    assert load()["changed"]


def test_a_build_has_no_network(build: Module, source: Path, docker: Docker) -> None:
    """A shell of the host's own, whose only interface is the loopback."""
    (source / "file").write_bytes(probe_root())
    (source / "Dockerfile").write_text(
        f"FROM scratch\nLABEL {LABEL}={docker.session}\nADD opt/file /\n"
        'RUN ["/bin/sh", "-c", "while read -r name rest; do echo seen $name; done </proc/net/dev; exit 7"]\n'
    )
    interfaces = set(re.findall(r"seen (\w+):", build()["msg"]))
    assert "lo" in interfaces
    assert not {name for name in interfaces if name.startswith(("eth", "en"))}


def test_a_missing_client(build: Module) -> None:
    reason = "docker cannot be run: No such file or directory"
    assert build(env={"PATH": "/nowhere"})["msg"] == f"cannot build the image image: {reason}"


def test_a_missing_file(build: Module, source: Path) -> None:
    (source / "file").unlink()
    assert str(source / "file") in build(check=True)["msg"]


def test_what_is_placed_is_what_its_key_stands_for(source: Path, tmp_path: Path) -> None:
    (source / "folder" / "link").symlink_to("../file")
    placed = tmp_path / "context" / "deep" / "folder"
    place(source / "folder", placed)
    place(source / "file", placed / "file")
    assert (placed / "link").read_text() == (placed / "file").read_text() == "content"
    assert not (placed / "__pycache__").exists()
    (placed / "file").unlink()
    assert digest_of_tree(source / "folder") == digest_of_tree(placed)


def test_an_archive_of_older_dockers(tmp_path: Path) -> None:
    """Up to Docker 24 an archive names the configuration HEX.json."""
    (tmp_path / "manifest.json").write_text('[{"Config": "0123abcd.json"}]')
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(tmp_path / "manifest.json", "manifest.json")
    assert config_digest(tmp_path / "image.tar") == "sha256:0123abcd"
    with pytest.raises(CommandError, match=r"it has no 0123abcd\.json"):
        image_content(tmp_path / "image.tar")


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(CommandError, match=r"empty\.tar: it has no manifest\.json"):
        config_digest(tmp_path / "empty.tar")
    (tmp_path / "text.tar").write_text("no tar")
    with pytest.raises(CommandError, match=r"text\.tar cannot be read"):
        config_digest(tmp_path / "text.tar")


@pytest.fixture
def assemble(tmp_path: Path, source: Path, cache: Path, run_module: RunModule) -> Module:
    """Make an image without a Dockerfile on a rootfs that is there; no daemon answers."""
    rootfs = {"type": "rootfs", "suite": "bookworm", "packages": ["dash"], "refresh": "1"}
    root = one_entry(run_module, "root", cache=str(cache), **rootfs)(check=True)
    layer = Path(root["path"])
    layer.parent.mkdir(parents=True)
    with tarfile.open(layer, "w") as tar:
        tar.add(source / "file", "etc/file")
    (source / "program").write_text("#!/bin/sh")
    (source / "program").chmod(0o755)
    return one_entry(
        run_module,
        "assembled",
        type="image",
        layers=["root"],
        files=[{"path": "source/program", "dest": "usr/local/bin/program"}],
        entrypoint=["/usr/local/bin/program"],
        root=str(tmp_path),
        others={"root": rootfs},
        cache=str(cache),
    )


def layers_of(archive: Path) -> list[list[tarfile.TarInfo]]:
    with tarfile.open(archive) as outer:
        streams = [outer.extractfile(name) for name in image_manifest(archive)["Layers"]]
        return [tarfile.open(fileobj=stream).getmembers() for stream in streams]


def test_image_without_a_dockerfile_needs_no_daemon(assemble: Module) -> None:
    assemble = partial(assemble, env={"PATH": "/nowhere"})
    made = assemble()
    assert made["changed"]
    lower, upper = layers_of(Path(made["archive"]))
    assert [entry.name for entry in lower] == ["etc/file"]
    assert [entry.name for entry in upper] == ["usr", "usr/local", "usr/local/bin", "usr/local/bin/program"]
    assert {(entry.uid, entry.mtime) for entry in upper} == {(0, 0)}
    assert upper[-1].mode == 0o755
    assert made["id"] == config_digest(Path(made["archive"]))
    shutil.rmtree(Path(made["path"]).parent)
    before = os.umask(0o077)
    again = assemble()
    os.umask(before)
    assert again["id"] == made["id"], "the same input gives the same image, whatever the umask"
    assert Path(again["archive"]).stat().st_mode & 0o777 == 0o644


def test_key_of_an_image_without_a_dockerfile_stands_for_each_input(assemble: Module) -> None:
    changes: list[dict[str, Any]] = [{}, {"entrypoint": []}, {"layers": []}, {"files": []}, {"name": "other"}]
    assert len({assemble(**change, check=True)["key"] for change in changes}) == len(changes)


def test_image_in_another_one_is_made_for_it_alone(
    build: Module, docker: Docker, assemble: Module, cache: Path
) -> None:
    part = {name: assemble.keywords[name] for name in ("type", "layers", "files", "entrypoint")}
    others = {**assemble.keywords["others"], "part": {**part, "replaces": "opt/part:1"}}
    (Path(build.keywords["root"]) / "source/Dockerfile").write_text(
        f"FROM scratch\nLABEL {LABEL}={docker.session}\nCOPY images /\n"
    )
    made = build(images=["part"], files=[], others=others)
    assert "opt/part:1.tar" in modes(docker, made["image"])
    assert not (cache / "artifacts/counter-platform_part").exists()


def test_daemon_knows_an_image_without_a_dockerfile_again(assemble: Module, docker: Docker) -> None:
    load = partial(assemble, name=f"{docker.name}/assembled", load=True)
    made = load()
    try:
        assert not load()["changed"]
    finally:
        docker("image", "rm", made["image"])
