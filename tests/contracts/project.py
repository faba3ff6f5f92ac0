"""The project's files, as the contracts look at them."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from lib.paths import ROOT

ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
INVENTORIES = sorted(path.parent for path in (ROOT / "inventories").glob("*/hosts.yml"))
COMMON = ROOT / "roles" / "platform" / "defaults" / "main"
MODULES = ROOT / "collections/ansible_collections/counter/platform/plugins/modules"

Task = dict[str, Any]


@functools.cache
def load(path: Path) -> Any:
    """Return what a YAML file says; nobody may change it, as each file is read once."""
    return yaml.safe_load(path.read_text())


@functools.cache
def project_files(pattern: str = "*") -> list[Path]:
    """Return the files and links of the clone whose names match a pattern, without what git ignores."""
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()} | {".git"}
    found = [path for top in ROOT.iterdir() if top.name not in ignored for path in [top, *top.rglob("*")]]
    return sorted(
        path
        for path in found
        if path.match(pattern)
        and (path.is_file() or path.is_symlink())
        and not ignored & set(path.relative_to(ROOT).parts)
    )


def task_files() -> list[Path]:
    """Return every file with tasks or plays: of roles, playbooks, scenarios and the site itself."""
    patterns = ("site.yml", "playbooks/*.yml", "roles/*/tasks/*.yml", "roles/*/handlers/*.yml", "molecule/*/*.yml")
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern) if path.name != "molecule.yml")


def tasks_in(content: list[Task]) -> Iterator[Task]:
    """Yield every task of a list of tasks or plays, those inside of blocks too."""
    nested = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
    for entry in content:
        inner = [key for key in nested if key in entry]
        if not inner and "hosts" not in entry:
            yield entry
        for key in inner:
            yield from tasks_in(entry[key])


def spec_of(role: Path) -> dict[str, Any]:
    """Return a role's entry points."""
    return dict(load(role / "meta" / "argument_specs.yml")["argument_specs"])


def options_of(role: Path) -> dict[str, Any]:
    """Return the options of the entry point ``main``."""
    return dict(spec_of(role)["main"].get("options", {}))


def common_variables() -> set[str]:
    """Return the variables that every environment has."""
    return {name for path in COMMON.glob("*.yml") for name in load(path)}


def facts_documented(role: Path) -> set[str]:
    """Return the names that a role's spec says it sets: those in C(...) of its description."""
    description = spec_of(role)["main"]["description"]
    return set(re.findall(r"\bC\((\w+)\)", " ".join(description)))
