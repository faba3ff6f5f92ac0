"""Licences in bills of materials, against lists of allowed ones."""

import json
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.materials import Part
from ansible_collections.counter.platform.plugins.modules.image_sbom import document
from ansible_collections.counter.platform.tests.unit.support import RunModule
from cyclonedx.model.component import Component, ComponentType
from packageurl import PackageURL

ALLOWED = {"golang": ["MIT", "ISC"], "pypi": ["MIT"], "deb": ["GPL-*", "LicenseRef-*"]}


def sbom(path: Path, **licences: str) -> str:
    """Write a bill of materials with parts by kind and name, as in ``golang_a``, of these licences."""
    parts = []
    for name, licence in licences.items():
        kind, _, short = name.partition("_")
        parts.append(Part(short, PackageURL(kind, None, short, "1.0"), licence))
    path.write_text(document(Component(type=ComponentType.CONTAINER, name=path.stem, version="1"), parts))
    return str(path)


def test_allowed_licences_are_counted(run_module: RunModule, tmp_path: Path) -> None:
    other = "GPL-2.0-only OR LicenseRef-x AND LicenseRef-y"
    one = sbom(tmp_path / "one", golang_a="MIT", golang_b="MIT AND ISC", deb_c=other)
    two = sbom(tmp_path / "two", golang_a="MIT", pypi_d="MIT", pypi_e="MIT", pypi_f="MIT")
    made = run_module("licence_report", sboms=[one, two], allowed=ALLOWED)
    assert (made["changed"], made["refused"], made["components"]) == (False, [], 6)
    assert [line.split(maxsplit=2) for line in made["table"]] == [
        ["MIT", "5", "a, b, d, e, …"],
        ["GPL-2.0-only", "1", "c"],
        ["ISC", "1", "b"],
        ["LicenseRef-*", "1", "c"],
    ]


def test_others_are_named_with_what_has_them(run_module: RunModule, tmp_path: Path) -> None:
    refused = [
        ("golang_a", "AGPL-3.0-only", "AGPL-3.0-only"),
        ("deb_b", "AGPL-3.0-or-later AND GPL-2.0-only", "AGPL-3.0-or-later"),
        ("golang_c", "GPL-2.0-only", "GPL-2.0-only"),
        ("golang_d", "LicenseRef-ours", "LicenseRef-ours"),
        ("pypi_e", "ISC", "ISC"),
        ("deb_f", "", "(unknown)"),
        ("golang_g", "", "(unknown)"),
        ("npm_h", "MIT", "MIT"),
    ]
    image = sbom(tmp_path / "image", golang_fine="MIT", **{name: licence for name, licence, _ in refused})
    made = run_module("licence_report", sboms=[image], allowed=ALLOWED)
    parts = [(*name.split("_"), reason) for name, _, reason in refused]
    assert sorted(made["refused"]) == sorted(f"image: {name} 1.0 ({kind}): {reason}" for kind, name, reason in parts)
    counted = {line.split()[0] for line in made["table"]}
    assert counted >= {reason for *_, reason in parts} - {"LicenseRef-ours"} | {"LicenseRef-*"}


@pytest.mark.parametrize("content", ["no JSON", json.dumps({"components": []})])
def test_other_files_are_an_error(run_module: RunModule, tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    said = run_module("licence_report", sboms=[str(tmp_path / "x.json")], allowed=ALLOWED)["msg"]
    assert said.startswith(f"{tmp_path}/x.json is no bill of materials: ")
