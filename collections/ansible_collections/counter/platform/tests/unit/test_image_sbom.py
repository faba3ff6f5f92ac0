"""Bills of materials, read out of docker archives and folders of programs."""

import ctypes
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.materials import STORE, Part, of_image
from ansible_collections.counter.platform.tests.unit.support import GO, Module, RunModule, go_program, needs_go
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
SMALL = "Package: x\nVersion: 2\n"
COPYRIGHT = "Format: 1.0\n\nFiles: *\nLicense: LGPL-2.1+\n\nFiles: debian/*\nLicense: GPL-2\n"
pytestmark = needs_go
PROGRAM = "usr/local/bin/program"
LIBC = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12"
FALCON = "pkg:pypi/falcon@4.4.0"
Layer = dict[str, str | bytes | PurePath]
Parts = Callable[..., list[Part]]
BASE: Layer = {
    "./usr/lib/os-release": 'NAME="Debian"\nID=debian\nVERSION_ID="12"\n',
    "./var/lib/dpkg/status": STATUS,
    "./usr/share/doc/libc6/copyright": COPYRIGHT,
    "./opt/lib/falcon-4.4.0.dist-info/METADATA": "Name: falcon\nVersion: 4.4.0\nLicense: MIT\n\nVersion: 0",
    "./opt/lib/falcon/METADATA": "Name: no package",
}
OTHER: Layer = {"opt/lib/h-1.dist-info/METADATA": "Name: h\nVersion: 1\n"}


def tar_of(files: Layer) -> bytes:
    """Return a tar of texts, of programs, which are bytes, and of links, which are paths."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            entry, data = tarfile.TarInfo(name), content.encode() if isinstance(content, str) else content
            if isinstance(data, PurePath):
                entry.type, entry.linkname, data = tarfile.SYMTYPE, str(data), b""
            elif isinstance(content, bytes):
                entry.mode = 0o755
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def archive_of(*layers: Layer, pack: Callable[[bytes], bytes] = bytes) -> bytes:
    """Return a docker archive with these layers."""
    contents = {f"blobs/{number}": pack(tar_of(files)) for number, files in enumerate(layers)}
    manifest = json.dumps([{"Layers": list(contents), "RepoTags": ["counter/x:1"]}])
    return tar_of({**contents, "manifest.json": manifest})


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """Return the parts of an image with these layers, where Go modules have these licences."""

    def found(*layers: Layer, pack: Callable[[bytes], bytes] = bytes, **go_licences: str) -> list[Part]:
        (tmp_path / "image.tar").write_bytes(archive_of(*layers, pack=pack))
        return of_image(tmp_path / "image.tar", go_licences, str(GO))

    return found


@pytest.fixture
def artifact(cache: Path) -> Path:
    folder = cache / "artifacts/counter_x/1234"
    folder.mkdir(parents=True)
    (folder / "image.tar").write_bytes(archive_of(BASE))
    (folder / "id").write_text("sha256:1")
    return folder


@pytest.fixture
def write(artifact: Path, cache: Path, run_module: RunModule) -> Module:
    artifacts = [f"{artifact.parent.name}/{artifact.name}"]
    return partial(run_module, "image_sbom", artifacts=artifacts, go=str(GO), cache=str(cache))


def urls(parts: list[Part]) -> list[str]:
    return [str(part.url) for part in parts]


def licences(parts: list[Part]) -> dict[str, str]:
    return {part.name: part.licence for part in parts}


def test_debian_and_python_packages_are_listed_with_their_licences(parts: Parts) -> None:
    assert urls(parts(BASE)) == [LIBC, FALCON]
    assert licences(parts(BASE)) == {"libc6": "GPL-2.0-only AND LGPL-2.1-or-later", "falcon": "MIT"}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([BASE, OTHER | {"./opt/lib/.wh.falcon-4.4.0.dist-info": ""}], [LIBC, "pkg:pypi/h@1"]),
        ([BASE, OTHER | {"opt/lib/.wh..wh..opq": ""}], [LIBC, "pkg:pypi/h@1"]),
        ([BASE, {"./var/lib/dpkg/status": SMALL}], ["pkg:deb/debian/x@2?distro=debian-12", FALCON]),
        ([{"var/lib/dpkg/status.d/x": SMALL}], ["pkg:deb/debian/x@2?distro=debian"]),
        ([{PROGRAM: go_program()}, {PROGRAM: b"#!/bin/sh\n"}], []),
        ([{"./bin/program": "x"}], []),
    ],
)
def test_parts_are_those_of_the_uppermost_layer(parts: Parts, layers: list[Layer], expected: list[str]) -> None:
    assert urls(parts(*layers)) == expected


@pytest.mark.parametrize("has_link", [True, False])
def test_a_package_has_the_licence_of_the_one_that_its_folder_is_a_link_to(parts: Parts, has_link: bool) -> None:
    """dpkg leaves out the link where it leaves out documentation; then the source is the same."""
    source = "other" if has_link else "glibc"
    second = f"\nPackage: libc-bin\nStatus: install ok installed\nSource: {source}\nVersion: 2\n"
    files = BASE | {"./var/lib/dpkg/status": f"{STATUS}\n\n{second}"}
    if has_link:
        files["./usr/share/doc/libc-bin"] = PurePath("../doc/libc6")
    found = licences(parts(files))
    assert found["libc-bin"] == found["libc6"] != ""


def test_a_package_without_a_copyright_file_has_no_licence(parts: Parts) -> None:
    files = {name: content for name, content in BASE.items() if "copyright" not in name}
    assert licences(parts(files))["libc6"] == ""


def test_modules_of_go_programs_are_listed_with_the_programs(parts: Parts) -> None:
    one, two = "dep\texample.org/a\tv1.0.0\th1:x", "dep\texample.org/Up/b\tv0.1.0\th1:y"
    programs: Layer = {PROGRAM: go_program(one, two), "usr/bin/x": go_program(one)}
    module, other, library = parts(programs, **{"example.org/a@v1.0.0": "MIT"})
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
def test_layers_may_be_compressed(parts: Parts, pack: Callable[[bytes], bytes]) -> None:
    assert urls(parts(BASE, {PROGRAM: go_program()}, pack=pack)) == [LIBC, "pkg:golang/stdlib@1.26.6", FALCON]


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
def test_images_that_an_image_carries_are_read_too(parts: Parts, pack: Callable[[bytes], bytes]) -> None:
    modules = go_program("dep\texample.org/a\tv1.0.0\th1:x")
    layers: list[Layer] = [BASE, {PROGRAM: modules}, {"opt/lib/.wh.falcon-4.4.0.dist-info": ""}]
    image = stored(*(pack(tar_of(layer)) for layer in layers))
    assert urls(parts(image)) == [LIBC, "pkg:golang/example.org/a@v1.0.0", "pkg:golang/stdlib@1.26.6"]


def test_layer_of_no_carried_image_is_an_error(parts: Parts) -> None:
    """What cannot be said of it cannot be left out either."""
    layer = {str(STORE / "0123"): tar_of({PROGRAM: go_program()})}
    with pytest.raises(CommandError, match="0123 is in containerd's store and in none of its images"):
        parts(stored(tar_of(BASE)) | layer)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [(lambda packed: packed[:-1], "is damaged"), (lambda packed: packed[:5], "does not say its size")],
)
def test_damaged_layer_is_an_error(parts: Parts, damaged: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        parts(BASE, pack=lambda data: damaged(zstd(data)))


def document(made: dict[str, Any]) -> dict[str, Any]:
    """Return the one document that was written, which is valid."""
    (result,) = made["results"]
    text = Path(result["path"]).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    written: dict[str, Any] = json.loads(text)
    return written


def test_the_document_is_valid_and_written_once(write: Module, artifact: Path, cache: Path) -> None:
    before = sorted(cache.rglob("*"))
    promised = write(check=True)
    assert sorted(cache.rglob("*")) == before
    made = write()
    assert made == promised
    assert made["changed"]
    written = document(made)
    assert written["metadata"]["component"]["name"] == "counter/x"
    assert written["metadata"]["component"]["version"] == "1"
    assert {component["name"]: component["licenses"] for component in written["components"]} == {
        "falcon": [{"license": {"id": "MIT"}}],
        "libc6": [{"expression": "GPL-2.0-only AND LGPL-2.1-or-later"}],
    }
    for check in (True, False):
        assert write(check=check) == {"changed": False, "results": [made["results"][0] | {"changed": False}]}
    (artifact / "id").write_text("sha256:2")
    assert write()["changed"]


def test_programs_and_all_forms_of_licences_are_valid(write: Module, cache: Path) -> None:
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
    describe = partial(write, artifacts=["programs/12"])
    written = document(describe(go_licences=str(found)))
    assert written["metadata"]["component"]["type"] == "application"
    assert {component["name"]: component.get("licenses") for component in written["components"]} == {
        "example.org/a": [{"license": {"name": "ours"}}],
        "example.org/b": None,
        "example.org/c": [{"expression": "MIT OR ISC"}],
        "stdlib": [{"license": {"id": "BSD-3-Clause"}}],
    }
    assert written["components"][0]["evidence"]["occurrences"][0]["location"] == "hello"
    assert describe(go_licences=str(cache / "artifacts/go-licences/56/licences.json"), check=True)["changed"]


def test_folder_has_a_copy_of_each_and_no_others(write: Module, tmp_path: Path) -> None:
    folder = tmp_path / "sbom"
    folder.mkdir()
    (folder / "gone.cdx.json").write_text("{}")
    copy = partial(write, dest=str(folder))
    assert copy(check=True)["changed"]
    assert [path.name for path in folder.iterdir()] == ["gone.cdx.json"]
    made = copy()
    assert [path.name for path in folder.iterdir()] == ["counter_x.cdx.json"]
    assert made["results"][0]["path"] == str(folder / "counter_x.cdx.json")
    assert not copy()["changed"]
    (folder / "counter_x.cdx.json").write_text("{}")
    assert copy(check=True)["changed"]
    assert copy()["changed"]
    assert document(made)["components"]


def test_an_archive_that_cannot_be_read(write: Module, artifact: Path) -> None:
    (artifact / "image.tar").write_text("no tar")
    assert write()["msg"].startswith("cannot write the bill of materials of counter_x/1234: ")


def test_a_result_that_is_not_there(write: Module) -> None:
    other = partial(write, artifacts=["counter_x/5678"])
    assert other(check=True)["changed"], "it may be there by then"
    assert "counter_x/5678" in other()["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which needs root")
def test_what_root_leaves_is_the_owners_of_the_folders(write: Module, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "sbom").mkdir()
    for folder in (cache, tmp_path / "sbom"):
        os.chown(folder, 1234, 1234)
    assert write(dest=str(tmp_path / "sbom"))["changed"]
    left = [*cache.rglob("*"), *(tmp_path / "sbom").iterdir()]
    assert {path.lstat().st_uid for path in left} == {1234}
