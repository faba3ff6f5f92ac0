"""A catalogue: which keys follow from it, what of it is built, and what is wrong with one."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.builders.artifact import Workshop
from ansible_collections.counter.platform.plugins.module_utils.catalogue import Catalogue
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules import artifacts, image_origin, registry_images
from ansible_collections.counter.platform.tests.unit.support import results_in, with_defaults

Entries = dict[str, dict[str, Any]]

FILES = {
    "module/go.mod": "module example.org/unit\n",
    "module/cmd/main.go": "package main\n",
    "Dockerfile": "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY . /\n",
    "src/app.py": "print(1)\n",
    "rule": "#!/bin/sh\n",
    "bin/go": """#!/bin/sh
case "$1" in
  env) printf 'go1.0\\nlinux\\namd64\\n' ;;
  build) while [ "$1" != -o ]; do shift; done; touch "$2/some" "$2/cmd" ;;
esac
""",
    "bin/uv": '#!/bin/sh\necho "export $*"\n',
}
ROOTFS = {"type": "rootfs", "suite": "bookworm", "packages": ["python3", "zstd"], "refresh": "2026-01-31"}
PROGRAM = {"artifact": "some-programs", "path": "some", "dest": "usr/local/bin/some"}
ENTRIES: Entries = {
    "some-programs": {
        "type": "go",
        "source": "module",
        "packages": ["tool", "./cmd"],
        "rename": {"cmd": "renamed"},
        "tags": ["one", "two"],
        "stamps": {"main": {"version": "v1", "built": "2026"}},
    },
    "classifier": {"type": "go", "source": "module"},
    "some-root": {**ROOTFS, "newer": {"trixie": ["containerd"]}, "remove": ["etc/motd"]},
    "some-wheels": {"type": "wheels", "project": "src", "installer_groups": ["image"], "python_version": "3.11"},
    "base": {"type": "image", "layers": ["some-root"], "deploy": True},
    "some": {
        "type": "image",
        "layers": ["some-root"],
        "files": [PROGRAM, {"path": "rule", "dest": "rule"}],
        "entrypoint": ["/usr/local/bin/some"],
    },
    "inner": {"type": "image", "replaces": "registry.example/inner:1", "files": [PROGRAM]},
    "whole": {
        "type": "image",
        "dockerfile": "Dockerfile",
        "base": "base",
        "files": [
            {"artifact": "some-root", "dest": "root.tar"},
            {"artifact": "some-wheels", "dest": "wheels"},
            {"path": "src", "dest": "src"},
        ],
        "images": ["inner"],
        "build_args": {"VERSION": "1"},
    },
    "tagged": {"type": "image", "tag": "v1", "files": [{"path": "rule", "dest": "rule"}]},
    "go-licences": {"type": "go_licences", "programs": ["some-programs"], "classifier": "classifier"},
}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A workshop with a compiler and a uv that do nothing but answer."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    return Workshop(tmp_path / "cache", 14, tmp_path, tmp_path / "bin", origin="")


def asked(workshop: Workshop, entries: Entries, *names: str, check_mode: bool = True) -> dict[str, Any]:
    """Return what the module says of entries, or of all."""
    paths = {name: str(getattr(workshop, name)) for name in ("root", "bin_dir", "cache")}
    given = {"catalogue": entries, "names": list(names) or ["all"], "origin": workshop.origin, **paths}
    return artifacts.ensure(with_defaults(artifacts, **given), check_mode=check_mode)


def test_keys_stay_as_they_are(workshop: Workshop) -> None:
    """Caches, lock files and bundles go by these keys: with others, everything would be built anew."""
    catalogue = Catalogue(ENTRIES, workshop)
    assert {entry.artifact for entry in catalogue.values()} == {
        "classifier/52dd2a8094479fa2",
        "counter-platform_base/fe660c5c8acedc0f",
        "counter-platform_inner/5a597800ab839b25",
        "counter-platform_some/843eb8fdf355e043",
        "counter-platform_tagged/69f05be36ee6e5d7",
        "counter-platform_whole/e39578f36c73c1bf",
        "go-licences/74c355ba0bae8b72",
        "some-programs/12e16e9dc1d7df43",
        "some-root/9231d7a9a4307532",
        "some-wheels/573e1bb061a58109",
    }


def test_what_is_part_of_others_alone_is_embedded(workshop: Workshop) -> None:
    catalogue = Catalogue(ENTRIES, workshop)
    embedded = {name for name in catalogue if catalogue.is_embedded(name)}
    assert embedded == {"some-programs", "classifier", "some-root", "some-wheels", "inner"}
    assert catalogue.used() == ["base", "some", "whole", "tagged", "go-licences"]
    off = {**ENTRIES, "tagged": {**ENTRIES["tagged"], "enabled": False}}
    assert Catalogue(off, workshop).used() == ["base", "some", "whole", "go-licences"]


def missing(workshop: Workshop, *names: str) -> list[str]:
    return [entry.name for entry in Catalogue(ENTRIES, workshop).missing(names)]


def put(workshop: Workshop, *names: str) -> None:
    """Put results into the cache."""
    for name in names:
        Catalogue(ENTRIES, workshop)[name].folder.mkdir(parents=True)


def test_only_what_a_missing_entry_needs_is_made(workshop: Workshop) -> None:
    order = missing(workshop, "whole", "some")
    # What is in another image is made with it.
    assert set(order) == {"some-root", "some-wheels", "some-programs", "base", "whole", "some"}
    assert all(order.index(before) < order.index("whole") for before in ("base", "some-wheels", "some-programs"))
    assert order.index("some-root") < order.index("base")
    put(workshop, "base")
    assert set(missing(workshop, "whole")) == {"some-root", "some-wheels", "some-programs", "whole"}
    put(workshop, "whole")
    assert missing(workshop, "whole") == []
    assert missing(workshop, "some-root", "whole") == ["some-root"]
    assert set(missing(workshop, "go-licences")) == {"some-programs", "classifier", "go-licences"}


def test_with_an_origin_what_others_have_in_themselves_is_not_fetched(workshop: Workshop) -> None:
    fetching = Workshop(workshop.cache, 14, workshop.root, workshop.bin_dir, origin="/origin.json")
    assert set(missing(fetching, "whole", "go-licences")) == {"whole", "go-licences"}
    assert missing(fetching, "some-programs") == ["some-programs"]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"a": {"type": "jar"}}, "a: type is 'jar'; use one of go, "),
        ({"a": {}}, "a: type is 'None'; use one of go, "),
        ({"a": {"type": "go"}}, "a: missing required arguments: source"),
        ({"a": {"type": "go", "source": ".", "sauce": "."}}, "a: sauce. Supported parameters include: "),
        ({"a": {"type": "image", "layers": ["b"]}}, "a needs 'b', which the catalogue does not have"),
        (
            {"a": {"type": "image", "images": ["b"]}, "b": {"type": "image", "images": ["a"]}},
            "entries need each other: ",
        ),
        ({"a": {"type": "image", "images": ["b"]}, "b": ROOTFS}, "a: b is rootfs, where image is needed"),
        (
            {"a": {"type": "image", "dockerfile": "/x", "images": ["b"]}, "b": {"type": "image"}},
            "a: b needs replaces and no dockerfile",
        ),
    ],
)
def test_invalid_entry_is_named(workshop: Workshop, entries: Entries, reason: str) -> None:
    with pytest.raises(CommandError) as error:
        asked(workshop, entries, "a")
    assert reason in str(error.value)


def test_unknown_name_is_refused(workshop: Workshop) -> None:
    with pytest.raises(CommandError, match="the catalogue has no 'other'; it has some-programs, classifier, "):
        asked(workshop, ENTRIES, "other")


HELLO: Entries = {
    "hello-programs": {"type": "go", "source": "module", "packages": ["./cmd"], "rename": {"cmd": "hello"}},
    "hello": {
        "type": "image",
        "files": [{"artifact": "hello-programs", "path": "hello", "dest": "usr/local/bin/hello"}],
        "entrypoint": ["/usr/local/bin/hello"],
    },
}


def test_a_service_of_ones_own_is_an_entry(workshop: Workshop) -> None:
    before = {name: about["key"] for name, about in asked(workshop, ENTRIES)["artifacts"].items()}
    promised = asked(workshop, ENTRIES | HELLO)["artifacts"]
    assert {name: promised[name]["key"] for name in before} == before, "it changes what others are"
    assert (promised["hello"]["embedded"], promised["hello-programs"]["embedded"]) == (False, True)
    made = asked(workshop, ENTRIES | HELLO, "hello", check_mode=False)
    assert {name for name, about in made["artifacts"].items() if about["changed"]} == {"hello", "hello-programs"}
    hello = made["artifacts"]["hello"]
    assert hello["image"] == f"counter-platform/hello:{promised['hello']['key']}"
    assert Path(hello["archive"]).exists()
    assert results_in(workshop.cache) == sorted(made["artifacts"][name]["artifact"] for name in HELLO)
    assert not asked(workshop, ENTRIES | HELLO, "hello", check_mode=False)["changed"]


def test_an_empty_cache_is_filled_from_an_origin(workshop: Workshop, tmp_path: Path) -> None:
    made = asked(workshop, HELLO, "hello", check_mode=False)["artifacts"]["hello"]
    access = {"registry": str(tmp_path / "images"), "user": "", "password": "", "ca": ""}
    wanted = {**access, "artifacts": [made["artifact"]], "cache": str(workshop.cache)}
    filled = registry_images.ensure(wanted, check_mode=False)["artifacts"]
    (tmp_path / "lock.yml").write_text(json.dumps({"artifacts": filled}))
    origin = tmp_path / "state/images.json"
    paths = {"lock": str(tmp_path / "lock.yml"), "dest": str(origin)}
    image_origin.ensure({**access, **paths, "owner": os.geteuid()}, check_mode=False)
    empty = Workshop(tmp_path / "empty", 14, workshop.root, workshop.bin_dir, str(origin))
    fetched = asked(empty, HELLO, check_mode=False)["artifacts"]
    assert results_in(empty.cache) == [made["artifact"]], "programs are in the image"
    assert fetched["hello"]["id"] == made["id"]
    with pytest.raises(CommandError, match="cannot fetch the programs hello-programs: the lock file has no"):
        asked(empty, HELLO, "hello-programs", check_mode=False)
