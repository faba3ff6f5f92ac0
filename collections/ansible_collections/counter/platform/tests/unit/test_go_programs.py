"""Programs from a Go module, compiled by the real compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.callback.progress import default_cache
from ansible_collections.counter.platform.plugins.module_utils.go import compiling, drop_archives
from ansible_collections.counter.platform.tests.unit.support import RunModule, results_in

GO = Path(sys.executable).with_name("go")
pytestmark = pytest.mark.skipif(not GO.exists(), reason=f"no Go compiler at {GO}; `make venv` installs it")

# println needs nothing but the runtime: a cold compiler cache is filled in seconds.
MAIN = 'package main\n\nvar version = "unset"\n\nfunc main() { println("one", version, flavour) }\n'


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one cache for all tests here, with the compiler's own cache that all builds share.

    That one goes by content: where something was compiled before, the runtime need not be compiled again.
    """
    cache = tmp_path_factory.mktemp("go-cache")
    shared = Path(os.environ.get("COUNTER_PLATFORM_CACHE") or default_cache()) / "go"
    shared.mkdir(parents=True, exist_ok=True)
    (cache / "go").symlink_to(shared)
    return cache


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "module"
    program = root / "cmd" / "hello"
    program.mkdir(parents=True)
    (root / "go.mod").write_text("module example.org/unit\n\ngo 1.24\n\ntool example.org/unit/cmd/hello\n")
    (program / "main.go").write_text(MAIN)
    (program / "plain.go").write_text('//go:build !fancy\n\npackage main\n\nconst flavour = "plain"\n')
    (program / "fancy.go").write_text('//go:build fancy\n\npackage main\n\nconst flavour = "fancy"\n')
    return root


@pytest.fixture
def arguments(source: Path, shared_cache: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"name": request.node.name, "source": str(source), "go": str(GO), "cache": str(shared_cache)}


def _output(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stderr.strip()


def _results(arguments: dict[str, Any]) -> list[str]:
    return [result for result in results_in(Path(arguments["cache"])) if result.startswith(f"{arguments['name']}/")]


def test_git_that_gives_no_answer_about_the_clone_is_not_asked(
    run_module: RunModule, arguments: dict[str, Any], source: Path
) -> None:
    assert shutil.which("git")
    (source / ".git").mkdir()
    (source / ".git/HEAD").write_text(f"{'0' * 40}\n")
    made = run_module("go_programs", {**arguments, "packages": ["./cmd/hello"]})
    assert _output(Path(made["path"]) / "hello") == "one unset plain"


def test_a_program_is_compiled_once(run_module: RunModule, arguments: dict[str, Any], source: Path) -> None:
    before = sorted(source.rglob("*"))
    promised = run_module("go_programs", arguments, check=True)
    assert promised["changed"]
    assert not _results(arguments), "check mode built something"

    made = run_module("go_programs", arguments)
    assert made["changed"]
    assert (made["key"], made["path"]) == (promised["key"], promised["path"])
    assert _output(Path(made["path"]) / "hello") == "one unset plain"
    assert _results(arguments) == [f"{arguments['name']}/{made['key']}"]
    assert sorted(source.rglob("*")) == before, "the compiler wrote into the source"

    for check in (False, True):
        again = run_module("go_programs", arguments, check=check)
        assert (again["changed"], again["key"]) == (False, made["key"])


def test_changed_source_is_compiled_anew(run_module: RunModule, arguments: dict[str, Any], source: Path) -> None:
    first = run_module("go_programs", arguments)
    main = source / "cmd" / "hello" / "main.go"
    main.write_text(MAIN.replace('"one"', '"two"'))
    second = run_module("go_programs", arguments)
    assert second["changed"]
    assert _output(Path(second["path"]) / "hello") == "two unset plain"
    assert _output(Path(first["path"]) / "hello") == "one unset plain"
    main.write_text(MAIN)
    back = run_module("go_programs", arguments)
    assert (back["changed"], back["key"]) == (False, first["key"])


def test_tags_stamps_and_new_names(run_module: RunModule, arguments: dict[str, Any]) -> None:
    plain = run_module("go_programs", arguments)
    changes: list[dict[str, Any]] = [
        {"tags": ["fancy"]},
        {"stamps": [{"package": "main", "variables": {"version": "v9"}}]},
        {"rename": {"hello": "greet"}},
    ]
    keys = [run_module("go_programs", {**arguments, **change}, check=True)["key"] for change in changes]
    assert len({plain["key"], *keys}) == 4
    everything = {option: value for change in changes for option, value in change.items()}
    made = run_module("go_programs", {**arguments, **everything})
    assert [path.name for path in Path(made["path"]).iterdir()] == ["greet"]
    assert _output(Path(made["path"]) / "greet") == "one v9 fancy"


def test_packages_can_be_named(run_module: RunModule, arguments: dict[str, Any]) -> None:
    made = run_module("go_programs", {**arguments, "packages": ["example.org/unit/cmd/hello"]})
    assert _output(Path(made["path"]) / "hello") == "one unset plain"


def test_an_error_of_the_compiler(run_module: RunModule, arguments: dict[str, Any], source: Path) -> None:
    (source / "cmd" / "hello" / "main.go").write_text(MAIN.replace("version, flavour", "vision, flavour"))
    result = run_module("go_programs", arguments)
    assert result["failed"]
    assert result["msg"].startswith(f"cannot compile {arguments['name']}: ")
    assert "main.go:5:30: undefined: vision" in result["msg"]
    assert not _results(arguments)
    assert run_module("go_programs", arguments, check=True)["changed"]

    (source / "cmd" / "hello" / "main.go").write_text(MAIN)
    assert run_module("go_programs", arguments)["changed"]
    assert not list(Path(arguments["cache"]).glob(f"artifacts/{arguments['name']}/.building-*"))


def test_a_new_name_for_what_is_not_built(run_module: RunModule, arguments: dict[str, Any]) -> None:
    result = run_module("go_programs", {**arguments, "rename": {"hullo": "greet"}})
    assert "hullo" in result["msg"]
    assert not _results(arguments)


def test_a_module_that_would_have_to_change_its_requirements(
    run_module: RunModule, arguments: dict[str, Any], source: Path
) -> None:
    other = source.with_name("other")
    other.mkdir()
    (other / "go.mod").write_text("module example.org/other\n\ngo 1.24\n")
    (other / "other.go").write_text("package other\n")
    # go.mod tells where the module is but does not require it; the compiler could add that by itself.
    requirements = source / "go.mod"
    requirements.write_text(requirements.read_text() + "\nreplace example.org/other => ../other\n")
    before = requirements.read_text()
    main = source / "cmd" / "hello" / "main.go"
    main.write_text(main.read_text().replace("package main\n", 'package main\n\nimport _ "example.org/other"\n'))
    result = run_module("go_programs", arguments)
    assert result["failed"]
    assert requirements.read_text() == before
    assert "example.org/other" in result["msg"]
    assert not _results(arguments)


@pytest.mark.parametrize("check", [False, True])
def test_a_missing_compiler(run_module: RunModule, arguments: dict[str, Any], check: bool) -> None:
    result = run_module("go_programs", {**arguments, "go": "/nowhere/go"}, check=check)
    said = "the go command /nowhere/go is not there; `make venv` installs it"
    assert result["msg"] == f"cannot compile {arguments['name']}: {said}"


@pytest.mark.parametrize("check", [False, True])
def test_a_missing_source(run_module: RunModule, arguments: dict[str, Any], source: Path, check: bool) -> None:
    shutil.rmtree(source)
    result = run_module("go_programs", arguments, check=check)
    assert result["failed"]
    assert result["msg"].startswith(f"cannot compile {arguments['name']}: ")
    assert str(source) in result["msg"]


def test_archive_of_a_module_goes_once_its_source_is_unpacked(tmp_path: Path) -> None:
    downloads = tmp_path / "go/mod/cache/download/example.org/!upper/@v"
    downloads.mkdir(parents=True)
    for version, endings in {"v1.0.0": ("zip", "ziphash"), "v1.1.0": ("zip", "ziphash", "partial"),
                             "v1.2.0": ("zip",), "v2.0.0": ("zip", "ziphash")}.items():  # fmt: skip
        for ending in endings:
            (downloads / f"{version}.{ending}").touch()
        if version != "v2.0.0":
            (tmp_path / f"go/mod/example.org/!upper@{version}").mkdir(parents=True)
    drop_archives(tmp_path)
    assert sorted(path.stem for path in downloads.glob("*.zip")) == ["v1.1.0", "v1.2.0", "v2.0.0"]


def test_build_cache_goes_after_the_last_program_unless_another_run_compiles(
    run_module: RunModule, arguments: dict[str, Any], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    given = {**arguments, "cache": str(cache), "last": True}
    with compiling(cache):
        made = run_module("go_programs", given)
    assert made["changed"]
    assert list((cache / "go/build").iterdir())
    again = run_module("go_programs", given)
    assert not again["changed"]
    assert not (cache / "go/build").exists()
    assert _output(Path(made["path"]) / "hello") == "one unset plain"
