"""The module applied on an AWS API, which also keeps its state, and the inventory that finds the host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from iac.life import Life, outputs
from lib.aws import REGION, STATE_BUCKET, Aws
from lib.command import execute
from lib.terraform import Terraform


@pytest.fixture(scope="module")
def applied(life: Life) -> Iterator[Terraform]:
    """The module applied for production; when all tests here are done, its end is begun."""
    yield life.applied()
    life.destroy()


def test_second_plan_has_nothing_to_do(applied: Terraform) -> None:
    assert "No changes." in applied("plan", "-detailed-exitcode")


def test_state_is_in_the_bucket_and_nowhere_else(applied: Terraform, api: Aws) -> None:
    content = api.client("s3").get_object(Bucket=STATE_BUCKET, Key="logs.tfstate")["Body"].read()
    assert "aws_instance" in {entry["type"] for entry in json.loads(content)["resources"]}
    assert not list(applied.folder.glob("*.tfstate*"))


def test_host_is_what_was_asked_for(applied: Terraform, api: Aws) -> None:
    ec2, made = api.client("ec2"), outputs(applied)
    (reservation,) = ec2.describe_instances(InstanceIds=[made["instance_id"]])["Reservations"]
    (instance,) = reservation["Instances"]
    assert instance["PublicIpAddress"] == made["address"]
    assert instance["PrivateIpAddress"] == made["private_address"]
    assert instance["KeyName"] == "counter-logs-production"
    # A path by which Linux finds a volume, whichever device it became.
    assert made["data_device"].endswith(made["data_volume_id"].replace("vol-", "_vol"))
    volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [made["instance_id"]]}])
    assert [volume["Encrypted"] for volume in volumes["Volumes"]] == [True, True]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [made["security_group_id"]]}])
    inward = [rule for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]]
    assert [(rule["FromPort"], rule["ToPort"], rule["CidrIpv4"]) for rule in inward] == [(443, 443, "203.0.113.0/24")]


def test_inventory_of_production_finds_the_host(applied: Terraform, api: Aws) -> None:
    run = execute("ansible-inventory", "-i", "inventories/production", "--list", environment=api.environment)
    assert run.status == 0, run.output
    found = json.loads(run.output[run.output.index("{") :])
    assert found["log_hosts"]["hosts"] == ["logs"]
    # What AWS says is never taken for a template; the listing marks such texts.
    told = json.dumps(found["_meta"]["hostvars"]["logs"])
    host = json.loads(re.sub(r'\{"__ansible_unsafe": ("[^"]*")\}', r"\1", told))
    made = outputs(applied)
    assert host["ansible_host"] == made["address"]
    assert host["ansible_user"] == made["ssh_user"]
    assert host["instance_id"] == made["instance_id"]
    assert host["log_instance_data_device"] == made["data_device"]
    assert made["tags"].items() <= host["tags"].items()
    assert host["placement"]["region"] == REGION
