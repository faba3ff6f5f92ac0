"""The machine on EC2, on an AWS API that the test starts: what check mode says is what happens, and it happens once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lib.aws import REGION, STATE_BUCKET, Aws, aws
from lib.command import Run, execute
from lib.terraform import INPUTS, provider_mirror, require_provider


def playbook(api: Aws, *arguments: str) -> Run:
    """Run the playbook of production on the API."""
    mirror = provider_mirror()
    values = {
        "platform_environment": "molecule",
        "log_instance_client_cidrs": INPUTS["client_cidrs"],
        "log_instance_ssh_cidrs": ["203.0.113.4/32"],
        "log_instance_public_key": INPUTS["public_key"],
        "log_instance_dns_names": ["logs.example.com"],
        "log_instance_backend": {
            "bucket": STATE_BUCKET, "key": "role.tfstate", "region": REGION, "use_path_style": "true",
        },
        "log_instance_inputs": {"data_volume_gib": 2, "final_snapshot": False, "tags": {"Team": "observability"}},
        "log_instance_provider_mirrors": [str(mirror)] if mirror else [],
    }  # fmt: skip
    command = ["ansible-playbook", "-i", "inventories/production", "molecule/log_instance/aws.yml"]
    return execute(*command, "-e", json.dumps(values), *arguments, environment=api.environment)


def instances(api: Aws) -> list[dict[str, object]]:
    """Return the instances that run."""
    filters = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = api.client("ec2").describe_instances(Filters=filters)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


@pytest.fixture(autouse=True)
def provider() -> None:
    """Terraform and its provider, which no package mirror has."""
    require_provider()


def promise_and_make(api: Aws) -> str:
    """Run in check mode and then for real, compare the two, and return the address of the instance."""
    promised = playbook(api, "--check", "--diff")
    assert (promised.status, promised.recap("changed")) == (0, 1), promised.output
    assert "aws_instance.log_host" in promised.output
    assert "host logs is" not in promised.output
    assert not instances(api)

    made = playbook(api)
    assert (made.status, made.recap("changed")) == (0, 1), made.output
    (instance,) = instances(api)
    device = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol"
    address = str(instance["PublicIpAddress"])
    assert f"host logs is ec2-user@{address} by ssh with {device}" in made.message()
    assert f"names logs.example.com {address}; environment molecule" in made.message()
    assert {"Key": "Team", "Value": "observability"} in instance["Tags"]  # type: ignore[operator]
    return address


def test_check_mode_tells_what_is_made_and_the_plays_that_follow_get_it(tmp_path: Path) -> None:
    with aws(tmp_path / "moto.log") as api:
        promise_and_make(api)


@pytest.mark.soak
def test_second_run_changes_nothing_and_removal_removes_it_once(tmp_path: Path) -> None:
    absent = ["-e", "log_instance_state=absent"]
    with aws(tmp_path / "moto.log") as api:
        address = promise_and_make(api)
        for mode in (["--check"], []):
            again = playbook(api, *mode)
            assert (again.status, again.recap("changed")) == (0, 0), again.output
            assert f"host logs is ec2-user@{address}" in again.message()

        for mode, left in ((["--check"], 1), ([], 0)):
            removed = playbook(api, *absent, *mode)
            assert (removed.status, removed.recap("changed")) == (0, 1), removed.output
            assert len(instances(api)) == left
        gone = playbook(api, *absent)
        assert (gone.status, gone.recap("changed")) == (0, 0), gone.output
