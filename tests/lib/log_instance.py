"""The role log_instance on an AWS API: how it is run, and what came of the first run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.aws import REGION, STATE_BUCKET, Aws
from lib.command import Run, execute
from lib.paths import ROOT
from lib.terraform import INPUTS, provider_mirror


@dataclass(frozen=True)
class Instance:
    """The role on an AWS API.

    Attributes:
        api: the API.
        inventory: a copy of production's, for an environment that is nobody's.
    """

    api: Aws
    inventory: Path

    def playbook(self, *arguments: str, path: str = "molecule/log_instance/aws.yml") -> Run:
        """Run a playbook; without another one, the role, and a play on the host that it adds or the inventory finds."""
        mirror = provider_mirror()
        values = {
            "platform_root": str(ROOT),
            "log_host_client_cidrs": INPUTS["client_cidrs"],
            "log_host_ssh_cidrs": ["203.0.113.4/32"],
            "log_instance_public_key": INPUTS["public_key"],
            "log_instance_dns_names": ["logs.example.com"],
            "log_instance_backend": {
                "bucket": STATE_BUCKET, "key": "role.tfstate", "region": REGION, "use_path_style": "true",
            },
            "log_instance_inputs": {"data_volume_gib": 2, "final_snapshot": False, "tags": {"Team": "observability"}},
            "log_instance_provider_mirrors": [str(mirror)] if mirror else [],
        }  # fmt: skip
        command = ["ansible-playbook", "-i", str(self.inventory), path]
        return execute(*command, "-e", json.dumps(values), *arguments, environment=self.api.environment)

    def running(self) -> list[dict[str, Any]]:
        """Return the instances that run."""
        filters = [{"Name": "instance-state-name", "Values": ["running"]}]
        found = self.api.client("ec2").describe_instances(Filters=filters)["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]


@dataclass(frozen=True)
class Made:
    """What was said before there was an instance, and what was done.

    Attributes:
        missed: a playbook that needs a host and finds none.
        promised: check mode.
        before: the instances that there were after these two.
        made: the run that makes one.
    """

    missed: Run
    promised: Run
    before: list[dict[str, Any]]
    made: Run
