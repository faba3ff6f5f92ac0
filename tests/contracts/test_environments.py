"""Environments differ in their own group variables, and in whether the log host is found or made beside them."""

import json
import re
from pathlib import Path

import pytest
from ansible_collections.counter.platform.plugins.callback.progress import default_cache
from contracts.manifests import value_of
from contracts.project import INVENTORIES, ROLES, common_variables, load, options_of, project_files, task_files
from lib.paths import ROOT, cache


def test_plays_that_use_common_variables_have_them() -> None:
    """Every role brings them, one that is included where it is public; any other play has to name the role platform."""
    plays = [(path, play) for path in task_files() for play in load(path) if "hosts" in play]
    assert plays
    for path, play in plays:
        read = {**play, "vars": list(play.get("vars", {}).values())}
        used = common_variables() & set(re.findall(r"\w+", json.dumps(read)))
        public = [task for task in play.get("tasks", []) if task.get("ansible.builtin.include_role", {}).get("public")]
        assert play.get("roles") or public or not used, f"{path}, {play['name']}: {sorted(used)}"


def test_no_file_is_a_link() -> None:
    """A checkout without symbolic links has files in their place, with a path for a content."""
    assert [str(path) for path in project_files() if path.is_symlink()] == []


def test_the_cache_is_where_tests_and_the_callback_look_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    for name in ("XDG_CACHE_HOME", "COUNTER_PLATFORM_CACHE"):
        monkeypatch.delenv(name, raising=False)
    found = [str(cache())]
    callbacks = [str(default_cache())]
    assert value_of("local", "kind_cluster", "platform_cache_dir") == found[-1]
    for name in ("XDG_CACHE_HOME", "COUNTER_PLATFORM_CACHE"):
        monkeypatch.setenv(name, f"/elsewhere/{name}")
        found.append(str(cache()))
        assert value_of("local", "kind_cluster", "platform_cache_dir") == found[-1]
    assert len(set(found)) == 3
    # It has the last variable as an option of its own.
    assert [*callbacks, str(default_cache())] == found[:2]


def test_environments_differ_in_group_variables_only() -> None:
    def rest(inventory: Path) -> dict[str, str]:
        files = [path for path in inventory.rglob("*") if path.is_file() and "group_vars" not in path.parts]
        return {str(path.relative_to(inventory)): path.read_text() for path in files if path.name != "logs.aws_ec2.yml"}

    first, *others = [rest(path) for path in INVENTORIES]
    assert set(first) == {"hosts.yml"}
    assert all(other == first for other in others)


def test_own_variables_are_known_ones() -> None:
    assert ROOT / "inventories/local" in INVENTORIES, "the environment that is used without a name"
    known = common_variables() | {name for role in ROLES for name in options_of(role)}
    files = [path for inventory in INVENTORIES for path in (inventory / "group_vars").rglob("*.yml")]
    assert [(path, name) for path in files for name in load(path) or {} if name not in known] == []
