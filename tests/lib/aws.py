"""An AWS API on this machine, to plan and apply against."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
def aws(address: str = "127.0.0.1") -> Iterator[Aws]:
    """Run moto's server on a free port of an address of this machine, with a bucket for states in it."""
    from moto.server import ThreadedMotoServer

    # Without these there is no AmazonSSMManagedInstanceCore.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    server = ThreadedMotoServer(address, 0, verbose=False)
    server.start()
    try:
        api = Aws(f"http://{address}:{server.get_host_and_port()[1]}")
        place = {"LocationConstraint": REGION}
        api.client("s3").create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration=place)
        yield api
    finally:
        server.stop()
