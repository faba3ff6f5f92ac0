"""The variables that every environment has: an environment's own come first, and impossible ones do no harm."""

import json

import pytest
from lib.command import execute
from lib.paths import ROOT


@pytest.mark.parametrize(("environment", "port"), [("local", 8080), ("staging", 8081)])
def test_an_environments_own_values_come_first(environment: str, port: int) -> None:
    run = execute("ansible-playbook", "-i", f"inventories/{environment}", "molecule/platform/values.yml", "--check")
    assert run.status == 0, run.output
    assert f"port {port}, node port 30080, state in {ROOT}/.state/{environment}" in run.message()


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_teardown_of_an_impossible_environment_is_refused(name: str) -> None:
    # Check mode, so that nothing would be removed here if it were not refused.
    values = json.dumps({"platform_environment": name})
    run = execute("ansible-playbook", "-i", "inventories/local", "playbooks/teardown.yml", "--check", "-e", values)
    assert run.status != 0, run.output
    assert f"platform_environment is '{name}'" in run.message()
    assert run.recap("changed") == 0
