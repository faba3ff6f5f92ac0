"""The machine on EC2, on an AWS API that the test starts: what check mode says is what happens, and it happens once."""

from __future__ import annotations

import json
from concurrent.futures import Future

import pytest
from lib.log_instance import Instance, Made
from lib.paths import CACHE


def test_check_mode_says_what_is_made_and_the_plays_that_follow_get_it(
    instance: Instance, making: Future[Made]
) -> None:
    run = making.result()
    assert (run.promised.status, run.promised.recap("changed")) == (0, 1), run.promised.output
    assert "aws_instance.log_host" in run.promised.output
    assert "host logs is" not in run.promised.output
    assert run.before == []

    assert (run.made.status, run.made.recap("changed")) == (0, 1), run.made.output
    (running,) = instance.running()
    device = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol"
    address = running["PublicIpAddress"]
    assert f"host logs is ec2-user@{address} by ssh with {device}" in run.made.message()
    assert f"names logs.example.com {address}; environment molecule-aws; SSH from 203.0.113.4/32" in run.made.message()
    assert {"Key": "Team", "Value": "observability"} in running["Tags"]


def test_without_an_instance_a_playbook_that_needs_it_says_so(making: Future[Made]) -> None:
    run = making.result().missed
    assert run.status != 0
    assert "No host of the group log_hosts is in the inventory." in run.message()
    assert run.recap("changed") == 0


def test_networks_are_those_that_the_firewall_on_the_host_admits(instance: Instance, making: Future[Made]) -> None:
    making.result()
    rules = instance.api.client("ec2").describe_security_group_rules()["SecurityGroupRules"]
    inward = {(rule["FromPort"], rule.get("CidrIpv4")) for rule in rules if not rule["IsEgress"]}
    assert inward == {(443, "203.0.113.0/24"), (22, "203.0.113.4/32")}


def test_state_is_locked_without_being_asked_to(instance: Instance, making: Future[Made]) -> None:
    making.result()
    settings = json.loads((CACHE / "terraform" / instance.inventory.name / "terraform.tfstate").read_text())
    assert settings["backend"]["config"]["use_lockfile"] is True


@pytest.mark.soak
def test_second_run_changes_nothing_and_removal_removes_it_once(instance: Instance, making: Future[Made]) -> None:
    assert making.result().made.status == 0
    (running,) = instance.running()
    for mode in (["--check"], []):
        again = instance.playbook(*mode)
        assert (again.status, again.recap("changed")) == (0, 0), again.output
        assert f"host logs is ec2-user@{running['PublicIpAddress']}" in again.message()

    # The inventory has found the host: the play on it has nothing to do, and does not fail.
    absent = ["-e", "log_instance_state=absent"]
    for mode, left in ((["--check"], 1), ([], 0)):
        removed = instance.playbook(*absent, *mode, path="playbooks/logs.yml")
        assert (removed.status, removed.recap("changed")) == (0, 1), removed.output
        assert len(instance.running()) == left
    gone = instance.playbook(*absent, path="playbooks/logs.yml")
    assert (gone.status, gone.recap("changed")) == (0, 0), gone.output
