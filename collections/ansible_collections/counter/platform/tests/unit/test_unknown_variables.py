"""Variables that look like a role's and that no role knows."""

from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.counter.platform.plugins.filter.unknown_variables import unknown_variables

SPEC = """
argument_specs:
  main:
    short_description: A role
    description:
      - Sets C({role}_made) and C({role}_found).
    options:
      {role}_size: {{type: int}}
      {role}_secret_key: {{type: str}}
      shared_port: {{type: int}}
  backup:
    options:
      {role}_file: {{type: path}}
"""


@pytest.fixture
def roles(tmp_path: Path) -> str:
    """A folder of two roles, one of whose names begins with the other's."""
    for role in ("web", "web_cache"):
        spec = tmp_path / role / "meta/argument_specs.yml"
        spec.parent.mkdir(parents=True)
        spec.write_text(SPEC.format(role=role))
    return str(tmp_path)


def test_options_facts_and_names_of_others_are_known(roles: str) -> None:
    known = ["web_size", "web_made", "web_found", "web_file", "web_cache_size", "shared_port"]
    others = ["website", "shared_prt", "_web_internal", "size", "inventory_hostname"]
    assert unknown_variables([*known, *others], roles) == []


def test_unknown_names(roles: str) -> None:
    rows = [
        ("web_administrators_password", "web", "", True),
        ("web_cache_sise", "web_cache", "web_cache_size", False),
        ("web_colour_of_everything", "web", "", False),
        ("web_fund", "web", "web_found", False),
        ("web_secrt_kye", "web", "web_secret_key", True),
        ("web_shared_port", "web", "shared_port", False),
        ("web_sise", "web", "web_size", False),
    ]
    expected = [{"name": name, "role": role, "nearest": near, "secret": secret} for name, role, near, secret in rows]
    assert unknown_variables([*(row[0] for row in reversed(rows)), "web_size"], roles) == expected


def test_folder_without_a_role(tmp_path: Path) -> None:
    with pytest.raises(AnsibleFilterError, match=f"{tmp_path} has no role with an argument spec"):
        unknown_variables([], str(tmp_path))
