"""Licences of the modules in Go programs, named by the real classifier from sources as Go keeps them."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.callback.progress import default_cache
from ansible_collections.counter.platform.plugins.module_utils.commands import run
from ansible_collections.counter.platform.plugins.module_utils.go import go_environment
from ansible_collections.counter.platform.plugins.module_utils.origin import Folder, Origin
from ansible_collections.counter.platform.plugins.modules import go_programs
from ansible_collections.counter.platform.plugins.modules.go_licences import licence_files
from ansible_collections.counter.platform.tests.unit.support import COLLECTIONS, RunModule, go_program, results_in

GO = Path(sys.executable).with_name("go")
SOURCE = COLLECTIONS.parent / "roles/offline_images/files/licences"
pytestmark = [
    pytest.mark.mirrors,
    pytest.mark.skipif(not GO.exists(), reason=f"no Go compiler at {GO}; `make venv` installs it"),
]

ISC = """ISC License

Copyright (c) 2026 Somebody

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL
IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
"""
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
OWN = "Whoever reads this may use it on Sundays, and on no other day.\n"


@pytest.fixture(scope="module")
def classifier() -> str:
    """The folder of the compiled classifier, in the cache that all runs share."""
    cache = str(os.environ.get("COUNTER_PLATFORM_CACHE") or default_cache())
    options = {"rename": {}, "tags": [], "stamps": [], "cache_days": 14, "origin": "", "carried": False, "last": False}
    given = {"name": "licences", "source": str(SOURCE), "packages": ["."], "go": str(GO), "cache": cache}
    return str(go_programs.ensure(given | options, check_mode=False)["path"])


@pytest.fixture
def arguments(tmp_path: Path, cache: Path, classifier: str) -> dict[str, Any]:
    """Options for a program of one module."""
    program_of(cache, "example.org/b")
    (tmp_path / "source").mkdir()
    (tmp_path / "source/go.mod").write_text("module example.org/hello\n\ngo 1.24\n")
    programs = [{"artifact": "hello/12", "source": str(tmp_path / "source")}]
    return {"programs": programs, "classifier": classifier, "go": str(GO), "cache": str(cache)}


def program_of(cache: Path, *modules: str) -> None:
    """Write a program of modules of version 1."""
    path = cache / "artifacts/hello/12/hello"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(go_program(*(f"dep\t{module}\tv1.0.0\th1:x" for module in modules)))


def write(cache: Path, module: str, files: dict[str, str]) -> None:
    """Write a module's source as Go's cache has it."""
    for name, text in files.items():
        path = cache / "go/mod" / module / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def licences(made: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = json.loads(Path(made["path"]).read_text())
    return found


def test_licences_are_those_of_the_files(run_module: RunModule, arguments: dict[str, Any], cache: Path) -> None:
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
    expected = {}
    for number, (files, licence) in enumerate(cases):
        # As Go's cache has capital letters.
        write(cache, f"example.org/!up/{number}@v1.0.0", files)
        expected[f"example.org/Up/{number}@v1.0.0"] = licence
    program_of(cache, *(name.partition("@")[0] for name in expected))
    assert licences(run_module("go_licences", arguments)) == expected


def test_they_are_named_once_for_each_set_of_programs(
    run_module: RunModule, arguments: dict[str, Any], cache: Path
) -> None:
    write(cache, "example.org/b@v1.0.0", {"LICENSE": ISC})
    promised = run_module("go_licences", arguments, check=True)
    assert promised["changed"]
    assert results_in(cache) == ["hello/12"]
    made = run_module("go_licences", arguments)
    assert (made["changed"], made["artifact"]) == (True, promised["artifact"])
    assert results_in(cache) == [made["artifact"], "hello/12"]
    for check in (True, False):
        assert run_module("go_licences", arguments, check=check) == made | {"changed": False}
    more = [*arguments["programs"], arguments["programs"][0] | {"artifact": "hello/13"}]
    assert run_module("go_licences", arguments | {"programs": more}, check=True)["changed"]


def proxy(folder: Path, licence: str) -> dict[str, str]:
    """Write a module where Go fetches it from, and return the variables for that."""
    served = folder / "example.org/b/@v"
    served.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("example.org/b@v1.0.0/LICENSE", licence)
        archive.writestr("example.org/b@v1.0.0/go.mod", "module example.org/b\n")
    (served / "v1.0.0.zip").write_bytes(stream.getvalue())
    (served / "v1.0.0.mod").write_text("module example.org/b\n")
    (served / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    return {"GOPROXY": f"file://{folder}", "GONOSUMDB": "example.org"}


def test_source_that_is_not_there_any_more_is_fetched_and_verified(
    run_module: RunModule, arguments: dict[str, Any], tmp_path: Path
) -> None:
    source, environment = tmp_path / "source", proxy(tmp_path / "proxy", ISC)
    there = environment | go_environment(tmp_path / "other")
    run([str(GO), "get", "example.org/b@v1.0.0"], cwd=source, env=there)
    before = (source / "go.sum").read_text()
    assert "example.org/b v1.0.0 h1:" in before
    try:
        proxy(tmp_path / "proxy", OWN)
        result = run_module("go_licences", arguments, env=environment)
        assert result["failed"]
        assert "checksum mismatch" in result["msg"]
        proxy(tmp_path / "proxy", ISC)
        made = run_module("go_licences", arguments, env=environment)
        assert licences(made)["example.org/b@v1.0.0"] == "ISC"
        assert (source / "go.sum").read_text() == before
    finally:
        # Go's sources can be written by nobody.
        run(["chmod", "--recursive", "u+w", str(tmp_path)])


def test_where_they_come_from_elsewhere_nothing_is_compiled(
    run_module: RunModule, arguments: dict[str, Any], tmp_path: Path
) -> None:
    origin = tmp_path / "origin.json"
    origin.write_text(Origin(Folder(str(tmp_path)), {}).written())
    result = run_module("go_licences", arguments | {"origin": str(origin), "classifier": "/nowhere", "go": "/nowhere"})
    assert result["failed"]
    assert "go-licences" in result["msg"]
    assert "/nowhere" not in result["msg"]


def test_names_of_licence_files(tmp_path: Path) -> None:
    licences = {"LICENSE", "LICENCE.txt", "License.md", "COPYING", "UNLICENSE", "LICENSE-MIT", "LICENSE.APACHE2"}
    licences |= {"MIT-LICENSE.txt", "COPYING.LESSER", "LICENSE.mpl-2.0"}
    for name in (*licences, "license.go", "licenses_test.go", "NOTICE", "copying.html", "README.md"):
        (tmp_path / name).touch()
    (tmp_path / "LICENSES").mkdir()
    assert {path.name for path in licence_files(tmp_path)} == licences
