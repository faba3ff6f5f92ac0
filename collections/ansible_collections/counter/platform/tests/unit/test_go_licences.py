"""Licences of the modules in Go programs, named by the real classifier from sources as Go keeps them."""

import json
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.builders.go_licences import licence_files
from ansible_collections.counter.platform.plugins.module_utils.commands import run
from ansible_collections.counter.platform.plugins.module_utils.go import go_environment
from ansible_collections.counter.platform.plugins.module_utils.origin import Folder, Origin
from ansible_collections.counter.platform.plugins.modules import artifacts
from ansible_collections.counter.platform.tests.unit import support
from lib.paths import CACHE

SOURCE = support.COLLECTIONS.parent / "roles/offline_images/files/licences"
pytestmark = [pytest.mark.mirrors, support.needs_go]

PIP = distribution("pip")
MIT = str(PIP.read_text("licenses/LICENSE.txt"))
ISC = str(PIP.read_text("licenses/src/pip/_vendor/resolvelib/LICENSE"))
OWN = "Whoever reads this may use it on Sundays, and on no other day.\n"


CLASSIFIER = {"type": "go", "source": str(SOURCE), "packages": ["."]}


@pytest.fixture(scope="module")
def classifier() -> Path:
    """The folder of the compiled classifier, in the cache that all runs share."""
    where = {"root": "/", "bin_dir": str(support.BIN), "cache": str(CACHE)}
    given = support.with_defaults(artifacts, catalogue={"licences": CLASSIFIER}, **where)
    return Path(artifacts.ensure(given, check_mode=False)["artifacts"]["licences"]["path"])


@pytest.fixture
def name(tmp_path: Path, cache: Path, classifier: Path, run_module: support.RunModule) -> support.Module:
    """Name the licences of a program of one module."""
    (cache / "artifacts/licences").mkdir(parents=True)
    (cache / "artifacts/licences" / classifier.name).symlink_to(classifier)
    source = tmp_path / "source"
    source.mkdir()
    (source / "go.mod").write_text("module example.org/hello\n\ngo 1.24\n")
    others: dict[str, dict[str, Any]] = {"licences": CLASSIFIER, "hello": {"type": "go", "source": str(source)}}
    others["other"] = others["hello"] | {"tags": ["other"]}
    options: dict[str, Any] = {"classifier": "licences", "programs": ["hello"], "others": others, "cache": str(cache)}
    name = support.one_entry(run_module, "go-licences", type="go_licences", **options)
    program_of(cache, "example.org/b")
    return name


def hello(cache: Path) -> Path:
    """Return where a cache has the program, which has the key that follows from its source."""
    where = {"root": "/", "bin_dir": str(support.BIN), "cache": str(cache)}
    entry = {"type": "go", "source": str(cache.with_name("source"))}
    given = support.with_defaults(artifacts, catalogue={"hello": entry}, **where)
    return Path(artifacts.ensure(given, check_mode=True)["artifacts"]["hello"]["path"], "hello")


def program_of(cache: Path, *modules: str) -> None:
    """Write a program of modules of version 1."""
    path = hello(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(support.go_program(*(f"dep\t{module}\tv1.0.0\th1:x" for module in modules)))


def write(cache: Path, module: str, files: dict[str, str]) -> None:
    """Write a module's source as Go's cache has it."""
    for name, text in files.items():
        path = cache / "go/mod" / module / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def licences(made: dict[str, Any]) -> Any:
    return json.loads(Path(made["path"]).read_text())


def test_licences_are_those_of_the_files(name: support.Module, cache: Path) -> None:
    cases: list[tuple[dict[str, str], str]] = [
        ({"LICENSE": ISC}, "ISC"),
        ({"COPYING.txt": f"Some words of ours before it.\n\n{ISC}", "main.go": "package main\n"}, "ISC"),
        ({"LICENSE-MIT": MIT, "LICENSE.md": ISC}, "ISC AND MIT"),
        ({"LICENSE": f"{MIT}\n\n{ISC}"}, "ISC AND MIT"),
        ({"LICENSE": ISC, "LICENSE.docs": OWN}, "ISC"),
        ({"LICENSE": OWN}, ""),
        ({"LICENSE": ISC, "COPYING": OWN}, ""),
        ({"LICENSE": f"{ISC}\n{OWN * 20}"}, ""),
        ({"README.md": ISC, "third_party/x/LICENSE": ISC}, ""),
    ]
    # As Go's cache has capital letters.
    for number, (files, _) in enumerate(cases):
        write(cache, f"example.org/!up/{number}@v1.0.0", files)
    program_of(cache, *(f"example.org/Up/{number}" for number in range(len(cases))))
    expected = {f"example.org/Up/{number}@v1.0.0": licence for number, (_, licence) in enumerate(cases)}
    assert licences(name()) == expected


def test_they_are_named_once_for_each_set_of_programs(name: support.Module, cache: Path) -> None:
    write(cache, "example.org/b@v1.0.0", {"LICENSE": ISC})
    made = support.made_once(name)
    assert made["artifact"] in support.results_in(cache)
    other = name(programs=["hello", "other"], check=True)
    assert (other["changed"], other["key"] == made["key"]) == (True, False)
    off = name.keywords["others"]["other"] | {"enabled": False}
    others = name.keywords["others"] | {"other": off}
    assert name(programs=["hello", "other"], others=others, check=True)["key"] == made["key"]


def proxy(folder: Path, licence: str) -> dict[str, str]:
    """Write a module where Go fetches it from, and return the variables for that."""
    served = folder / "example.org/b/@v"
    served.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(served / "v1.0.0.zip", "w") as archive:
        archive.writestr("example.org/b@v1.0.0/LICENSE", licence)
        archive.writestr("example.org/b@v1.0.0/go.mod", "module example.org/b\n")
    (served / "v1.0.0.mod").write_text("module example.org/b\n")
    (served / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    return {"GOPROXY": f"file://{folder}", "GONOSUMDB": "example.org"}


def test_source_that_is_not_there_any_more_is_fetched_and_verified(name: support.Module, tmp_path: Path) -> None:
    source, environment = tmp_path / "source", proxy(tmp_path / "proxy", ISC)
    there = environment | go_environment(tmp_path / "other")
    run([str(support.GO), "get", "example.org/b@v1.0.0"], cwd=source, env=there)
    before = (source / "go.sum").read_text()
    assert "example.org/b v1.0.0 h1:" in before
    program_of(tmp_path / "cache", "example.org/b")
    try:
        proxy(tmp_path / "proxy", OWN)
        assert "checksum mismatch" in name(env=environment)["msg"]
        proxy(tmp_path / "proxy", ISC)
        assert licences(name(env=environment)) == {"example.org/b@v1.0.0": "ISC"}
        assert (source / "go.sum").read_text() == before
    finally:
        # Go's sources can be written by nobody.
        run(["chmod", "--recursive", "u+w", str(tmp_path)])


def test_where_they_come_from_elsewhere_nothing_is_compiled(name: support.Module, tmp_path: Path) -> None:
    origin = tmp_path / "origin.json"
    origin.write_text(Origin(Folder(str(tmp_path)), {}).written())
    said = name(origin=str(origin))["msg"]
    assert said.startswith("cannot fetch the licences go-licences: the lock file has no go-licences of the key ")


def test_names_of_licence_files(tmp_path: Path) -> None:
    licences = {"LICENSE", "LICENCE.txt", "License.md", "COPYING", "UNLICENSE", "LICENSE-MIT", "LICENSE.APACHE2"}
    licences |= {"MIT-LICENSE.txt", "COPYING.LESSER", "LICENSE.mpl-2.0"}
    for name in (*licences, "license.go", "licenses_test.go", "NOTICE", "copying.html", "README.md"):
        (tmp_path / name).touch()
    (tmp_path / "LICENSES").mkdir()
    assert {path.name for path in licence_files(tmp_path)} == licences
