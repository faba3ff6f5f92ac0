"""What the documents name exists: files, targets of make, variables, tests and messages."""

import re
from pathlib import Path

from contracts.project import MODULES, ROLES, common_variables, facts_documented, options_of
from lib.paths import ROOT

TOP = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in {".venv", ".state", ".git"})
FILES_AT_TOP = {"site.yml", "ansible.cfg", "pyproject.toml", "uv.lock", "bootstrap.txt", "Makefile", "CHANGELOG.md"}
PLACES = [
    "*.md",
    "docs/**/*.md",
    "roles/*/README.md",
    *(f"{top}/**/*.md" for top in ("collections", "iac", "molecule")),
]
DOCUMENTS = sorted(path for place in [*PLACES, "app/*.md"] for path in ROOT.glob(place))
TEXTS = {path: path.read_text() for path in DOCUMENTS}
AREAS = ["Service", "Image", "Kubernetes", "Autoscaler", "Network", "Sidecar", "Service object", "Terraform"]


def code_of(text: str) -> list[str]:
    """Return every piece of code of a document: what is in fences line by line, and what is in backticks."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in fenced for line in block.splitlines()]
    return [*lines, *re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))]


CODE = [(path, code) for path, text in TEXTS.items() for code in code_of(text)]


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
    assert {ROOT / name for name in ("README.md", "docs/decisions.md", "docs/runbooks/TargetDown.md")} <= set(DOCUMENTS)


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {"ARGS", "BUNDLE", "FILE", "JOBS", "KEY", "PART_MIB", "QUERY", "SIGNERS", "SPAN", "WHAT", "TO"}
    variables = set(re.findall(r"\b([A-Z_]+) [?:]?=", makefile)) | named
    calls = [
        (path, target, set(re.findall(r"(?:^|\s)([A-Z_]+)=", rest)))
        for path, code in CODE
        for target, rest in re.findall(r"\bmake ([a-z]+)\b(.*)", code)
    ]
    assert [call for call in calls if call[1] not in targets or not call[2] <= variables] == []


def test_paths_exist() -> None:
    named = {(path, name) for path, code in CODE for name in paths_in(code)}
    # From the top or from the document; some are patterns.
    assert [(path, name) for path, name in sorted(named) if not [*ROOT.glob(name), *path.parent.glob(name)]] == []


def test_links_lead_somewhere() -> None:
    broken = []
    for path, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file, _, anchor = target.partition("#")
            destination = (path.parent / file).resolve() if file else path
            if not re.match(r"[a-z]+:", target) and (
                not destination.exists() or (anchor and anchor not in heading_anchors(destination))
            ):
                broken.append((path, target))
    assert broken == []


def test_every_page_is_linked_from_the_index() -> None:
    index = ROOT / "docs/README.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve() for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[index])
    }
    assert [path for path in DOCUMENTS if path.is_relative_to(index.parent) and path not in linked | {index}] == []
    assert [role / "README.md" for role in ROLES if role / "README.md" not in linked] == []


def test_each_decision_has_its_day_and_its_reason() -> None:
    _, *entries = re.split(r"^## ", TEXTS[ROOT / "docs/decisions.md"], flags=re.MULTILINE)
    assert len(entries) > 50
    for entry in entries:
        parts = [part.split("\n")[0] for part in entry.split("\n**")[1:]]
        assert re.match(r"What \(20\d\d-\d\d-\d\d\)\.\*\*", parts[0]), entry
        assert [part.split(".**")[0] for part in parts[1:]] in (["Why"], ["Why", "What else"]), entry


def test_readme_is_read_in_three_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_variables_exist() -> None:
    known = common_variables()
    known |= {name for role in ROLES for name in [*facts_documented(role), *options_of(role), role.name]}
    known |= {module.stem for module in MODULES.glob("*.py")}
    # Metrics may begin like a role.
    known |= set(re.findall(r"\w+", (ROOT / "roles/monitoring/files/rules/alerts.yml").read_text()))
    prefixes = "|".join(["platform", "image", *(role.name for role in ROLES)])
    variable = re.compile(rf"(?<![\w/.-])(?:{prefixes})_[a-z_]+(?![\w/.-])")
    assert [(path, name) for path, code in CODE for name in variable.findall(code) if name not in known] == []


def test_tests_exist() -> None:
    named = {test for text in TEXTS.values() for test in re.findall(r"([\w./-]+\.py)::(\w+)", text)}
    defined = {file: re.findall(r"^(?:async )?def (\w+)", (ROOT / file).read_text(), re.MULTILINE) for file, _ in named}
    assert [(file, name) for file, name in sorted(named) if name not in defined[file]] == []


def test_no_path_of_a_persons_machine() -> None:
    machine = re.compile(r"(?<![\w.])/(?:root|home|work|Users)/\S*")
    assert [(path, found) for path, text in TEXTS.items() for found in machine.findall(text)] == []


def rows_below(heading: str, document: Path) -> list[list[str]]:
    """Return the cells of the table below a heading of a document, without its first two lines."""
    section = re.split(r"^##? ", document.read_text(), flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(heading)]
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 2
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_every_seed_fault_has_its_place_and_its_test() -> None:
    rows = rows_below("Seed faults", ROOT / "docs/faults.md")
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
    places += (ROOT / "tools").glob("*.py")
    said = " ".join(" ".join(path.read_text() for path in [ROOT / "Makefile", *places]).split())
    rows = rows_below("Messages", ROOT / "docs/troubleshooting.md")
    quoted = [text for row in rows for text in re.findall(r"“([^”]+)”", row[0])]
    assert len(quoted) >= 10
    assert not [text for text in quoted if text not in said]
