"""What the documents name exists: files, targets of make, variables, tests and messages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from contracts.project import MODULES, ROLES, common_variables, facts_documented, options_of
from lib.paths import ROOT

TOP = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in {".venv", ".state", ".git"})
FILES_AT_TOP = {"site.yml", "ansible.cfg", "pyproject.toml", "uv.lock", "bootstrap.txt", "Makefile", "CHANGELOG.md"}
PLACES = ["*.md", "docs/*.md", "roles/*/README.md", *(f"{top}/**/*.md" for top in ("collections", "iac", "molecule"))]
DOCUMENTS = sorted(path for place in [*PLACES, "app/*.md"] for path in ROOT.glob(place))
TROUBLESHOOTING = ROOT / "docs/troubleshooting.md"
FAULTS = ROOT / "docs/faults.md"
AREAS = ["Service", "Image", "Kubernetes", "Autoscaler", "Network", "Sidecar", "Service object", "Terraform"]

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def code_of(text: str) -> list[str]:
    """Return every piece of code of a document: what is in fences line by line, and what is in backticks."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in fenced for line in block.splitlines()]
    return [*lines, *re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))]


def exists(name: str, document: Path) -> bool:
    """Return whether a path, or a pattern of paths, names something of the project."""
    places = [ROOT, document.parent]
    return any(any(place.glob(name)) if "*" in name else (place / name).exists() for place in places)


def paths_in(code: str) -> list[str]:
    """Return the words of a piece of code that look like paths of the project."""
    words = [word.split("::")[0].strip(".,:;()'\"") if "." not in word[:1] else word for word in code.split()]
    placeholders = re.compile(r"[<>{}$…]")
    return [
        word
        for word in words
        if ((word.split("/")[0] in TOP and "/" in word) or word in FILES_AT_TOP) and not placeholders.search(word)
    ]


def heading_anchors(path: Path) -> set[str]:
    """Return the anchors that a Markdown file's headings have on the usual hosts."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_there_are_documents() -> None:
    names = {str(path.relative_to(ROOT)) for path in DOCUMENTS}
    assert names >= {
        "README.md",
        "CHANGELOG.md",
        "docs/architecture.md",
        "docs/decisions.md",
        "docs/troubleshooting.md",
    }


@each_document
def test_targets_of_make_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {"ARGS", "BUNDLE", "FILE", "JOBS", "KEY", "PART_MIB", "QUERY", "SIGNERS", "SPAN", "WHAT", "TO"}
    variables = set(re.findall(r"\b([A-Z_]+) [?:]?=", makefile)) | named
    for code in code_of(path.read_text()):
        for target, rest in re.findall(r"\bmake ([a-z]+)\b(.*)", code):
            assert target in targets, f"make {target}: the Makefile has {sorted(targets)}"
            given = set(re.findall(r"(?:^|\s)([A-Z_]+)=", rest))
            assert given <= variables, f"make {target}: nothing reads {sorted(given - variables)}"


@each_document
def test_paths_exist(path: Path) -> None:
    named = {name for code in code_of(path.read_text()) for name in paths_in(code)}
    missing = sorted(name for name in named if not exists(name, path))
    assert not missing


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        destination = (path.parent / file).resolve() if file else path
        assert destination.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in heading_anchors(destination), f"{target}: no such heading"


@each_document
def test_variables_exist(path: Path) -> None:
    known = common_variables() | {"platform_checked"}
    for role in ROLES:
        known |= facts_documented(role)
        known |= set(options_of(role))
    prefixes = "|".join(["platform", "image", *(role.name for role in ROLES)])
    others = {role.name for role in ROLES} | {module.stem for module in MODULES.glob("*.py")}
    for code in code_of(path.read_text()):
        named = set(re.findall(rf"(?<![\w/.-])(?:{prefixes})_[a-z_]+(?![\w/.-])", code)) - others
        assert named <= known, f"{sorted(named - known)}: no role and no inventory has such a variable"


@each_document
def test_tests_exist(path: Path) -> None:
    for file, name in re.findall(r"([\w./-]+\.py)::(\w+)", path.read_text()):
        tree = ast.parse((ROOT / file).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in functions, f"{file} has no {name}"


@each_document
def test_no_path_of_a_persons_machine(path: Path) -> None:
    assert not re.findall(r"(?<![\w.])/(?:root|home|work|Users)/\S*", path.read_text())


def rows_below(heading: str, document: Path) -> list[list[str]]:
    """Return the cells of the table below a heading of a document, without its first two lines."""
    section = re.split(r"^##? ", document.read_text(), flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(heading)]
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 2
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_every_seed_fault_has_its_place_and_its_test() -> None:
    rows = rows_below("Seed faults", FAULTS)
    areas: list[str] = []
    for area, fault, symptom, place, test in rows:
        areas.append(area or areas[-1])
        assert fault
        assert symptom
        assert paths_in(place.replace("`", "")), f"{fault}: where is it fixed?"
        assert re.search(r"`[\w./-]+\.py::test_\w+", test), f"{fault}: no test"
    assert list(dict.fromkeys(areas)) == AREAS


def test_quoted_messages_are_what_the_project_says() -> None:
    places = [*(ROOT / "roles").glob("*/tasks/*.yml"), *(ROOT / "playbooks").glob("*.yml")]
    places += (ROOT / "collections/ansible_collections/counter/platform/plugins").rglob("*.py")
    said = " ".join(" ".join(path.read_text() for path in [ROOT / "Makefile", *places]).split())
    quoted = [text for row in rows_below("Messages", TROUBLESHOOTING) for text in re.findall(r"“([^”]+)”", row[0])]
    assert len(quoted) >= 10
    assert not [text for text in quoted if text not in said]
