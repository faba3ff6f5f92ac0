"""What the plan of the module has in it, and that each fault is seen in the plan when it is put back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from iac.plans import findings, planned, rules
from iac.test_0_module import put
from lib.aws import Aws
from lib.terraform import INPUTS, Terraform, TerraformError, copy_of
from lib.types import Json

WITH_SSH = {**INPUTS, "ssh_cidrs": ["203.0.113.4/32"]}


@pytest.fixture(scope="module")
def sound(ready: Terraform, api: Aws, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The plan of the module as it is."""
    folder = copy_of(ready.folder, tmp_path_factory.mktemp("sound") / "solution")
    return Terraform(folder, api.environment).plan(WITH_SSH)


def test_nothing_is_found_in_the_sound_plan(sound: Json) -> None:
    assert findings(sound) == set()


def test_only_named_networks_are_let_in(sound: Json) -> None:
    inward = sorted((rule.protocol, *rule.networks) for rule in rules(sound) if rule.inward)
    assert inward == [("tcp", "203.0.113.0/24"), ("tcp", "203.0.113.4/32")]


def test_everything_is_tagged_as_the_inventory_finds_it(sound: Json) -> None:
    tags = {"Project": "counter-platform", "Environment": "test", "Service": "logs"}
    for kind in ("aws_instance", "aws_ebs_volume", "aws_vpc", "aws_security_group", "aws_eip"):
        (entry,) = planned(sound, kind)
        assert tags.items() <= entry["values"]["tags_all"].items(), kind


def test_inputs_of_another_type_are_refused(inputs: Terraform) -> None:
    wrong = {"data_volume_gib": "much", "client_cidrs": "203.0.113.0/24", "final_snapshot": "perhaps"}
    with pytest.raises(TerraformError) as refused:
        inputs.plan({**INPUTS, **wrong})
    said = " ".join(str(refused.value).split())
    kinds = {"data_volume_gib": "a number", "client_cidrs": "set of string", "final_snapshot": "a bool"}
    for name, kind in kinds.items():
        assert re.search(rf"not suitable for var\.{name} declared at \S+ {kind} (is )?required", said), said


RULE = 'resource "aws_vpc_security_group_ingress_rule" "https" {'
OLDER_RULE = """
resource "aws_security_group_rule" "all" {{
  security_group_id = aws_security_group.log_host.id
  type              = "ingress"
  protocol          = "-1"
  from_port         = 0
  to_port           = 0
  cidr_blocks       = ["{}"]
}}
"""
# Each has its group, whose faults are planned together: a plan takes seconds, and these don't touch each other.
FAULTS: dict[str, tuple[int, str, str, str, str]] = {
    "port open to the world": (
        1, "access.tf", "  to_port           = 443\n  cidr_ipv4         = each.value",
        '  to_port           = 443\n  cidr_ipv4         = "0.0.0.0/0"',
        'aws_vpc_security_group_ingress_rule.https["203.0.113.0/24"]: open to the world',
    ),
    "port open to the world by IPv6": (
        2, "access.tf", "  to_port           = 443\n  cidr_ipv4         = each.value",
        '  to_port           = 443\n  cidr_ipv6         = "::/0"',
        'aws_vpc_security_group_ingress_rule.https["203.0.113.0/24"]: open to the world',
    ),
    "port open to half of the world": (
        2, "access.tf", "  to_port           = 22\n  cidr_ipv4         = each.value",
        '  to_port           = 22\n  cidr_ipv4         = "0.0.0.0/1"',
        'aws_vpc_security_group_ingress_rule.ssh["203.0.113.4/32"]: open to the world',
    ),
    "every port open to the world by a rule of the older kind": (
        1, "access.tf", RULE,
        OLDER_RULE.format("0.0.0.0/0") + RULE,
        "aws_security_group_rule.all: open to the world",
    ),
    "every protocol by a rule of the older kind": (
        2, "access.tf", RULE,
        OLDER_RULE.format("10.0.0.0/8") + RULE,
        "aws_security_group_rule.all: every protocol",
    ),
    "port open to the world inside of the group": (
        1, "access.tf", "vpc_id      = aws_vpc.log_host.id",
        'vpc_id      = aws_vpc.log_host.id\n\n  ingress {\n    protocol = "tcp"\n    from_port = 443\n'
        '    to_port = 443\n    ipv6_cidr_blocks = ["::/0"]\n  }',
        "aws_security_group.log_host: open to the world",
    ),
    "every protocol inside of the group": (
        2, "access.tf", "vpc_id      = aws_vpc.log_host.id",
        'vpc_id      = aws_vpc.log_host.id\n\n  egress {\n    protocol = "-1"\n    from_port = 0\n    to_port = 0\n'
        '    cidr_blocks = ["0.0.0.0/0"]\n  }',
        "aws_security_group.log_host: every protocol",
    ),
    "every protocol on the way out": (
        1, "access.tf", '"Packages and AWS by HTTPS"\n  ip_protocol       = "tcp"\n'
        "  from_port         = 443\n  to_port           = 443\n",
        '"Packages and AWS by HTTPS"\n  ip_protocol       = "-1"\n',
        "aws_vpc_security_group_egress_rule.https: every protocol",
    ),
    "group of another network": (
        3, "access.tf", "vpc_id      = aws_vpc.log_host.id", 'vpc_id      = "vpc-0123456789abcdef0"',
        "aws_security_group.log_host: no network of its own",
    ),
    "root volume as the image has it": (
        1, "host.tf", "    volume_size = var.root_volume_gib\n    encrypted   = true\n",
        "    volume_size = var.root_volume_gib\n", "aws_instance.log_host: root volume not encrypted",
    ),
    "root volume not encrypted": (
        2, "host.tf", "    volume_size = var.root_volume_gib\n    encrypted   = true\n",
        "    volume_size = var.root_volume_gib\n    encrypted   = false\n",
        "aws_instance.log_host: root volume not encrypted",
    ),
    "data volume not encrypted": (
        1, "host.tf", "size              = var.data_volume_gib\n  encrypted         = true",
        "size              = var.data_volume_gib\n  encrypted         = false",
        "aws_ebs_volume.data: volume not encrypted",
    ),
    "data volume of the instance not encrypted": (
        2, "host.tf", '  root_block_device {\n',
        '  ebs_block_device {\n    device_name = "/dev/sdg"\n    volume_size = 1\n  }\n\n  root_block_device {\n',
        "aws_instance.log_host: volume not encrypted",
    ),
    "metadata without a token": (
        1, "host.tf", 'http_tokens                 = "required"', 'http_tokens                 = "optional"',
        "aws_instance.log_host: metadata without a token",
    ),
    "metadata as the account has it": (
        2, "host.tf", '    http_tokens                 = "required"\n', "",
        "aws_instance.log_host: metadata without a token",
    ),
    "no key pair": (
        1, "host.tf", "  key_name               = aws_key_pair.log_host.key_name\n", "",
        "aws_instance.log_host: no key pair of its own",
    ),
    "key pair of somebody else": (
        2, "host.tf", "= aws_key_pair.log_host.key_name", '= "admin"', "aws_instance.log_host: no key pair of its own",
    ),
    "no instance profile": (
        1, "host.tf", "  iam_instance_profile   = aws_iam_instance_profile.host.name\n", "",
        "aws_instance.log_host: no instance profile",
    ),
    "image written down": (
        1, "host.tf", "var.ami_id == null ? data.aws_ssm_parameter.ami[0].insecure_value : var.ami_id",
        '"ami-0123456789abcdef0"', "aws_instance.log_host: image written down",
    ),
    "network of the account": (
        1, "host.tf", "  subnet_id              = aws_subnet.public.id\n", "",
        "aws_instance.log_host: no network of its own",
    ),
    "network written down": (
        2, "host.tf", "= aws_subnet.public.id", '= "subnet-0123456789abcdef0"',
        "aws_instance.log_host: no network of its own",
    ),
    "no flow log": (
        1, "flow_logs.tf", "vpc_id                   = aws_vpc.log_host.id",
        "subnet_id                = aws_subnet.public.id", "aws_vpc.log_host: no flow log",
    ),
    "provider of any version": (
        1, "versions.tf", 'version = "5.100.0"', 'version = ">= 5.0"', "provider aws: not pinned",
    ),
    "provider without a version": (
        2, "versions.tf", '      version = "5.100.0"\n', "", "provider aws: not pinned",
    ),
    "provider of any version of a series": (
        3, "versions.tf", 'version = "5.100.0"', 'version = "~> 5.0"', "provider aws: not pinned",
    ),
    "keys of AWS written down": (
        3, "versions.tf", "  region = var.region\n",
        '  region = var.region\n  access_key = "test"\n  secret_key = "test"\n', "provider aws: keys written down",
    ),
    "output missing": (
        1, "outputs.tf", 'output "address"', 'output "public_ip"', "output address: missing",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def found(ready: Terraform, api: Aws, tmp_path_factory: pytest.TempPathFactory) -> dict[int, set[str]]:
    """What is found in the plan of each group of faults."""
    groups: dict[int, set[str]] = {}
    for group in {fault[0] for fault in FAULTS.values()}:
        folder: Path = copy_of(ready.folder, tmp_path_factory.mktemp("faulty") / "solution")
        for number, file, before, after, _ in FAULTS.values():
            if number == group:
                put(folder, file, before, after)
        groups[group] = findings(Terraform(folder, api.environment).plan(WITH_SSH))
    return groups


@pytest.mark.soak
def test_each_fault_is_found_and_nothing_else(found: dict[int, set[str]]) -> None:
    for group, findings_of_group in found.items():
        expected = {fault[4] for fault in FAULTS.values() if fault[0] == group}
        # A rule with both faults is found by both.
        expected |= {entry.replace("open to the world", "every protocol") for entry in expected if "_rule.all" in entry}
        assert findings_of_group == expected
