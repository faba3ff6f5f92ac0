"""What a module's documentation says and what it takes are the same."""

from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.counter.platform.tests.unit.support import COLLECTION

MODULES = sorted(path for path in (COLLECTION / "plugins" / "modules").glob("*.py") if path.name != "__init__.py")
PLUGINS = "ansible_collections.counter.platform.plugins"


def parts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the module's YAML texts by name, and its argument spec."""
    module = import_module(f"{PLUGINS}.modules.{path.stem}")
    texts = {name: yaml.safe_load(getattr(module, name)) for name in ("DOCUMENTATION", "EXAMPLES", "RETURN")}
    for name in texts["DOCUMENTATION"].get("extends_documentation_fragment", []):
        fragment = import_module(f"{PLUGINS}.doc_fragments.{name.rpartition('.')[2]}")
        texts["DOCUMENTATION"]["options"] |= yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    return texts, module.ARGUMENTS


def _facts(options: dict[str, Any], nested: str) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, option in options.items():
        facts[name] = {key: option.get(key) for key in ("type", "elements", "choices", "default")}
        facts[name]["required"] = option.get("required", False)
        facts[name][nested and "options"] = _facts(option.get(nested, {}), nested)
    return facts


def test_options_are_documented_as_they_are() -> None:
    assert len(MODULES) == 16
    found = {path.stem: parts(path) for path in MODULES}
    documented = {name: texts["DOCUMENTATION"] for name, (texts, _) in found.items()}
    assert [name for name, text in documented.items() if text["module"] != name] == []
    assert {name: _facts(text["options"], "suboptions") for name, text in documented.items()} == {
        name: _facts(spec, "options") for name, (_, spec) in found.items()
    }


def test_examples_give_what_is_required_and_nothing_unknown() -> None:
    wrong = []
    for path in MODULES:
        texts, spec = parts(path)
        required = {name for name, option in spec.items() if option.get("required")}
        given = [set(task[f"counter.platform.{path.stem}"] or {}) for task in texts["EXAMPLES"]]
        wrong += [(path.stem, options) for options in given if not required <= options <= set(spec)]
        wrong += [
            (path.stem, name) for name, value in texts["RETURN"].items() if not (value["returned"] and value["type"])
        ]
    assert wrong == []
