"""docs/testing.md says of each claim which run proves it, and no test is in neither run."""

import ast
import re

from contracts.project import project_files
from lib.paths import ROOT

DOCUMENT = ROOT / "docs/testing.md"
JOBS = ROOT / "tests/jobs/test.mk"
MARKER = "mark.soak"


def claims() -> list[tuple[str, list[str], list[str]]]:
    """Return each claim with the tests that `make test` and `make soak` prove it by."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOCUMENT.read_text().splitlines()]
    tables = [row for row in rows if len(row) == 3 and not set(row[0]) <= {"-"} and row[0] != "claim"]
    return [(row[0], named_in(row[1]), named_in(row[2])) for row in tables]


def named_in(cell: str) -> list[str]:
    """Return the files and tests that a cell of the table names."""
    return re.findall(r"`([\w./-]+\.(?:py|tftest\.hcl)(?:::\w+)?)`", cell)


def functions_of(file: str) -> dict[str, tuple[bool, bool]]:
    """Return of each test of a file whether it runs in `make test` and whether in `make soak`."""
    body = ast.parse((ROOT / file).read_text()).body
    scenario = re.match(r"molecule/(\w+)/", file)
    # Its job runs all of its tests, whatever the marker.
    soaked = scenario is not None and not re.search(rf"\b{scenario[1]}\b", JOBS.read_text())
    names = {ast.unparse(node.targets[0]): ast.unparse(node.value) for node in body if isinstance(node, ast.Assign)}
    whole = MARKER in names.get("pytestmark", "")
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            written = map(ast.unparse, node.decorator_list)
            decorators = [names.get(text, text).removeprefix("pytest.") for text in written]
            always = whole or soaked or MARKER in decorators
            found[node.name] = (not always, always or any(MARKER in text for text in decorators))
    return found


def named(test: str) -> dict[str, tuple[bool, bool]]:
    """Return the functions that an entry of the table names: one, or all of a file."""
    file, _, name = test.partition("::")
    functions = functions_of(file)
    return {name: functions[name]} if name else functions


def test_claims_are_proven_by_the_runs_that_the_document_names() -> None:
    table = claims()
    assert len(table) >= 30
    assert [claim for claim, short, _ in table if not short] == [], "`make test` proves nothing of these"
    in_test = {test for _, short, _ in table for test in short}
    assert [test for test in sorted(in_test) if not any(short for short, _ in named(test).values())] == []
    in_soak = {test for _, _, long in table for test in long}
    assert [test for test in sorted(in_soak) if not any(long for _, long in named(test).values())] == []


def test_every_test_proves_a_claim_in_the_run_that_has_it() -> None:
    listed = {test for _, short, long in claims() for test in [*short, *long]}
    files = {str(path.relative_to(ROOT)) for path in project_files("test_*.py")}
    assert files - {test.partition("::")[0] for test in listed} == set()
    soaked = {test for _, _, long in claims() for test in long}
    marked = {(file, name) for file in files for name, (_, soak) in functions_of(file).items() if soak}
    assert [(file, name) for file, name in sorted(marked) if not soaked & {file, f"{file}::{name}"}] == []


def test_marker_says_which_run_has_a_test() -> None:
    # By a decorator, by a row of parameters, of the whole file, and by the job of a scenario.
    expected = {
        "tests/site/test_6_sudo.py": {(True, False), (False, True)},
        "app/tests/test_scale.py": {(True, True)},
        "tests/site/test_8_bundle.py": {(False, True)},
        "molecule/default/tests/test_site.py": {(False, True)},
    }
    assert {file: set(functions_of(file).values()) for file in expected} == expected
