"""An AWS API on this machine, to plan and apply against."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.network import answers, free_port
from lib.wait import wait_for

REGION = "eu-central-1"
STATE_BUCKET = "terraform-state"


@dataclass(frozen=True)
class Aws:
    """An AWS API on this machine: moto's server."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes every client of AWS go there and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:
        import boto3

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, **keys)

    def backend(self, key: str) -> list[str]:
        """Return the arguments of ``init`` for a state in this API's bucket."""
        settings = {"bucket": STATE_BUCKET, "key": key, "region": REGION, "use_path_style": "true"}
        return [f"-backend-config={name}={value}" for name, value in {**settings, "use_lockfile": "true"}.items()]


@contextmanager
def aws(log: Path, address: str = "127.0.0.1") -> Iterator[Aws]:
    """Run moto's server on a free port of an address of this machine, with a bucket for states in it."""
    port = free_port(address)
    program = Path(sys.executable).parent / "moto_server"
    # Without these there is no AmazonSSMManagedInstanceCore.
    environment = {**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    with log.open("w") as output:
        server = subprocess.Popen(
            [program, "--host", address, "--port", str(port)], env=environment, stdout=output, stderr=output
        )
        try:
            api = Aws(f"http://{address}:{port}")

            def started() -> bool:
                assert server.poll() is None, f"moto's server ended: {log.read_text()}"
                return answers(f"{api.url}/moto-api/data.json")

            wait_for(f"moto's server, whose log is {log}", started, 60)
            place = {"LocationConstraint": REGION}
            api.client("s3").create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration=place)
            yield api
        finally:
            server.terminate()
            server.wait(timeout=30)
