"""A role's defaults, its argument spec, its README and its scenario say the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from contracts.project import (
    COMMON,
    ROLES,
    common_variables,
    facts_documented,
    load,
    options_of,
    spec_of,
    tasks_in,
)
from lib.paths import ROOT

TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "path": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
}
PLATFORM = ROOT / "roles/platform"
NEEDED = "tasks/needed.yml"
each_role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)


def defaults_of(role: Path) -> dict[str, Any]:
    """Return a role's defaults; tables that stand in files of their own are not among them."""
    paths = [path for path in (role / "defaults/main.yml", role / "defaults/main/main.yml") if path.exists()]
    return (load(paths[0]) or {}) if paths else {}


def text_of(role: Path) -> str:
    """Return everything in a role where variables are used."""
    folders = ("defaults", "vars", "tasks", "handlers", "templates")
    files = sorted(path for folder in folders for path in (role / folder).glob("*") if path.is_file())
    return "\n".join(path.read_text() for path in files)


def test_there_are_roles() -> None:
    assert len(ROLES) >= 6


@each_role
def test_role_has_what_every_role_has(role: Path) -> None:
    for name in ("meta/main.yml", "meta/argument_specs.yml", "tasks/main.yml", "README.md"):
        assert (role / name).is_file(), f"{role.name} lacks {name}"
    about = load(role / "meta/main.yml")
    assert about["galaxy_info"]["description"]
    # The variables that every environment has; what else a role needs is listed in the playbooks.
    assert about["dependencies"] == ([] if role == PLATFORM else [{"role": "platform"}])


@each_role
def test_defaults_are_those_of_the_spec(role: Path) -> None:
    documented = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
    assert defaults_of(role) == documented


def test_tables_beside_the_defaults_are_in_the_spec() -> None:
    tables = {name for path in COMMON.glob("*.yml") if path.name != "main.yml" for name in load(path)}
    assert tables == {name for name, option in options_of(PLATFORM).items() if option.get("required")}


@each_role
def test_every_option_has_a_type_and_a_description(role: Path) -> None:
    for name, option in options_of(role).items():
        assert option.get("description"), f"{name} has no description"
        assert option.get("type") in TYPES, f"{name} has no type"
        assert ("elements" in option) == (option["type"] == "list"), f"{name}: lists have elements, and nothing else"


@each_role
def test_defaults_have_the_type_of_the_spec(role: Path) -> None:
    for name, option in options_of(role).items():
        if option.get("required"):
            assert "default" not in option, f"{name} is required and has a default"
            continue
        assert "default" in option, f"{name} is neither required nor has it a default"
        default = option["default"]
        if isinstance(default, str) and "{{" in default:
            continue
        assert isinstance(default, TYPES[option["type"]]), f"{name} is no {option['type']}: {default!r}"
        assert isinstance(default, bool) == (option["type"] == "bool"), f"{name}: {default!r}"
        assert default in option.get("choices", [default]), f"{name}: {default!r} is none of its choices"
        for element in default if isinstance(default, list) else []:
            assert isinstance(element, TYPES[option["elements"]]), f"{name}: {element!r} is no {option['elements']}"


@each_role
def test_entry_points_take_the_same_as_the_role(role: Path) -> None:
    spec = spec_of(role)
    # A role may be run in part: its checks alone, or a backup.
    expected = {"main"} | {name for name in ("preflight", "backup", "restore") if (role / f"tasks/{name}.yml").exists()}
    assert set(spec) == expected
    assert all(entry == spec["main"] for entry in spec.values())
    plays = load(ROOT / "playbooks/preflight.yml")
    preflights = checked_first([task for play in plays for task in play["tasks"]])
    assert (role.name in preflights) == ("preflight" in expected), "playbooks/preflight.yml lists who is checked first"


def checked_first(tasks: list[dict[str, Any]]) -> list[str]:
    """Return the roles whose preflight checks the tasks run before anything else of a playbook."""
    checks = [task for task in tasks if task.get("ansible.builtin.include_tasks") == "tasks/preflight.yml"]
    return [role for task in checks for role in task["vars"]["preflight_roles"]]


@pytest.mark.parametrize("playbook", ["images", "cluster", "app"])
def test_playbook_checks_all_of_its_roles_before_the_first_one(playbook: str) -> None:
    (play,) = load(ROOT / f"playbooks/{playbook}.yml")
    (needed,) = [task for task in play["pre_tasks"] if task["ansible.builtin.include_tasks"] == NEEDED]
    run = [*needed["vars"]["needed_roles"], *(entry["role"] for entry in play["roles"])]
    assert checked_first(play["pre_tasks"]) == run


def test_role_that_others_need_is_known_by_a_fact_that_it_sets() -> None:
    """Another name would run it in every play, or in none."""
    (task,) = load(ROOT / "playbooks" / NEEDED)
    for role, fact in task["vars"]["needed_facts"].items():
        assert fact.strip("{} ") in facts_documented(ROOT / "roles" / role)
    files = [ROOT / f"playbooks/{name}.yml" for name in ("images", "cluster", "app", "logs", "monitoring")]
    tasks = [task for file in files for play in load(file) for task in play.get("pre_tasks", [])]
    lists = [task["vars"]["needed_roles"] for task in tasks if task.get("ansible.builtin.include_tasks") == NEEDED]
    assert len(lists) == len(files)
    assert {role for needed in lists for role in needed} == set(task["vars"]["needed_facts"])


@each_role
def test_public_options_have_the_name_of_the_role_or_the_platform(role: Path) -> None:
    shared = common_variables()
    for name, option in options_of(role).items():
        if role != PLATFORM and not name.startswith(f"{role.name}_"):
            assert name in shared, f"{name} is neither {role.name}'s nor the platform's"
            assert option.get("required"), f"{name} gets its value from the platform: a default here would be a second"


@each_role
def test_internal_variables_look_internal(role: Path) -> None:
    path = role / "vars" / "main.yml"
    for name in load(path) if path.exists() else {}:
        assert name.startswith(f"_{role.name}_"), f"{name} in vars is internal: start it with _{role.name}_"


@each_role
def test_facts_are_documented_and_documented_facts_are_set(role: Path) -> None:
    documented = facts_documented(role)
    made: set[str] = set()
    for path in (role / "tasks").glob("*.yml"):
        for task in tasks_in(load(path)):
            made |= set(task.get("ansible.builtin.set_fact", {}))
            made |= {task["register"]} if task.get("register") in documented else set()
            # Names of other things are the role's own, so that no two roles overwrite each other's.
            for name in [*task.get("vars", {}), *([task["register"]] if "register" in task else [])]:
                assert name.lstrip("_").startswith(f"{role.name}_"), f"{name} could be any role's"
    assert made == documented


@each_role
def test_what_a_role_takes_from_another_is_documented_there(role: Path) -> None:
    text = text_of(role)
    for other in ROLES:
        if other != role:
            # The second is what playbooks/preflight.yml leaves.
            used = set(re.findall(rf"\b{other.name}_\w+", text)) - {"counter_platform", "platform_checked"}
            unknown = used - facts_documented(other) - set(options_of(other))
            assert not unknown, f"{role.name} uses {sorted(unknown)}, which {other.name} does not document"


@each_role
def test_variables_of_the_platform_exist(role: Path) -> None:
    used = set(re.findall(r"\b(?:platform_\w+|image_source|image_registry|kubernetes_version)\b", text_of(role)))
    # The last is what playbooks/preflight.yml leaves.
    assert used <= common_variables() | {"platform_checked"}


@each_role
def test_readme_has_the_variables_of_the_spec(role: Path, tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    shutil.copy(role / "README.md", copy)
    command = ["aar-doc", "--output-template", ".config/aar-doc/readme.j2", "--output-file", str(copy), str(role)]
    subprocess.run([*command, "markdown"], cwd=ROOT, check=True)
    assert copy.read_text() == (role / "README.md").read_text(), "run: make docs"


@each_role
def test_readme_names_the_facts(role: Path) -> None:
    readme = (role / "README.md").read_text()
    missing = {name for name in facts_documented(role) if f"`{name}`" not in readme}
    assert not missing


@each_role
def test_role_has_a_scenario_with_tests(role: Path) -> None:
    scenario = ROOT / "molecule" / role.name
    assert (scenario / "converge.yml").is_file()
    tests = list((scenario / "tests").glob("test_*.py"))
    assert any("def test_" in path.read_text() for path in tests), f"scenario {role.name} has no test"


def scenarios() -> list[Path]:
    """Return the folders of all scenarios."""
    return sorted(path.parent for path in (ROOT / "molecule").glob("*/molecule.yml"))


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda path: path.name)
def test_scenario_checks_before_it_changes(scenario: Path) -> None:
    own, shared = load(scenario / "molecule.yml"), load(ROOT / ".config/molecule/config.yml")
    sequence = own.get("scenario", {}).get("test_sequence", shared["scenario"]["test_sequence"])
    steps = ["check", "converge", "idempotence", "verify", "destroy"]
    assert [step for step in sequence if step in steps] == ["destroy", *steps]
