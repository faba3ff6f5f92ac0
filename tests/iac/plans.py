"""What a plan of iac/solution must not have in it, told from the JSON that ``terraform show -json`` prints.

checkov knows many faults and misses some that matter here, such as a rule of its own that opens every port to the world
and a root volume that nobody encrypts. The form of the JSON is described at
https://developer.hashicorp.com/terraform/internals/json-format.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

OUTPUTS = {"address", "private_address", "instance_id", "ssh_user", "data_device", "tags"}
"""What the role log_instance reads."""
NARROWEST_WORLD = 8
"""A network with a shorter prefix is called the world: 0.0.0.0/0 can also be written as two halves."""


@dataclass(frozen=True)
class Rule:
    """One rule of a security group, in whichever of Terraform's ways it is written."""

    where: str
    inward: bool
    protocol: str
    networks: tuple[str, ...]

    @property
    def open_to_the_world(self) -> bool:
        """Whether one of the networks is, or is a large part of, all addresses that there are."""
        return any(ipaddress.ip_network(cidr, strict=False).prefixlen < NARROWEST_WORLD for cidr in self.networks)


def modules(root: Json, children: str) -> Iterator[Json]:
    """Yield a module and all modules below it."""
    yield root
    for child in root.get(children, []):
        yield from modules(child, children)


def planned(plan: Json, kind: str) -> list[Json]:
    """Return the planned resources of a type."""
    everywhere = modules(plan["planned_values"]["root_module"], "child_modules")
    return [entry for module in everywhere for entry in module.get("resources", []) if entry["type"] == kind]


def configured(plan: Json, kind: str) -> list[Json]:
    """Return the resources of a type as they are written, with references instead of values."""
    root = plan["configuration"]["root_module"]
    found = [entry for entry in root.get("resources", []) if entry["type"] == kind]
    for call in root.get("module_calls", {}).values():
        found += [entry for entry in call["module"].get("resources", []) if entry["type"] == kind]
    return found


def references(resource: Json, argument: str) -> list[str]:
    """Return what an argument of a resource refers to; nothing where it is a constant or missing."""
    found: list[str] = resource["expressions"].get(argument, {}).get("references", [])
    return found


def rules(plan: Json) -> Iterator[Rule]:
    """Yield every rule of every security group: written inline, as a rule of the older kind, or of the newer one."""
    for kind in ("aws_security_group", "aws_default_security_group"):
        for group in planned(plan, kind):
            for direction in ("ingress", "egress"):
                for rule in group["values"].get(direction) or []:
                    networks = [*(rule.get("cidr_blocks") or []), *(rule.get("ipv6_cidr_blocks") or [])]
                    yield Rule(group["address"], direction == "ingress", str(rule["protocol"]), tuple(networks))
    for entry in planned(plan, "aws_security_group_rule"):
        values = entry["values"]
        networks = [*(values.get("cidr_blocks") or []), *(values.get("ipv6_cidr_blocks") or [])]
        yield Rule(entry["address"], values["type"] == "ingress", str(values["protocol"]), tuple(networks))
    for direction in ("ingress", "egress"):
        for entry in planned(plan, f"aws_vpc_security_group_{direction}_rule"):
            values = entry["values"]
            networks = [values[key] for key in ("cidr_ipv4", "cidr_ipv6") if values.get(key)]
            yield Rule(entry["address"], direction == "ingress", str(values["ip_protocol"]), tuple(networks))


def _of_rules(plan: Json) -> Iterator[str]:
    for rule in rules(plan):
        if rule.protocol in {"-1", "all"}:
            yield f"{rule.where}: every protocol"
        if rule.inward and rule.open_to_the_world:
            yield f"{rule.where}: open to the world"


def _of_instances(plan: Json) -> Iterator[str]:
    for entry in planned(plan, "aws_instance"):
        where, values = entry["address"], entry["values"]
        if not any(device.get("encrypted") for device in values.get("root_block_device") or []):
            yield f"{where}: root volume not encrypted"
        if not all(device.get("encrypted") for device in values.get("ebs_block_device") or []):
            yield f"{where}: volume not encrypted"
        metadata = values.get("metadata_options") or [{}]
        if metadata[0].get("http_tokens") != "required":
            yield f"{where}: metadata without a token"
    for entry in configured(plan, "aws_instance"):
        where, written = entry["address"], entry["expressions"]
        if not references(entry, "key_name"):
            yield f"{where}: no key pair of its own"
        if not references(entry, "iam_instance_profile"):
            yield f"{where}: no instance profile"
        if "constant_value" in written.get("ami", {}) or not references(entry, "ami"):
            yield f"{where}: image written down"
        if not any(name.startswith("aws_subnet.") for name in references(entry, "subnet_id")):
            yield f"{where}: no network of its own"
    for entry in planned(plan, "aws_ebs_volume"):
        if not entry["values"].get("encrypted"):
            yield f"{entry['address']}: volume not encrypted"


def _of_networks(plan: Json) -> Iterator[str]:
    for kind in ("aws_subnet", "aws_security_group"):
        for entry in configured(plan, kind):
            if not any(name.startswith("aws_vpc.") for name in references(entry, "vpc_id")):
                yield f"{entry['address']}: no network of its own"
    logged = {name for entry in configured(plan, "aws_flow_log") for name in references(entry, "vpc_id")}
    for entry in configured(plan, "aws_vpc"):
        if entry["address"] not in logged:
            yield f"{entry['address']}: no flow log"


def _of_providers(plan: Json) -> Iterator[str]:
    for name, provider in plan["configuration"]["provider_config"].items():
        if not re.fullmatch(r"(=\s*|~>\s*\d+\.)?\d+\.\d+(\.\d+)?", provider.get("version_constraint", "")):
            yield f"provider {name}: not pinned"
        if {"access_key", "secret_key", "token"} & set(provider.get("expressions", {})):
            yield f"provider {name}: keys written down"


def findings(plan: Json) -> set[str]:
    """Return what is wrong with a plan, each with the address of the resource."""
    missing = OUTPUTS - set(plan["configuration"]["root_module"].get("outputs", {}))
    return {
        *_of_rules(plan),
        *_of_instances(plan),
        *_of_networks(plan),
        *_of_providers(plan),
        *(f"output {name}: missing" for name in missing),
    }
