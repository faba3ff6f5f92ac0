"""The module applied on an AWS API, which also keeps its state, and the inventory that finds the host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from iac.life import Life, outputs
from lib.aws import REGION, STATE_BUCKET, Aws
from lib.command import execute
from lib.terraform import INPUTS, Terraform, TerraformError, copy_of
from lib.types import Json

MOVED = {"vpc", "internet_gateway", "security_group", "key_pair", "flow_log", "instance", "eip"}
"""What an earlier version had as ``loki``."""


def kept_state(api: Aws) -> str:
    """Return the state as it is in the bucket."""
    content: bytes = api.client("s3").get_object(Bucket=STATE_BUCKET, Key="logs.tfstate")["Body"].read()
    return content.decode()


def changes(terraform: Terraform, *arguments: str) -> list[Json]:
    """Return what a plan would do, resource by resource, but for what it would leave as it is."""
    terraform("plan", "-out=changes.tfplan", *arguments)
    plan = json.loads(terraform("show", "-json", "changes.tfplan"))
    return [entry for entry in plan["resource_changes"] if entry["change"]["actions"] not in (["no-op"], ["read"])]


def destroyed(changed: list[Json]) -> set[str]:
    """Return the addresses of what would be destroyed, whether or not it would be made again."""
    return {entry["address"] for entry in changed if "delete" in entry["change"]["actions"]}


@pytest.fixture(scope="module")
def applied(life: Life) -> Iterator[Terraform]:
    """The module applied for production; when all tests here are done, its end is begun."""
    yield life.applied()
    life.destroy()


def test_second_plan_has_nothing_to_do(applied: Terraform) -> None:
    assert "No changes." in applied("plan", "-detailed-exitcode")


def test_state_is_in_the_bucket_and_nowhere_else(applied: Terraform, api: Aws) -> None:
    assert "aws_instance" in {entry["type"] for entry in json.loads(kept_state(api))["resources"]}
    assert not list(applied.folder.glob("*.tfstate*"))


def test_state_that_somebody_holds_is_not_touched(applied: Terraform, api: Aws) -> None:
    lock = {"Bucket": STATE_BUCKET, "Key": "logs.tfstate.tflock"}
    holder = {"ID": "0", "Operation": "OperationTypeApply", "Who": "somebody", "Created": "2026-01-01T00:00:00Z"}
    api.client("s3").put_object(**lock, Body=json.dumps(holder).encode())
    try:
        with pytest.raises(TerraformError, match=r"Error acquiring the state lock[\s\S]*somebody"):
            applied("plan")
    finally:
        api.client("s3").delete_object(**lock)


def test_instance_that_is_replaced_keeps_the_logs_and_the_address(applied: Terraform) -> None:
    changed = changes(applied, "-replace=aws_instance.log_host")
    assert destroyed(changed) == {"aws_instance.log_host", "aws_volume_attachment.data"}
    # Nothing of the volume is planned, not even a change.
    assert "aws_ebs_volume.data" not in {entry["address"] for entry in changed}


@pytest.mark.usefixtures("applied")
def test_deployment_of_an_earlier_version_is_kept_whole(ready: Terraform, api: Aws, tmp_path: Path) -> None:
    state = kept_state(api)
    for now, before in (
        ('"name": "log_host"', '"name": "loki"'),
        ('.log_host"', '.loki"'),
        ("counter-logs-production", "counter-loki-production"),
        ('"Service": "logs"', '"Service": "loki"'),
        ("Log host: HTTPS and SSH from named networks", "Loki: HTTPS from named networks"),
        ("What the log host may do", "What the Loki host may do"),
    ):
        assert now in state
        state = state.replace(now, before)
    upgraded = Terraform(copy_of(ready.folder, tmp_path / "solution"), api.environment)
    (upgraded.folder / "terraform.tfstate").write_text(state)
    upgraded.give({**INPUTS, "environment": "production"})
    # The API knows nothing of the names that this state has.
    changed = changes(upgraded, "-refresh=false")
    assert {tuple(entry["change"]["actions"]) for entry in changed} == {("update",)}
    moved = {entry["address"] for entry in changed if "previous_address" in entry}
    assert moved == {f"aws_{kind}.log_host" for kind in MOVED}


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
