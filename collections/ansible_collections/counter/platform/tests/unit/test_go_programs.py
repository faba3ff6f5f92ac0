"""Programs from a Go module, compiled by the real compiler."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.go import compiling, drop_archives
from ansible_collections.counter.platform.tests.unit.support import Module, RunModule, made_once, needs_go, one_entry
from lib.command import run
from lib.paths import CACHE

pytestmark = needs_go

# println needs nothing but the runtime: a cold compiler cache is filled in seconds.
MAIN = 'package main\n\nvar version = "unset"\n\nfunc main() { println("one", version, flavour) }\n'


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one cache for all tests here, with the compiler's own cache that all builds share.

    That one goes by content: where something was compiled before, the runtime need not be compiled again.
    """
    cache = tmp_path_factory.mktemp("go-cache")
    (CACHE / "go").mkdir(parents=True, exist_ok=True)
    (cache / "go").symlink_to(CACHE / "go")
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
def compiled(source: Path, shared_cache: Path, request: pytest.FixtureRequest, run_module: RunModule) -> Module:
    name = request.node.name
    return one_entry(run_module, name, type="go", source=str(source), cache=str(shared_cache))


def output(made: dict[str, Any], name: str = "hello") -> str:
    return run(str(Path(made["path"]) / name)).stderr.strip()


def test_git_that_gives_no_answer_about_the_clone_is_not_asked(compiled: Module, source: Path) -> None:
    assert shutil.which("git")
    (source / ".git").mkdir()
    (source / ".git/HEAD").write_text(f"{'0' * 40}\n")
    assert output(compiled(packages=["./cmd/hello"])) == "one unset plain"


def test_a_program_is_compiled_once(compiled: Module, source: Path) -> None:
    before = sorted(source.rglob("*"))
    made = made_once(compiled)
    assert output(made) == "one unset plain"
    assert made["artifact"] == f"test_a_program_is_compiled_once/{made['key']}"
    assert sorted(source.rglob("*")) == before, "the compiler wrote into the source"


def test_changed_source_is_compiled_anew(compiled: Module, source: Path) -> None:
    first = compiled()
    main = source / "cmd" / "hello" / "main.go"
    main.write_text(MAIN.replace('"one"', '"two"'))
    second = compiled()
    assert [output(first), output(second)] == ["one unset plain", "two unset plain"]
    main.write_text(MAIN)
    assert compiled() == first | {"changed": False}


def test_tags_stamps_and_new_names(compiled: Module) -> None:
    changes: list[dict[str, Any]] = [
        {"tags": ["fancy"]},
        {"stamps": {"main": {"version": "v9"}}},
        {"rename": {"hello": "greet"}},
    ]
    keys = [compiled(**change, check=True)["key"] for change in [{}, *changes]]
    assert len(set(keys)) == 4
    made = compiled(**changes[0], **changes[1], **changes[2])
    assert [path.name for path in Path(made["path"]).iterdir()] == ["greet"]
    assert output(made, "greet") == "one v9 fancy"


def test_stamp_has_the_version_that_go_mod_requires(compiled: Module, source: Path) -> None:
    with (source / "go.mod").open("a") as go_mod:
        go_mod.write("\nrequire example.org/other v1.2.3 // indirect\n")
    stamped, plain = (compiled(stamps={"main": {"version": f"other-{version}"}}, check=True)["key"]
                      for version in ("@example.org/other", "v1.2.3"))  # fmt: skip
    assert stamped == plain
    said = compiled(stamps={"main": {"version": "@example.org/none"}}, check=True)["msg"]
    assert said.endswith("go.mod does not require example.org/none")


def test_an_error_of_the_compiler(compiled: Module, source: Path) -> None:
    (source / "cmd" / "hello" / "main.go").write_text(MAIN.replace("version, flavour", "vision, flavour"))
    said = compiled()["msg"]
    assert said.startswith("cannot compile the programs test_an_error_of_the_compiler: ")
    assert "main.go:5:30: undefined: vision" in said


def test_a_new_name_for_what_is_not_built(compiled: Module) -> None:
    assert "hullo" in compiled(rename={"hullo": "greet"})["msg"]


def test_a_module_that_would_have_to_change_its_requirements(compiled: Module, source: Path) -> None:
    other = source.with_name("other")
    other.mkdir()
    (other / "go.mod").write_text("module example.org/other\n\ngo 1.24\n")
    (other / "other.go").write_text("package other\n")
    # go.mod tells where the module is but does not require it; the compiler could add that by itself.
    requirements = source / "go.mod"
    before = f"{requirements.read_text()}\nreplace example.org/other => ../other\n"
    requirements.write_text(before)
    (source / "cmd/hello/main.go").write_text(MAIN.replace("main\n", 'main\n\nimport _ "example.org/other"\n', 1))
    assert "example.org/other" in compiled()["msg"]
    assert requirements.read_text() == before


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        ({"bin_dir": "/nowhere"}, "the go command /nowhere/go is not there; `make venv` installs it"),
        ({"source": "/nowhere/source"}, "[Errno 20] Not a directory: '/nowhere/source'"),
    ],
)
def test_what_is_not_there_is_named(compiled: Module, lacking: dict[str, str], reason: str) -> None:
    said = compiled(**lacking, check=True)["msg"]
    assert said.startswith("cannot compile the programs test_what_is_not_there_is_named")
    assert said.endswith(f": {reason}")


def test_archive_of_a_module_goes_once_its_source_is_unpacked(tmp_path: Path) -> None:
    module = "example.org/!upper"
    downloads = tmp_path / f"go/mod/cache/download/{module}/@v"
    downloads.mkdir(parents=True)
    for name in ("1.zip", "1.ziphash", "2.zip", "2.ziphash", "2.partial", "3.zip", "4.zip", "4.ziphash"):
        (downloads / f"v{name}").touch()
    for unpacked in (1, 2, 3):
        (tmp_path / f"go/mod/{module}@v{unpacked}").mkdir(parents=True)
    drop_archives(tmp_path)
    assert sorted(path.name for path in downloads.glob("*.zip")) == ["v2.zip", "v3.zip", "v4.zip"]


def test_build_cache_goes_after_the_last_program_unless_another_run_compiles(
    compiled: Module, source: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    second = {"type": "go", "source": str(source), "tags": ["fancy"]}
    build_cache = cache / "go/build"
    made = compiled(cache=str(cache), others={"second": second})
    assert list(build_cache.iterdir()), "another program of the catalogue is not there yet"
    with compiling(cache):
        assert compiled(cache=str(cache), tags=["other"])["changed"]
    assert list(build_cache.iterdir())
    assert compiled(cache=str(cache), tags=["third"])["changed"]
    assert not build_cache.exists()
    assert output(made) == "one unset plain"
