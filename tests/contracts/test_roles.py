"""A role's defaults, its argument spec, its README and its scenario say the same."""

import re
import shutil
from collections.abc import Iterable
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


Tags = set[str]


def tags_of(entry: dict[str, Any]) -> Tags:
    """Return the tags of a task or an import."""
    tags = entry.get("tags", [])
    return {tags} if isinstance(tags, str) else set(tags)


def checked() -> dict[str, Tags]:
    """Return the roles whose checks playbooks/preflight.yml runs, with the tags by which it does."""
    (play,) = load(ROOT / "playbooks/preflight.yml")
    included = [(task, task.get("ansible.builtin.include_role", {})) for task in play["tasks"]]
    return {
        name: tags_of(task)
        for task, include in included
        if include.get("tasks_from") == "preflight"
        for name in (task["loop"] if "loop" in task else [include["name"]])
    }


def test_entry_points_take_the_same_as_the_role() -> None:
    # A role may be run in part: its checks alone, or a backup.
    parts = ("preflight", "backup", "restore")
    expected = {role: {"main", *(part for part in parts if (role / f"tasks/{part}.yml").exists())} for role in ROLES}
    assert {role: set(spec_of(role)) for role in ROLES} == expected
    entries = [(role.name, name, entry) for role in ROLES for name, entry in spec_of(role).items()]
    assert [(role, name) for role, name, entry in entries if entry != spec_of(ROOT / "roles" / role)["main"]] == []
    assert set(checked()) == {role.name for role, found in expected.items() if "preflight" in found}


def test_site_checks_what_a_tag_runs_before_any_of_it_and_nothing_else() -> None:
    first, *others = load(ROOT / "site.yml")
    assert first["import_playbook"] == "playbooks/preflight.yml"
    assert [entry for entry in others if entry["vars"] != {"platform_preflight": False}] == []
    ran: dict[str, set[str]] = {}
    for entry in others:
        roles = {role["role"] for play in load(ROOT / entry["import_playbook"]) for role in play["roles"]}
        for tag in tags_of(entry):
            ran.setdefault(tag, set()).update(roles)
    assert set(ran) == {"images", "cluster", "app", "logs", "monitoring"}
    assert {tag: {role for role, tags in checked().items() if tags & {tag, "always"}} for tag in ran} == ran


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


def unknown_in(text: str, others: Iterable[Path]) -> set[str]:
    """Return the names in a text that begin as a role's and are neither options nor facts of it."""
    names = {name for other in others for name in re.findall(rf"\b{other.name}_\w+", text)}
    known = {name for role in ROLES for name in [*facts_documented(role), *options_of(role), role.name]}
    return names - known - {"counter_platform"}


def test_what_a_role_takes_from_another_is_documented_there() -> None:
    folders = ("defaults", "vars", "tasks", "handlers", "templates")
    unknown = {}
    for role in ROLES:
        text = "\n".join(path.read_text() for name in folders for path in (role / name).glob("*") if path.is_file())
        unknown[role.name] = unknown_in(text, {PLATFORM, *ROLES} - ({role} - {PLATFORM}))
    assert {role: names for role, names in unknown.items() if names} == {}


def test_playbooks_take_nothing_from_roles_but_facts_and_options() -> None:
    # A bundle packs what the roles' tasks `fetch` return.
    files = [ROOT / "site.yml", *(ROOT / "playbooks").glob("[!b]*.yml"), ROOT / "playbooks/backup.yml"]
    unknown = {path.name: unknown_in(path.read_text(), ROLES) for path in files}
    assert {name: names for name, names in unknown.items() if names} == {}


def test_facts_are_few_and_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    section = text[text.index("## Facts shared between roles") : text.index("## The cache")]
    facts = {fact for role in ROLES for fact in facts_documented(role)}
    assert set(re.findall(r"`(\w+)`", section)) - {"engine_probe", "cluster_info"} == facts
    assert len(facts) <= 9, "ask for the state instead"


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
