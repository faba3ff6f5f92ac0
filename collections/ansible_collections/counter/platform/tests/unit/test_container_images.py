"""Images, built by a real daemon from files alone."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.archives import config_digest, daemon_ids, image_manifest
from ansible_collections.counter.platform.plugins.module_utils.artifacts import digest_of_tree
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules.container_images import place
from ansible_collections.counter.platform.plugins.modules.engine_probe import libraries
from ansible_collections.counter.platform.tests.unit.support import (
    LABEL,
    Docker,
    RunModule,
    alone,
    results_in,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "folder" / "__pycache__").mkdir(parents=True)
    (root / "folder" / "a").write_text("a")
    (root / "folder" / "__pycache__" / "a.pyc").write_text("compiled")
    (root / "file").write_text("content")
    return root


@pytest.fixture
def build(run_module: RunModule) -> RunModule:
    """Run the module for one image, and return what it says of that one."""
    return alone(run_module, "container_images", "images", common=("docker", "cache"))


@pytest.fixture
def arguments(docker: Docker, cache: Path, source: Path) -> dict[str, Any]:
    dockerfile = source / "Dockerfile"
    dockerfile.write_text(
        f"FROM scratch\nARG GREETING=none\nLABEL {LABEL}={docker.session} greeting=$GREETING\nCOPY . /\n"
    )
    return {
        "name": f"{docker.name}/image",
        "dockerfile": str(dockerfile),
        "files": [
            {"path": str(source / "folder"), "dest": "opt/folder"},
            {"path": str(source / "file"), "dest": "opt/file"},
        ],
        "docker": docker.client,
        "cache": str(cache),
    }


def _files(docker: Docker, image: str) -> dict[str, tarfile.TarInfo]:
    """Return what is below /opt in an image."""
    container = docker("create", "--name", docker.name, "--network=none", image, "/none")
    try:
        exported = Path(os.environ.get("TMPDIR", "/tmp")) / f"{docker.name}.tar"  # noqa: S108
        docker("export", "--output", str(exported), container)
        with tarfile.open(exported) as tar:
            return {entry.name: entry for entry in tar if entry.name.startswith("opt/") and entry.isfile()}
    finally:
        exported.unlink(missing_ok=True)
        docker("rm", docker.name)


def test_an_image_is_built_once(build: RunModule, docker: Docker, arguments: dict[str, Any], cache: Path) -> None:
    # A bare machine has no client yet, and check mode still knows.
    promised = build({**arguments, "docker": ""}, check=True)
    assert (promised["changed"], promised["id"]) == (True, "")
    assert not cache.exists()
    assert not docker.images()

    made = build(arguments)
    assert made["changed"]
    for value in ("image", "key", "archive"):
        assert made[value] == promised[value]
    assert made["image"] == f"{docker.name}/image:{made['key']}"
    assert made["loadable"] == {value: made[value] for value in ("image", "archive")}
    assert docker("image", "inspect", "--format", "{{.Id}}", made["image"]) in daemon_ids(Path(made["archive"]))
    assert made["id"] == config_digest(Path(made["archive"]))
    assert sorted(path.name for path in Path(made["archive"]).parent.iterdir()) == ["id", "image.tar"]
    assert sorted(_files(docker, made["image"])) == ["opt/file", "opt/folder/a"]

    docker("image", "rm", made["image"])
    for check in (False, True):
        again = build({**arguments, "docker": "/nowhere/docker"}, check=check)
        assert (again["changed"], again["id"]) == (False, made["id"])


def test_the_id_is_the_one_of_dockers_own_store(build: RunModule, docker: Docker, arguments: dict[str, Any]) -> None:
    if "io.containerd.snapshotter" in docker("info", "--format", "{{.DriverStatus}}"):
        pytest.skip("this daemon keeps images in containerd, which names them by their manifest")
    made = build(arguments)
    assert docker("image", "inspect", "--format", "{{.Id}}", made["image"]) == made["id"]


def test_changed_content_and_mode_are_built_anew(
    build: RunModule, docker: Docker, arguments: dict[str, Any], source: Path
) -> None:
    first = build(arguments)
    assert _files(docker, first["image"])["opt/file"].mode & 0o111 == 0
    (source / "file").chmod(0o755)
    (source / "folder" / "a").write_text("longer")
    second = build(arguments)
    assert second["changed"]
    assert second["id"] != first["id"]
    files = _files(docker, second["image"])
    assert files["opt/file"].mode & 0o111 == 0o111
    assert files["opt/folder/a"].size == len("longer")
    assert len(results_in(Path(arguments["cache"]))) == 2


@pytest.mark.parametrize("where", ["file", "folder/a"])
def test_the_key_stands_for_content_and_mode_alone(
    build: RunModule, arguments: dict[str, Any], source: Path, where: str
) -> None:
    def key() -> str:
        return str(build(arguments, check=True)["key"])

    keys = [key()]
    (source / where).write_text("other")
    keys.append(key())
    (source / where).chmod(0o755)
    keys.append(key())
    assert len(set(keys)) == 3
    os.utime(source / where, (1, 1))
    (source / "folder" / "__pycache__" / "a.pyc").write_text("compiled by another Python")
    assert key() == keys[-1]


def test_the_key_stands_for_every_other_input(build: RunModule, arguments: dict[str, Any], source: Path) -> None:
    (source / "Dockerfile.other").write_text("FROM scratch\n")
    moved = [{**entry, "dest": f"moved/{entry['dest']}"} for entry in arguments["files"]]
    changes: list[dict[str, Any]] = [
        {},
        {"name": f"{arguments['name']}2"},
        {"tag": "v1"},
        {"dockerfile": str(source / "Dockerfile.other")},
        {"files": moved},
        {"files": arguments["files"][:1]},
        {"build_args": {"GREETING": "hello"}},
        {"base_archives": ["/cache/artifacts/base/0123/image.tar"]},
        {"base_archives": ["/cache/artifacts/base/4567/image.tar"]},
    ]
    keys = [build({**arguments, **change}, check=True)["key"] for change in changes]
    assert len(set(keys)) == len(changes)
    elsewhere = build({**arguments, "base_archives": ["/other/artifacts/base/0123/image.tar"]}, check=True)
    assert elsewhere["key"] == keys[-2], "the key depends on where the cache is"


def test_a_known_key_saves_reading(build: RunModule, arguments: dict[str, Any], source: Path) -> None:
    known = {**arguments, "files": [{"path": str(source / "file"), "dest": "file", "key": "0123"}]}
    before = build(known, check=True)
    (source / "file").unlink()
    assert build(known, check=True)["key"] == before["key"]


def test_build_arguments_reach_the_build(build: RunModule, docker: Docker, arguments: dict[str, Any]) -> None:
    made = build({**arguments, "build_args": {"GREETING": "hello"}})
    assert docker("image", "inspect", "--format", "{{.Config.Labels.greeting}}", made["image"]) == "hello"


def test_a_base_comes_from_its_archive(
    build: RunModule, docker: Docker, arguments: dict[str, Any], source: Path
) -> None:
    base = build(arguments)
    docker("image", "rm", "--force", base["image"])
    (source / "Dockerfile").write_text(f"ARG BASE\nFROM $BASE\nLABEL {LABEL}={docker.session}\nCOPY child /opt/child\n")
    child = build(
        {
            **arguments,
            "name": f"{docker.name}/child",
            "files": [{"path": str(source / "file"), "dest": "child"}],
            "build_args": {"BASE": base["image"]},
            "base_archives": [base["archive"]],
        },
    )
    assert child["changed"], child
    assert sorted(_files(docker, child["image"])) == ["opt/child", "opt/file", "opt/folder/a"]


def test_several_images_in_one_task(
    run_module: RunModule, docker: Docker, arguments: dict[str, Any], source: Path
) -> None:
    common = {option: arguments.pop(option) for option in ("docker", "cache")}
    (source / "Dockerfile.broken").write_text("FROM counter-unit-none\n")
    broken = {**arguments, "name": f"{docker.name}/broken", "dockerfile": str(source / "Dockerfile.broken")}
    images = [arguments, {**arguments, "name": f"{docker.name}/second"}]
    failed = run_module("container_images", {"images": [images[0], broken, images[1]], **common})
    assert failed["msg"].startswith(f"cannot build the image {docker.name}/broken: ")
    assert [result["changed"] for result in failed["results"]] == [True], "what was built before is kept and told"
    made = run_module("container_images", {"images": images, **common})
    assert [result["changed"] for result in made["results"]] == [False, True]
    assert [result["image"].split(":")[0] for result in made["results"]] == [image["name"] for image in images]
    assert made["changed"]
    assert not run_module("container_images", {"images": images, **common})["changed"]


def test_the_daemon_gets_what_it_lacks(build: RunModule, docker: Docker, arguments: dict[str, Any]) -> None:
    loading = {**arguments, "load": True}
    made = build(loading)
    assert not build(loading)["changed"]
    docker("image", "rm", "--force", made["image"])
    assert build(loading, check=True)["changed"]
    assert not docker("image", "ls", "--quiet", made["image"]), "check mode loaded the image"
    assert not build(arguments)["changed"], "nobody asked for it in the daemon"
    assert build(loading)["changed"]
    assert docker("image", "ls", "--quiet", made["image"])
    for check in (False, True):
        assert not build(loading, check=check)["changed"]


def test_the_daemon_holds_an_image_whose_name_is_written_out(
    build: RunModule, docker: Docker, arguments: dict[str, Any]
) -> None:
    short = f"{docker.name}-written-out"
    loading = {**arguments, "name": f"docker.io/library/{short}", "tag": "v1", "load": True}
    try:
        assert build(loading)["changed"]
        assert not build(loading)["changed"], "the daemon lists it as docker.io's without saying so"
    finally:
        docker("image", "rm", f"{short}:v1")


def test_the_daemon_gets_the_image_of_these_inputs_under_a_given_tag(
    build: RunModule, docker: Docker, arguments: dict[str, Any], source: Path
) -> None:
    tagged = {**arguments, "tag": "v1", "load": True}
    first = build(tagged)
    assert first["image"] == f"{docker.name}/image:v1"
    (source / "file").write_text("other")
    second = build(tagged)
    assert second["image"] == first["image"]
    # Back to the first, which is in the cache while the daemon has the second under the name.
    (source / "file").write_text("content")
    assert build(tagged, check=True)["changed"]
    assert build(tagged)["changed"]
    assert docker("image", "inspect", "--format", "{{.Id}}", first["image"]) in daemon_ids(Path(first["archive"]))
    assert not build(tagged)["changed"]


def test_a_build_that_fails(
    build: RunModule, docker: Docker, arguments: dict[str, Any], source: Path, cache: Path
) -> None:
    good = (source / "Dockerfile").read_text()
    (source / "Dockerfile").write_text(good + "COPY counter-unit-none /\n")
    result = build(arguments)
    assert result["failed"]
    assert result["msg"].startswith(f"cannot build the image {arguments['name']}: ")
    assert "counter-unit-none" in result["msg"]
    assert "not found" in result["msg"]
    assert not results_in(cache)
    assert not docker("image", "ls", "--quiet", arguments["name"])
    assert build(arguments, check=True)["changed"]

    (source / "Dockerfile").write_text(good)
    assert build(arguments)["changed"]
    assert not list(cache.glob("artifacts/*/.building-*"))


def test_a_build_has_no_network(build: RunModule, arguments: dict[str, Any], source: Path, docker: Docker) -> None:
    """A shell of the host's own, whose only interface is the loopback."""
    from ansible_collections.counter.platform.plugins.modules.engine_probe import probe_root

    (source / "file").write_bytes(probe_root())
    (source / "Dockerfile").write_text(
        f"FROM scratch\nLABEL {LABEL}={docker.session}\nADD opt/file /\n"
        'RUN ["/bin/sh", "-c", "while read -r name rest; do echo seen $name; done </proc/net/dev; exit 7"]\n'
    )
    result = build(arguments)
    seen = [line.rpartition("seen ")[2] for line in result["msg"].splitlines() if "seen" in line and ":" in line]
    interfaces = {name.removesuffix(":") for name in seen if name.endswith(":")}
    assert "lo" in interfaces, result["msg"]
    assert not {name for name in interfaces if name.startswith(("eth", "en"))}


def test_a_missing_client(build: RunModule, arguments: dict[str, Any], cache: Path) -> None:
    result = build({**arguments, "docker": "/nowhere/docker"})
    reason = "/nowhere/docker cannot be run: No such file or directory"
    assert result["msg"] == f"cannot build the image {arguments['name']}: {reason}"
    assert not results_in(cache)


@pytest.mark.parametrize("check", [False, True])
def test_a_missing_file(build: RunModule, arguments: dict[str, Any], source: Path, check: bool) -> None:
    (source / "file").unlink()
    result = build(arguments, check=check)
    assert result["failed"]
    assert str(source / "file") in result["msg"]


def test_a_symbolic_link_is_placed_as_the_content_that_its_key_stands_for(source: Path, tmp_path: Path) -> None:
    (source / "folder" / "link").symlink_to("../file")
    place(source / "folder", tmp_path / "context" / "folder")
    assert (tmp_path / "context" / "folder" / "link").read_text() == "content"
    assert digest_of_tree(source / "folder") == digest_of_tree(tmp_path / "context" / "folder")


def test_placing_leaves_the_source_as_it_is(source: Path, tmp_path: Path) -> None:
    before = digest_of_tree(source)
    place(source / "folder", tmp_path / "context" / "deep" / "folder")
    place(source / "file", tmp_path / "context" / "deep" / "file")
    assert not (tmp_path / "context" / "deep" / "folder" / "__pycache__").exists()
    assert digest_of_tree(source) == before


def test_an_archive_of_older_dockers(tmp_path: Path) -> None:
    """Up to Docker 24 an archive has no index, and names the configuration HEX.json."""
    manifest = b'[{"Config": "0123abcd.json"}]'
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
    assert daemon_ids(tmp_path / "image.tar") == {"sha256:0123abcd"}


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(CommandError, match=r"empty\.tar: it has no manifest\.json"):
        config_digest(tmp_path / "empty.tar")
    (tmp_path / "text.tar").write_text("no tar")
    with pytest.raises(CommandError, match=r"text\.tar cannot be read"):
        config_digest(tmp_path / "text.tar")


@pytest.fixture
def assembled(tmp_path: Path, source: Path, cache: Path) -> dict[str, Any]:
    """The options of an image without a Dockerfile; no daemon answers."""
    layer = tmp_path / "root.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(source / "file", "etc/file")
    (source / "program").write_text("#!/bin/sh")
    (source / "program").chmod(0o755)
    return {
        "name": "counter-platform/assembled",
        "layers": [{"path": str(layer), "key": "1"}],
        "files": [{"path": str(source / "program"), "dest": "usr/local/bin/program"}],
        "entrypoint": ["/usr/local/bin/program"],
        "docker": "/nowhere/docker",
        "cache": str(cache),
    }


def layers_of(archive: Path) -> list[list[tarfile.TarInfo]]:
    """Return what the layers of an archive have."""
    with tarfile.open(archive) as outer:
        found = []
        for name in image_manifest(archive)["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(name)) as layer:
                found.append(layer.getmembers())
    return found


def test_image_without_a_dockerfile_needs_no_daemon(build: RunModule, assembled: dict[str, Any]) -> None:
    made = build(assembled)
    assert made["changed"]
    lower, upper = layers_of(Path(made["archive"]))
    assert [entry.name for entry in lower] == ["etc/file"]
    assert [entry.name for entry in upper] == ["usr", "usr/local", "usr/local/bin", "usr/local/bin/program"]
    assert {(entry.uid, entry.mtime) for entry in upper} == {(0, 0)}
    assert upper[-1].mode == 0o755
    assert made["id"] == config_digest(Path(made["archive"]))
    again = build({**assembled, "cache": f"{assembled['cache']}-elsewhere"})
    assert again["id"] == made["id"], "the same input gives the same image"


@pytest.mark.parametrize(
    "change",
    [{"entrypoint": []}, {"layers": []}, {"files": []}, {"name": "counter-platform/other"}],
    ids=lambda change: str(next(iter(change))),
)
def test_key_of_an_image_without_a_dockerfile_stands_for_each_input(
    build: RunModule, assembled: dict[str, Any], change: dict[str, Any]
) -> None:
    here, other = (build(arguments, check=True)["key"] for arguments in (assembled, {**assembled, **change}))
    assert here != other


def test_image_without_a_dockerfile_runs(
    build: RunModule, docker: Docker, assembled: dict[str, Any], source: Path
) -> None:
    with tarfile.open(assembled["layers"][0]["path"], "w") as tar:
        shell = str(Path("/bin/sh").resolve())
        for path, name in [(shell, "/bin/sh"), *((library, library) for library in libraries(shell))]:
            tar.add(Path(path).resolve(), name.lstrip("/"))
    (source / "program").write_text("#!/bin/sh\necho $PATH from $(cd . && pwd)\n")
    made = build({**assembled, "name": f"{docker.name}/assembled", "docker": docker.client, "load": True})
    said = docker("run", "--rm", "--network=none", made["image"])
    assert said.split() == ["/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "from", "/"]


def test_image_in_another_one_is_made_for_it_alone(
    build: RunModule, docker: Docker, assembled: dict[str, Any], arguments: dict[str, Any], cache: Path
) -> None:
    part = {name: assembled[name] for name in ("name", "layers", "files", "entrypoint")}
    outer = {**arguments, "images": [{**part, "dest": "opt/images/registry.example/part:1.tar"}]}
    made = build(outer)
    assert "opt/images/registry.example/part:1.tar" in {name.lstrip("/") for name in _files(docker, made["image"])}
    assert results_in(cache) == [made["artifact"]]
    other = {**outer, "images": [{**outer["images"][0], "entrypoint": []}]}
    assert build(other, check=True)["key"] != made["key"]
