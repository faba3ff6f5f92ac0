"""Bills of materials, read out of docker archives and folders of programs."""

from __future__ import annotations

import ctypes
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.materials import STORE, Part, of_image
from ansible_collections.counter.platform.tests.unit.support import RunModule, go_program
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u13
Description: a text
 over two lines

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""
COPYRIGHT = "Format: 1.0\n\nFiles: *\nLicense: LGPL-2.1+\n\nFiles: debian/*\nLicense: GPL-2\n"
PROGRAM = "usr/local/bin/program"
LIBC = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12"
Layer = dict[str, str | bytes | tarfile.TarInfo]
BASE: Layer = {
    "./usr/lib/os-release": 'NAME="Debian"\nID=debian\nVERSION_ID="12"\n',
    "./var/lib/dpkg/status": STATUS,
    "./usr/share/doc/libc6/copyright": COPYRIGHT,
    "./opt/lib/falcon-4.4.0.dist-info/METADATA": "Name: falcon\nVersion: 4.4.0\nLicense: MIT\n\nVersion: 0",
    "./opt/lib/falcon/METADATA": "Name: no package",
}


def tar_of(files: Layer) -> bytes:
    """Return a tar of contents, or of links, by path; what is bytes can be run."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
                continue
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755 if isinstance(content, bytes) else 0o644
            data = content.encode() if isinstance(content, str) else content
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def link(target: str) -> tarfile.TarInfo:
    """Return a symbolic link."""
    entry = tarfile.TarInfo()
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


def archive_of(path: Path, *layers: Layer, pack: Callable[[bytes], bytes] = bytes) -> Path:
    """Write a docker archive with these layers."""
    contents = {f"blobs/{number}": pack(tar_of(files)) for number, files in enumerate(layers)}
    manifest = json.dumps([{"Layers": list(contents), "RepoTags": ["counter/x:1"]}])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_of({**contents, "manifest.json": manifest}))
    return path


@pytest.fixture
def artifact(cache: Path) -> Path:
    """An image in the cache."""
    folder = cache / "artifacts/counter_x/1234"
    archive_of(folder / "image.tar", BASE)
    (folder / "id").write_text("sha256:1")
    return folder


@pytest.fixture
def arguments(artifact: Path, cache: Path) -> dict[str, Any]:
    return {"artifacts": ["counter_x/1234"], "cache": str(cache)}


def parts(archive: Path, **go_licences: str) -> list[Part]:
    return of_image(archive, {name.replace("_", "/"): value for name, value in go_licences.items()})


def urls(archive: Path) -> list[str]:
    return [str(part.url) for part in parts(archive)]


def licences(archive: Path) -> dict[str, str]:
    return {part.name: part.licence for part in parts(archive)}


def test_debian_and_python_packages_are_listed_with_their_licences(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "image.tar", BASE)
    assert urls(archive) == [LIBC, "pkg:pypi/falcon@4.4.0"]
    assert licences(archive) == {"libc6": "GPL-2.0-only AND LGPL-2.1-or-later", "falcon": "MIT"}


def test_a_later_layer_replaces_and_removes(tmp_path: Path) -> None:
    later: Layer = {
        "./var/lib/dpkg/status": STATUS.replace("2.36-9", "2.36-10"),
        "./opt/lib/.wh.falcon-4.4.0.dist-info": "",
        "./opt/lib/falcon-5.0.0.dist-info/METADATA": "Name: falcon\nVersion: 5.0.0\n",
    }
    assert urls(archive_of(tmp_path / "image.tar", BASE, later)) == [
        "pkg:deb/debian/libc6@2.36-10%2Bdeb12u13?arch=amd64&distro=debian-12",
        "pkg:pypi/falcon@5.0.0",
    ]


def test_a_later_layer_hides_a_folder(tmp_path: Path) -> None:
    later: Layer = {"opt/lib/h-1.dist-info/METADATA": "Name: h\nVersion: 1\n", "opt/lib/.wh..wh..opq": ""}
    assert urls(archive_of(tmp_path / "image.tar", BASE, later)) == [LIBC, "pkg:pypi/h@1"]


def test_a_program_that_a_later_layer_replaces_is_gone(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "image.tar", {PROGRAM: go_program()}, {PROGRAM: b"#!/bin/sh\n"})
    assert urls(archive) == []


def test_an_image_without_packages_has_an_empty_list(tmp_path: Path) -> None:
    assert urls(archive_of(tmp_path / "image.tar", {"./bin/program": "x"})) == []


def test_packages_in_files_of_their_own_are_listed(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "image.tar", {"var/lib/dpkg/status.d/base": "Package: base\nVersion: 1\n"})
    assert urls(archive) == ["pkg:deb/debian/base@1?distro=debian"]


@pytest.mark.parametrize("has_link", [True, False])
def test_a_package_has_the_licence_of_the_one_that_its_folder_is_a_link_to(tmp_path: Path, has_link: bool) -> None:
    """dpkg leaves out the link where it leaves out documentation; then the source is the same."""
    source = "other" if has_link else "glibc"
    second = f"\nPackage: libc-bin\nStatus: install ok installed\nSource: {source}\nVersion: 2\n"
    files = BASE | {"./var/lib/dpkg/status": f"{STATUS}\n\n{second}"}
    if has_link:
        files["./usr/share/doc/libc-bin"] = link("../doc/libc6")
    found = licences(archive_of(tmp_path / "image.tar", files))
    assert found["libc-bin"] == found["libc6"] != ""


def test_a_package_without_a_copyright_file_has_no_licence(tmp_path: Path) -> None:
    files = {name: content for name, content in BASE.items() if "copyright" not in name}
    assert licences(archive_of(tmp_path / "image.tar", files))["libc6"] == ""


def test_modules_of_go_programs_are_listed_with_the_programs(tmp_path: Path) -> None:
    one, two = "dep\texample.org/a\tv1.0.0\th1:x", "dep\texample.org/Up/b\tv0.1.0\th1:y"
    archive = archive_of(tmp_path / "image.tar", {PROGRAM: go_program(one, two), "usr/bin/x": go_program(one)})
    module, other, library = parts(archive, **{"example.org_a@v1.0.0": "MIT"})
    assert (module.name, module.licence, module.places) == ("example.org/Up/b", "", frozenset({PROGRAM}))
    assert (other.name, other.licence, other.places) == ("example.org/a", "MIT", frozenset({PROGRAM, "usr/bin/x"}))
    assert str(other.url) == "pkg:golang/example.org/a@v1.0.0"
    assert (str(library.url), library.licence) == ("pkg:golang/stdlib@1.26.6", "BSD-3-Clause")


def zstd(data: bytes) -> bytes:
    """Return data as the node's image has it."""
    library = ctypes.CDLL("libzstd.so.1")
    packed = ctypes.create_string_buffer(2 * len(data))
    length = library.ZSTD_compress(packed, len(packed), data, len(data), 1)
    return packed.raw[:length]


PACKINGS = [bytes, gzip.compress, zstd]


@pytest.mark.parametrize("pack", PACKINGS)
def test_layers_may_be_compressed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    archive = archive_of(tmp_path / "image.tar", BASE, {PROGRAM: go_program()}, pack=pack)
    assert urls(archive) == [LIBC, "pkg:golang/stdlib@1.26.6", "pkg:pypi/falcon@4.4.0"]


def stored(*layers: bytes) -> Layer:
    """Return containerd's store with one image, and the manifest that is left of another."""

    def put(data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        store[str(STORE / digest)] = data
        return f"sha256:{digest}"

    store: Layer = {}
    listed = [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "digest": put(data)} for data in layers]
    signature = {"mediaType": "application/vnd.in-toto+json", "digest": "sha256:elsewhere"}
    put(json.dumps({"config": {}}).encode())
    put(json.dumps({"layers": [*listed, signature]}).encode())
    put(json.dumps({"layers": [listed[0] | {"digest": "sha256:uncompressed"}]}).encode())
    return store


@pytest.mark.parametrize("pack", PACKINGS)
def test_images_that_an_image_carries_are_read_too(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    modules = go_program("dep\texample.org/a\tv1.0.0\th1:x")
    layers: list[Layer] = [BASE, {PROGRAM: modules}, {"opt/lib/.wh.falcon-4.4.0.dist-info": ""}]
    archive = archive_of(tmp_path / "image.tar", stored(*(pack(tar_of(layer)) for layer in layers)))
    assert urls(archive) == [LIBC, "pkg:golang/example.org/a@v1.0.0", "pkg:golang/stdlib@1.26.6"]


def test_layer_of_no_carried_image_is_an_error(tmp_path: Path) -> None:
    """What cannot be said of it cannot be left out either."""
    layer = {str(STORE / "0123"): tar_of({PROGRAM: go_program()})}
    archive = archive_of(tmp_path / "image.tar", stored(tar_of(BASE)) | layer)
    with pytest.raises(CommandError, match="0123 is in containerd's store and in none of its images"):
        parts(archive)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [(lambda packed: packed[:-1], "is damaged"), (lambda packed: packed[:5], "does not say its size")],
)
def test_layer_that_cannot_be_decompressed_is_an_error(
    tmp_path: Path, damaged: Callable[[bytes], bytes], reason: str
) -> None:
    archive = archive_of(tmp_path / "image.tar", BASE, pack=lambda data: damaged(zstd(data)))
    with pytest.raises(CommandError, match=reason):
        parts(archive)


def test_the_document_is_valid_and_written_once(
    run_module: RunModule, arguments: dict[str, Any], artifact: Path
) -> None:
    before = sorted(Path(arguments["cache"]).rglob("*"))
    assert run_module("image_sbom", arguments, check=True)["changed"]
    assert sorted(Path(arguments["cache"]).rglob("*")) == before
    made = run_module("image_sbom", arguments)
    assert made["changed"]
    (result,) = made["results"]
    text = Path(result["path"]).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    written = json.loads(text)
    assert written["metadata"]["component"]["name"] == "counter/x"
    assert written["metadata"]["component"]["version"] == "1"
    assert {component["name"]: component["licenses"] for component in written["components"]} == {
        "falcon": [{"license": {"id": "MIT"}}],
        "libc6": [{"expression": "GPL-2.0-only AND LGPL-2.1-or-later"}],
    }
    for check in (True, False):
        assert run_module("image_sbom", arguments, check=check) == made | {
            "changed": False,
            "results": [result | {"changed": False}],
        }
    (artifact / "id").write_text("sha256:2")
    assert run_module("image_sbom", arguments)["changed"]


def test_programs_and_all_forms_of_licences_are_valid(
    run_module: RunModule, arguments: dict[str, Any], cache: Path
) -> None:
    known = {
        "example.org/a@v1.0.0": "LicenseRef-ours",
        "example.org/b@v1.0.0": "",
        "example.org/c@v1.0.0": "MIT OR ISC",
    }
    programs, found = cache / "artifacts/programs/12", cache / "artifacts/go-licences/34/licences.json"
    for path in (programs, found.parent):
        path.mkdir(parents=True)
    found.write_text(json.dumps(known))
    lines = [f"dep\t{name.replace('@', chr(9))}\th1:x" for name in known]
    (programs / "hello").write_bytes(go_program(*lines))
    given = {"artifacts": ["programs/12"], "go_licences": str(found)}
    made = run_module("image_sbom", arguments | given)
    text = Path(made["results"][0]["path"]).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    written = json.loads(text)
    assert written["metadata"]["component"]["type"] == "application"
    assert {component["name"]: component.get("licenses") for component in written["components"]} == {
        "example.org/a": [{"license": {"name": "ours"}}],
        "example.org/b": None,
        "example.org/c": [{"expression": "MIT OR ISC"}],
        "stdlib": [{"license": {"id": "BSD-3-Clause"}}],
    }
    assert written["components"][0]["evidence"]["occurrences"][0]["location"] == "hello"
    other = shutil.copytree(found.parent, found.parent.with_name("56"))
    assert run_module("image_sbom", arguments | given | {"go_licences": str(other / "licences.json")})["changed"]


def test_folder_has_a_copy_of_each_and_no_others(
    run_module: RunModule, arguments: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "sbom"
    folder.mkdir()
    (folder / "gone.cdx.json").write_text("{}")
    given = arguments | {"dest": str(folder)}
    assert run_module("image_sbom", given, check=True)["changed"]
    assert [path.name for path in folder.iterdir()] == ["gone.cdx.json"]
    made = run_module("image_sbom", given)
    assert [path.name for path in folder.iterdir()] == ["counter_x.cdx.json"]
    assert made["results"][0]["path"] == str(folder / "counter_x.cdx.json")
    assert not run_module("image_sbom", given)["changed"]
    (folder / "counter_x.cdx.json").write_text("{}")
    assert run_module("image_sbom", given, check=True)["changed"]
    assert run_module("image_sbom", given)["changed"]
    assert json.loads((folder / "counter_x.cdx.json").read_text())["components"]


def test_an_image_that_is_not_built_yet(run_module: RunModule, arguments: dict[str, Any]) -> None:
    assert run_module("image_sbom", arguments | {"artifacts": ["counter_x/5678"]}, check=True)["changed"]


@pytest.mark.parametrize("content", [b"no tar", b""], ids=["no tar", "empty"])
def test_an_archive_that_cannot_be_read(
    run_module: RunModule, arguments: dict[str, Any], artifact: Path, content: bytes
) -> None:
    (artifact / "image.tar").write_bytes(content)
    result = run_module("image_sbom", arguments)
    assert result["failed"]
    assert result["msg"].startswith("cannot write the bill of materials of counter_x/1234: ")
    assert run_module("image_sbom", arguments, check=True)["changed"]


def test_a_result_that_is_not_there(run_module: RunModule, arguments: dict[str, Any]) -> None:
    result = run_module("image_sbom", arguments | {"artifacts": ["counter_x/5678"]})
    assert result["failed"]
    assert "counter_x/5678" in result["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which needs root")
def test_what_root_leaves_is_the_owners_of_the_folders(
    run_module: RunModule, arguments: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "sbom").mkdir()
    for folder in (cache, tmp_path / "sbom"):
        os.chown(folder, 1234, 1234)
    assert run_module("image_sbom", arguments | {"dest": str(tmp_path / "sbom")})["changed"]
    left = [*cache.rglob("*"), *(tmp_path / "sbom").iterdir()]
    assert {path.lstat().st_uid for path in left} == {1234}
