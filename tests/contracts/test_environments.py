"""Environments differ in their own group variables, and in whether the Loki host is found or made beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from contracts.manifests import value_of
from contracts.project import COMMON, INVENTORIES, load
from lib.paths import ROOT, cache

SHARED = sorted(COMMON.glob("*.yml"))
ON_EC2 = "loki.aws_ec2.yml"
PLACES = [*(path / "group_vars/all" for path in INVENTORIES), ROOT / "molecule/shared/inventory/group_vars/all"]


def test_there_are_environments() -> None:
    assert [path.name for path in INVENTORIES] == ["local", "production", "staging"]


@pytest.mark.parametrize("place", PLACES, ids=lambda path: str(path.relative_to(ROOT)))
def test_common_variables_are_one_file_for_all(place: Path) -> None:
    links = {path.name: path for path in place.iterdir() if path.is_symlink()}
    assert {path.resolve() for path in links.values()} == {path.resolve() for path in SHARED}
    for path in links.values():
        assert not path.readlink().is_absolute(), f"{path} would not survive a clone"
        # Files are read in the order of their names, and an environment's own values come last.
        assert path.name.startswith("00_")


@pytest.mark.parametrize("names", [[], ["XDG_CACHE_HOME"], ["XDG_CACHE_HOME", "COUNTER_PLATFORM_CACHE"]], ids=len)
def test_the_cache_is_where_tests_look_for_it(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    for name in ("XDG_CACHE_HOME", "COUNTER_PLATFORM_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in names:
        monkeypatch.setenv(name, f"/elsewhere/{name}")
    assert value_of("local", "kind_cluster", "platform_cache_dir") == str(cache())


def test_environments_differ_in_group_variables_only() -> None:
    def rest(inventory: Path) -> dict[str, str]:
        files = [path for path in inventory.rglob("*") if path.is_file() and "group_vars" not in path.parts]
        return {str(path.relative_to(inventory)): path.read_text() for path in files if path.name != ON_EC2}

    first, *others = [rest(path) for path in INVENTORIES]
    assert set(first) == {"hosts.yml"}
    assert all(other == first for other in others)


def test_hosts_on_ec2_are_found_where_they_are_made() -> None:
    """An inventory's plugin cannot read the group variables, so what is in both has to be the same."""
    found = [path for path in INVENTORIES if (path / ON_EC2).exists()]
    assert [path.name for path in found] == ["production"]
    for inventory in found:
        variables = load(inventory / "group_vars/all" / f"{inventory.name}.yml")
        plugin = load(inventory / ON_EC2)
        assert variables["loki_instance_kind"] == "aws"
        assert plugin["regions"] == [variables["loki_instance_region"]]
        assert plugin["filters"]["tag:Environment"] == inventory.name


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.name)
def test_own_variables_are_known_ones(inventory: Path) -> None:
    known = {name for path in SHARED for name in load(path)}
    for spec in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        known |= set(load(spec)["argument_specs"]["main"].get("options", {}))
    own = [path for path in (inventory / "group_vars").rglob("*.yml") if not path.is_symlink()]
    unknown = {name for path in own for name in load(path)} - known
    assert not unknown, "nothing reads these"
