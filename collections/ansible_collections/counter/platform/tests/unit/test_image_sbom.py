"""Bills of materials, read out of docker archives."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.modules.image_sbom import descriptions, packages
from ansible_collections.counter.platform.tests.unit.support import RunModule
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13
Description: a text
 over two lines

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""
BASE = {
    "./usr/lib/os-release": 'NAME="Debian"\nID=debian\nVERSION_ID="12"\n',
    "./var/lib/dpkg/status": STATUS,
    "./opt/lib/falcon-4.4.0.dist-info/METADATA": "Metadata-Version: 2.4\nName: falcon\nVersion: 4.4.0\n\nVersion: 0",
    "./opt/lib/falcon/METADATA": "Name: no package",
}


def tar_of(files: dict[str, str]) -> bytes:
    """Return a tar of texts by path."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def archive_of(path: Path, *layers: dict[str, str]) -> Path:
    """Write a docker archive with these layers."""
    with tarfile.open(path, "w") as tar:
        contents = {f"blobs/{number}": tar_of(files) for number, files in enumerate(layers)}
        contents["manifest.json"] = json.dumps([{"Layers": list(contents)}]).encode()
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def arguments(tmp_path: Path, cache: Path) -> dict[str, Any]:
    archive = archive_of(tmp_path / "image.tar", BASE)
    return {"name": "sbom", "image": "counter/x:1", "id": "sha256:1", "archive": str(archive), "cache": str(cache)}


def urls(archive: Path) -> list[str]:
    return [str(url) for url in packages(descriptions(archive))]


def test_debian_and_python_packages_are_listed(tmp_path: Path) -> None:
    assert urls(archive_of(tmp_path / "image.tar", BASE)) == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12",
        "pkg:pypi/falcon@4.4.0",
    ]


def test_a_later_layer_replaces_and_removes(tmp_path: Path) -> None:
    later = {
        "./var/lib/dpkg/status": STATUS.replace("2.36-9", "2.36-10"),
        "./opt/lib/.wh.falcon-4.4.0.dist-info": "",
        "./opt/lib/falcon-5.0.0.dist-info/METADATA": "Name: falcon\nVersion: 5.0.0\n",
    }
    assert urls(archive_of(tmp_path / "image.tar", BASE, later)) == [
        "pkg:deb/debian/libc6@2.36-10%2Bdeb12u13?arch=amd64&distro=debian-12",
        "pkg:pypi/falcon@5.0.0",
    ]


def test_an_image_without_packages_has_an_empty_list(tmp_path: Path) -> None:
    assert urls(archive_of(tmp_path / "image.tar", {"./bin/program": "x"})) == []


def test_the_document_is_valid_and_written_once(run_module: RunModule, arguments: dict[str, Any]) -> None:
    assert run_module("image_sbom", arguments, check=True)["changed"]
    assert not Path(arguments["cache"]).exists()
    made = run_module("image_sbom", arguments)
    assert made["changed"]
    text = Path(made["path"]).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    written = json.loads(text)
    assert written["metadata"]["component"]["name"] == "counter/x"
    assert written["metadata"]["component"]["version"] == "1"
    assert [component["name"] for component in written["components"]] == ["falcon", "libc6"]
    for check in (True, False):
        assert run_module("image_sbom", arguments, check=check) == made | {"changed": False}
    assert run_module("image_sbom", arguments | {"id": "sha256:2"})["changed"]


def test_an_image_that_is_not_built_yet(run_module: RunModule, arguments: dict[str, Any]) -> None:
    assert run_module("image_sbom", arguments | {"id": "", "archive": "/nowhere"}, check=True)["changed"]


@pytest.mark.parametrize("content", [None, b"no tar", b""], ids=["missing", "no tar", "empty"])
def test_an_archive_that_cannot_be_read(
    run_module: RunModule, arguments: dict[str, Any], content: bytes | None
) -> None:
    archive = Path(arguments["archive"])
    archive.unlink()
    if content is not None:
        archive.write_bytes(content)
    result = run_module("image_sbom", arguments)
    assert result["failed"]
    assert result["msg"].startswith("cannot write the bill of materials of counter/x:1: ")
    assert run_module("image_sbom", arguments, check=True)["changed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which needs root")
def test_what_root_leaves_in_a_users_cache_is_the_users(
    run_module: RunModule, arguments: dict[str, Any], cache: Path
) -> None:
    cache.mkdir()
    os.chown(cache, 1234, 1234)
    assert run_module("image_sbom", arguments)["changed"]
    assert {path.lstat().st_uid for path in cache.rglob("*")} == {1234}
