"""The variables that every environment has: an environment's own come first, and impossible ones do no harm."""

import json

from lib.command import execute
from lib.paths import ROOT


def test_an_environments_own_values_come_first() -> None:
    run = execute("ansible-playbook", "-i", "inventories/staging", "molecule/platform/values.yml", "--check")
    run.ok(f"port 8081, node port 30080, state in {ROOT}/.state/staging")


def test_teardown_of_an_impossible_environment_is_refused() -> None:
    # Check mode, so that nothing would be removed here if it were not refused.
    values = json.dumps({"platform_environment": ".."})
    run = execute("ansible-playbook", "-i", "inventories/local", "playbooks/teardown.yml", "--check", "-e", values)
    run.failed('platform_environment is ".."', changed=0)
