"""The module's life: the role log_instance applies it, and it is destroyed, while other tests run.

Each takes most of a minute, and hardly computes.
"""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lib.aws import REGION, STATE_BUCKET, Aws
from lib.command import Run, execute
from lib.paths import ROOT
from lib.terraform import INPUTS, MODULE, Terraform, copy_of, provider_mirror
from lib.types import Json

STATE = "logs.tfstate"
SSH = "203.0.113.4/32"
NAMED: Json = {"data_volume_gib": 2, "tags": {"Team": "observability"}}


class Life:
    """The role on an AWS API, and Terraform with the same inputs and the same state.

    Args:
        api: the API.
        inventory: a copy of production's, for an environment that is nobody's.
        folder: where Terraform's copy of the module goes.
    """

    def __init__(self, api: Aws, inventory: Path, folder: Path) -> None:
        self.api = api
        self.inventory = inventory
        self.inputs = {**INPUTS, "environment": inventory.name, "ssh_cidrs": [SSH], **NAMED}
        self._pool = ThreadPoolExecutor(1)
        self._made = self._pool.submit(self.playbook)
        self._destroyed: Future[str] | None = None
        self._outputs: Json = {}
        self._terraform = Terraform(copy_of(MODULE, folder), api.environment)
        self._terraform.init(*api.backend(STATE))
        self._terraform.give(self.inputs)

    def playbook(self, *arguments: str, path: str = "molecule/log_instance/aws.yml") -> Run:
        """Run a playbook; without another one, the role, and a play on the host that it adds or the inventory finds."""
        mirror = provider_mirror()
        values = {
            "platform_root": str(ROOT),
            "log_host_client_cidrs": self.inputs["client_cidrs"],
            "log_host_ssh_cidrs": self.inputs["ssh_cidrs"],
            "log_instance_public_key": self.inputs["public_key"],
            "log_instance_dns_names": ["logs.example.com"],
            "log_instance_backend": {
                "bucket": STATE_BUCKET, "key": STATE, "region": REGION, "use_path_style": "true",
            },
            "log_instance_inputs": NAMED,
            "log_instance_provider_mirrors": [str(mirror)] if mirror else [],
        }  # fmt: skip
        command = ["ansible-playbook", "-i", str(self.inventory), path]
        return execute(*command, "-e", json.dumps(values), *arguments, environment=self.api.environment)

    def running(self) -> list[dict[str, Any]]:
        """Return the instances that run."""
        filters = [{"Name": "instance-state-name", "Values": ["running"]}]
        found = self.api.client("ec2").describe_instances(Filters=filters)["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]

    def made(self) -> Run:
        """Wait for the apply."""
        return self._made.result()

    def applied(self) -> Terraform:
        """Return Terraform once the role has applied the module."""
        self.made().ok()
        return self._terraform

    def outputs(self) -> Json:
        """Return the outputs of what was applied, by name."""
        if not self._outputs:
            told = json.loads(self.applied()("output", "-json"))
            self._outputs = {name: about["value"] for name, about in told.items()}
        return self._outputs

    def absent(self, *arguments: str) -> Run:
        """Run the playbook that makes the log host, to remove the instance."""
        return self.playbook("-e", "log_instance_state=absent", *arguments, path="playbooks/logs.yml")

    def destroy(self) -> None:
        """Begin the destroy, unless it was begun."""
        if self._destroyed is None:
            self.outputs()
            self._destroyed = self._pool.submit(self._terraform, "destroy", "-auto-approve", timeout=600)

    def destroyed(self) -> Json:
        """Wait for the destroy; return the outputs of what there was."""
        self.destroy()
        assert self._destroyed
        self._destroyed.result()
        return self._outputs

    def end(self) -> None:
        """Wait for whatever was begun."""
        self._pool.shutdown()
