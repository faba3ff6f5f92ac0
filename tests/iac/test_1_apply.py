"""The module applied by the role on an AWS API, which also keeps its state, and the inventory that finds the host."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from iac.life import SSH, STATE, Life
from lib.aws import REGION, STATE_BUCKET, Aws
from lib.command import execute
from lib.paths import CACHE
from lib.terraform import MODULE, Terraform, copy_of
from lib.types import Json


def kept_state(api: Aws) -> str:
    """Return the state as it is in the bucket."""
    content: bytes = api.client("s3").get_object(Bucket=STATE_BUCKET, Key=STATE)["Body"].read()
    return content.decode()


def changes(terraform: Terraform, *arguments: str) -> dict[str, Json]:
    """Return what a plan would do, by the address of the resource."""
    lines = map(json.loads, terraform("plan", "-json", *arguments).splitlines())
    planned = [line["change"] for line in lines if line["type"] == "planned_change"]
    return {change["resource"]["addr"]: change for change in planned if change["action"] != "read"}


@pytest.fixture(scope="module")
def applied(life: Life) -> Iterator[Terraform]:
    """Terraform where the role has applied the module; when all tests here are done, its end is begun."""
    yield life.applied()
    life.destroy()


def test_role_makes_it_and_the_plays_that_follow_get_it(life: Life) -> None:
    run = life.made().ok(changed=1)
    (running,) = life.running()
    device = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol"
    address = running["PublicIpAddress"]
    named = f"names logs.example.com {address}; environment {life.inventory.name}; SSH from {SSH}"
    run.ok(f"host logs is ec2-user@{address} by ssh with {device}", named)
    assert {"Key": "Team", "Value": "observability"} in running["Tags"]


def test_second_plan_has_nothing_to_do(applied: Terraform) -> None:
    assert "No changes." in applied("plan", "-detailed-exitcode")


def test_state_is_in_the_bucket_and_nowhere_else_and_locked(applied: Terraform, life: Life, api: Aws) -> None:
    assert "aws_instance" in {entry["type"] for entry in json.loads(kept_state(api))["resources"]}
    assert not [*MODULE.glob("*.tfstate*"), *applied.folder.glob("*.tfstate*")]
    settings = json.loads((CACHE / "terraform" / life.inventory.name / "terraform.tfstate").read_text())
    assert settings["backend"]["config"]["use_lockfile"] is True


def test_instance_that_is_replaced_keeps_the_logs_and_the_address(applied: Terraform) -> None:
    changed = changes(applied, "-replace=aws_instance.log_host")
    replaced = {address for address, change in changed.items() if change["action"] in ("replace", "delete")}
    assert replaced == {"aws_instance.log_host", "aws_volume_attachment.data"}
    # Nothing of the volume is planned, not even a change.
    assert "aws_ebs_volume.data" not in changed


@pytest.mark.usefixtures("applied")
def test_deployment_of_an_earlier_version_is_kept_whole(life: Life, ready: Terraform, api: Aws, tmp_path: Path) -> None:
    state = kept_state(api)
    for now, before in (
        ('"name": "log_host"', '"name": "loki"'),
        ('.log_host"', '.loki"'),
        (f"counter-logs-{life.inventory.name}", f"counter-loki-{life.inventory.name}"),
        ('"Service": "logs"', '"Service": "loki"'),
        ("Log host: HTTPS and SSH from named networks", "Loki: HTTPS from named networks"),
        ("What the log host may do", "What the Loki host may do"),
    ):
        assert now in state
        state = state.replace(now, before)
    upgraded = Terraform(copy_of(ready.folder, tmp_path / "solution"), api.environment)
    (upgraded.folder / "terraform.tfstate").write_text(state)
    upgraded.give(life.inputs)
    # The API knows nothing of the names that this state has.
    changed = changes(upgraded, "-refresh=false")
    assert {change["action"] for change in changed.values()} == {"update"}
    moved = {address for address, change in changed.items() if "previous_resource" in change}
    kinds = ("vpc", "internet_gateway", "security_group", "key_pair", "flow_log", "instance", "eip")
    assert moved == {f"aws_{kind}.log_host" for kind in kinds}


@pytest.mark.usefixtures("applied")
def test_host_is_what_was_asked_for(life: Life, api: Aws) -> None:
    """Everything is compared: a rule or a volume that somebody adds fails the test, whatever its name."""
    ec2, made = api.client("ec2"), life.outputs()
    (instance,) = life.running()
    name = f"counter-logs-{life.inventory.name}"
    assert instance["InstanceId"] == made["instance_id"]
    assert instance["PublicIpAddress"] == made["address"]
    assert instance["PrivateIpAddress"] == made["private_address"]
    assert instance["KeyName"] == name
    assert instance["IamInstanceProfile"]["Arn"].endswith(f":instance-profile/{name}")
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    # A path by which Linux finds a volume, whichever device it became.
    assert made["data_device"].endswith(made["data_volume_id"].replace("vol-", "_vol"))
    volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [made["instance_id"]]}])
    assert [volume["Encrypted"] for volume in volumes["Volumes"]] == [True, True]

    (network,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [name]}])["Vpcs"]
    (flow,) = ec2.describe_flow_logs()["FlowLogs"]
    assert instance["VpcId"] == flow["ResourceId"] == network["VpcId"]
    assert flow["TrafficType"] == "ALL"
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [made["security_group_id"]]
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [network["VpcId"]]}])["SecurityGroups"]
    named = [{"Name": "group-id", "Values": [group["GroupId"] for group in groups]}]
    rules = ec2.describe_security_group_rules(Filters=named)["SecurityGroupRules"]
    fields = ("IsEgress", "IpProtocol", "FromPort", "ToPort", "CidrIpv4")
    # The same networks that the firewall on the host admits.
    assert {tuple(rule.get(field) for field in fields) for rule in rules} == {
        (False, "tcp", 443, 443, "203.0.113.0/24"), (False, "tcp", 22, 22, SSH), (True, "tcp", 443, 443, "0.0.0.0/0"),
    }  # fmt: skip

    (address,) = ec2.describe_addresses()["Addresses"]
    tagged = {(tag["Key"], tag["Value"], tag["ResourceId"]) for tag in ec2.describe_tags()["Tags"]}
    things = [made[f"{kind}_id"] for kind in ("instance", "data_volume", "security_group")]
    for thing in (*things, network["VpcId"], address["AllocationId"]):
        assert {(*tag, thing) for tag in made["tags"].items()} <= tagged, thing


@pytest.mark.usefixtures("applied")
def test_inventory_of_production_finds_the_host(life: Life, api: Aws) -> None:
    run = execute("ansible-inventory", "-i", str(life.inventory), "--list", environment=api.environment).ok()
    found = json.loads(run.output[run.output.index("{") :])
    assert found["log_hosts"]["hosts"] == ["logs"]
    # What AWS says is never taken for a template; the listing marks such texts.
    told = json.dumps(found["_meta"]["hostvars"]["logs"])
    host = json.loads(re.sub(r'\{"__ansible_unsafe": ("[^"]*")\}', r"\1", told))
    made = life.outputs()
    assert host["ansible_host"] == made["address"]
    assert host["ansible_user"] == made["ssh_user"]
    assert host["instance_id"] == made["instance_id"]
    assert host["log_host_data_device"] == made["data_device"]
    assert made["tags"].items() <= host["tags"].items()
    assert host["placement"]["region"] == REGION


@pytest.mark.soak
@pytest.mark.usefixtures("applied")
def test_second_run_of_the_role_changes_nothing_and_check_mode_never_does(life: Life) -> None:
    (running,) = life.running()
    for mode in (["--check"], []):
        life.playbook(*mode).ok(f"host logs is ec2-user@{running['PublicIpAddress']}", changed=0)
    wider = json.dumps({"log_host_client_cidrs": ["198.51.100.0/24"]})
    rule = 'aws_vpc_security_group_ingress_rule.https["198.51.100.0/24"]'
    life.playbook("--check", "--diff", "-e", wider).ok(rule, changed=1)
    life.absent("--check").ok(changed=1)
    assert life.running() == [running]
    assert "No changes." in life.applied()("plan", "-detailed-exitcode")


@pytest.mark.soak
@pytest.mark.usefixtures("applied")
def test_playbook_that_makes_the_log_host_removes_it_once(life: Life) -> None:
    life.outputs()
    # The inventory has found the host: the plays on it have nothing to do, and do not fail.
    for changed in (1, 0):
        life.absent().ok(changed=changed)
        assert life.running() == []
    needs_it = life.playbook(path="molecule/log_instance/host.yml")
    needs_it.failed("No host of the group log_hosts is in the inventory.", changed=0)
