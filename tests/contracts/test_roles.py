"""A role's defaults, its argument spec, its README and its scenario say the same."""

import re
import shutil
from pathlib import Path
from typing import Any

from contracts.project import COMMON, ROLES, common_variables, facts_documented, load, options_of, spec_of, tasks_in
from lib.command import run
from lib.paths import ROOT

TYPES = {
    "str": str,
    "path": str,
    "int": int,
    "bool": bool,
    "list": list,
    "dict": dict,
}
PLATFORM = ROOT / "roles/platform"
# The scenarios of the roles that include it prove it.
INTERNAL = ROOT / "roles/kubernetes_objects"
NEEDED = "tasks/needed.yml"
OPTIONS = [(role, name, option) for role in ROLES for name, option in options_of(role).items()]


def test_every_role_has_what_a_role_has() -> None:
    assert len(ROLES) >= 6
    names = ("meta/main.yml", "meta/argument_specs.yml", "tasks/main.yml", "README.md")
    assert [role / name for role in ROLES for name in names if not (role / name).is_file()] == []
    about = {role.name: load(role / "meta/main.yml") for role in ROLES}
    assert [name for name, entry in about.items() if not entry["galaxy_info"]["description"]] == []
    # The variables that every environment has; what else a role needs is listed in the playbooks.
    expected = {role.name: [] if role == PLATFORM else [{"role": "platform"}] for role in ROLES}
    assert {name: entry["dependencies"] for name, entry in about.items()} == expected


def test_defaults_are_those_of_the_spec() -> None:
    documented: dict[str, dict[str, Any]] = {role.name: {} for role in ROLES}
    for role, name, option in OPTIONS:
        if "default" in option:
            documented[role.name][name] = option["default"]
    # Tables that stand in files of their own are not among them.
    files = [(role, path) for role in ROLES for path in role.rglob("main.yml") if "defaults" in path.parts]
    defaults = {role.name: load(path) or {} for role, path in files}
    assert {role.name: {} for role in ROLES} | defaults == documented


def test_tables_beside_the_defaults_are_in_the_spec() -> None:
    tables = {name for path in COMMON.glob("*.yml") if path.name != "main.yml" for name in load(path)}
    assert tables == {name for name, option in options_of(PLATFORM).items() if option.get("required")}


def test_every_option_has_a_type_and_a_description() -> None:
    assert [name for _, name, option in OPTIONS if not option.get("description")] == []
    assert [name for _, name, option in OPTIONS if option.get("type") not in TYPES] == []
    assert [name for _, name, option in OPTIONS if ("elements" in option) != (option["type"] == "list")] == []
    assert [name for _, name, option in OPTIONS if ("default" in option) == bool(option.get("required"))] == []


def test_defaults_have_the_type_of_the_spec() -> None:
    wrong = []
    for _, name, option in OPTIONS:
        default = option.get("default", "{{ required }}")
        if isinstance(default, str) and "{{" in default:
            continue
        elements = default if isinstance(default, list) else []
        if (
            not isinstance(default, TYPES[option["type"]])
            or isinstance(default, bool) != (option["type"] == "bool")
            or default not in option.get("choices", [default])
            or not all(isinstance(element, TYPES[option["elements"]]) for element in elements)
        ):
            wrong.append((name, default, option))
    assert wrong == []


def checked_first(tasks: list[dict[str, Any]]) -> list[str]:
    """Return the roles whose preflight checks the tasks run before anything else of a playbook."""
    checks = [task for task in tasks if task.get("ansible.builtin.include_tasks") == "tasks/preflight.yml"]
    return [role for task in checks for role in task["vars"]["preflight_roles"]]


def test_entry_points_take_the_same_as_the_role() -> None:
    # A role may be run in part: its checks alone, or a backup.
    parts = ("preflight", "backup", "restore")
    expected = {role: {"main", *(part for part in parts if (role / f"tasks/{part}.yml").exists())} for role in ROLES}
    assert {role: set(spec_of(role)) for role in ROLES} == expected
    entries = [(role.name, name, entry) for role in ROLES for name, entry in spec_of(role).items()]
    assert [(role, name) for role, name, entry in entries if entry != spec_of(ROOT / "roles" / role)["main"]] == []
    tasks = [task for play in load(ROOT / "playbooks/preflight.yml") for task in play["tasks"]]
    assert set(checked_first(tasks)) == {role.name for role, found in expected.items() if "preflight" in found}


def test_playbook_checks_all_of_its_roles_before_the_first_one() -> None:
    for playbook in ("images", "cluster", "app"):
        (play,) = load(ROOT / f"playbooks/{playbook}.yml")
        (needed,) = [task for task in play["pre_tasks"] if task["ansible.builtin.include_tasks"] == NEEDED]
        expected = [*needed["vars"]["needed_roles"], *(entry["role"] for entry in play["roles"])]
        assert checked_first(play["pre_tasks"]) == expected, playbook


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


def test_public_options_have_the_name_of_the_role_or_the_platform() -> None:
    others = [entry for entry in OPTIONS if entry[0] != PLATFORM and not entry[1].startswith(f"{entry[0].name}_")]
    assert [name for _, name, _ in others if name not in common_variables()] == []
    # Its value comes from the platform: a default here would be a second one.
    assert [(role, name) for role, name, option in others if not option.get("required")] == []


def test_internal_variables_look_internal() -> None:
    files = [(role, role / "vars/main.yml") for role in ROLES if (role / "vars/main.yml").exists()]
    assert [
        (role.name, name) for role, path in files for name in load(path) if not name.startswith(f"_{role.name}_")
    ] == []


def test_facts_are_documented_and_documented_facts_are_set() -> None:
    made: dict[str, set[str]] = {role.name: set() for role in ROLES}
    foreign = []
    for role in ROLES:
        for task in [task for path in (role / "tasks").glob("*.yml") for task in tasks_in(load(path))]:
            made[role.name] |= set(task.get("ansible.builtin.set_fact", {}))
            made[role.name] |= facts_documented(role) & {task.get("register")}
            # ansible-lint looks at what a task registers, and not at its own variables.
            # The list is what the platform's task file takes.
            given = set(task.get("vars", {})) - {"_platform_values"}
            owner = task.get("ansible.builtin.include_role", {"name": role.name})["name"]
            foreign += [(role.name, name) for name in given if not re.match(f"_*{owner}_", name)]
    assert foreign == []
    assert made == {role.name: facts_documented(role) for role in ROLES}


def test_what_a_role_takes_from_another_is_documented_there() -> None:
    # The second is what playbooks/preflight.yml leaves.
    known = {"counter_platform", "platform_checked"}
    unknown = {}
    for role in ROLES:
        folders = ("defaults", "vars", "tasks", "handlers", "templates")
        text = "\n".join(path.read_text() for name in folders for path in (role / name).glob("*") if path.is_file())
        for other in {PLATFORM, *ROLES} - ({role} - {PLATFORM}):
            used = set(re.findall(rf"\b{other.name}_\w+", text))
            unknown[role.name, other.name] = used - known - facts_documented(other) - set(options_of(other))
    assert {roles: names for roles, names in unknown.items() if names} == {}


def test_readme_has_the_variables_of_the_spec(tmp_path: Path) -> None:
    stale = []
    for role in ROLES:
        copy = tmp_path / role.name
        shutil.copy(role / "README.md", copy)
        options = ["--output-template", ".config/aar-doc/readme.j2", "--output-file", str(copy)]
        run("aar-doc", *options, str(role), "markdown")
        if copy.read_text() != (role / "README.md").read_text():
            stale.append(role.name)
    assert stale == [], "run: make docs"


def test_readme_names_the_facts() -> None:
    texts = {role: (role / "README.md").read_text() for role in ROLES}
    assert [
        (role.name, fact) for role, text in texts.items() for fact in facts_documented(role) if f"`{fact}`" not in text
    ] == []


def test_every_role_has_a_scenario_with_tests() -> None:
    scenarios = [ROOT / "molecule" / role.name for role in ROLES if role != INTERNAL]
    given = {path: load(path / "molecule.yml").get("provisioner", {}).get("playbooks", {}) for path in scenarios}
    playbooks = [path / named for path in scenarios for named in {"converge": "converge.yml", **given[path]}.values()]
    assert [playbook for playbook in playbooks if not playbook.is_file()] == []
    tests = {path: "".join(file.read_text() for file in (path / "tests").glob("test_*.py")) for path in scenarios}
    assert [path for path, text in tests.items() if "def test_" not in text] == []


def test_scenario_checks_before_it_changes() -> None:
    shared = load(ROOT / ".config/molecule/config.yml")["scenario"]["test_sequence"]
    steps = ["check", "converge", "idempotence", "verify", "destroy"]
    files = sorted((ROOT / "molecule").glob("*/molecule.yml"))
    sequences = {path.parent.name: load(path).get("scenario", {}).get("test_sequence", shared) for path in files}
    assert len(sequences) >= len(ROLES) - 1
    found = {name: [step for step in sequence if step in steps] for name, sequence in sequences.items()}
    assert {name: order for name, order in found.items() if order != ["destroy", *steps]} == {}
