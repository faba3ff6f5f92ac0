"""What a module's documentation says and what it takes are the same."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.counter.platform.tests.unit.support import COLLECTION

MODULES = sorted(path for path in (COLLECTION / "plugins" / "modules").glob("*.py") if path.name != "__init__.py")


def _parts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the module's YAML texts by name, and its argument spec."""
    module = import_module(f"ansible_collections.counter.platform.plugins.modules.{path.stem}")
    texts = {name: yaml.safe_load(getattr(module, name)) for name in ("DOCUMENTATION", "EXAMPLES", "RETURN")}
    return texts, module.ARGUMENTS


def _facts(options: dict[str, Any], nested: str) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, option in options.items():
        facts[name] = {key: option.get(key) for key in ("type", "elements", "choices", "default")}
        facts[name]["required"] = option.get("required", False)
        facts[name][nested and "options"] = _facts(option.get(nested, {}), nested)
    return facts


def test_there_are_modules() -> None:
    assert len(MODULES) == 19


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_options_are_documented_as_they_are(path: Path) -> None:
    texts, spec = _parts(path)
    documented = texts["DOCUMENTATION"]
    assert documented["module"] == path.stem
    assert _facts(documented["options"], "suboptions") == _facts(spec, "options")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_examples_give_what_is_required_and_nothing_unknown(path: Path) -> None:
    texts, spec = _parts(path)
    for task in texts["EXAMPLES"]:
        given = task[f"counter.platform.{path.stem}"] or {}
        assert set(given) <= set(spec)
        assert {name for name, option in spec.items() if option.get("required")} <= set(given)
    assert all(value["returned"] and value["type"] for value in texts["RETURN"].values())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_take_nothing_from_each_other(path: Path) -> None:
    """Ansible sends a module with its module_utils, and without any other module."""
    assert "plugins.modules" not in path.read_text()
