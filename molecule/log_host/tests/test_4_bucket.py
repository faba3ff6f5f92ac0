"""Chunks and index of Loki in a bucket, instead of on the host."""

from __future__ import annotations

from pathlib import Path

from lib.aws import REGION, aws
from lib.docker import docker
from lib.logs import LogHost, label, needs_loki, selector

pytestmark = needs_loki

SECRET = "the-secret-of-the-buckets-key"  # noqa: S105 # what is looked for in the output


def test_lines_come_back_from_the_bucket_alone(other: LogHost, tmp_path: Path) -> None:
    other.store = "loki"
    gateway = docker("inspect", "--format", "{{.NetworkSettings.Gateway}}", other.name)
    with aws(tmp_path / "moto.log", gateway) as api:
        place = {"LocationConstraint": REGION}
        bucket = api.client("s3")
        bucket.create_bucket(Bucket="chunks", CreateBucketConfiguration=place)
        storage = {
            "storage": "s3", "s3_bucket": "chunks", "s3_region": REGION, "s3_endpoint": api.url,
            "s3_access_key": "key", "s3_secret_key": SECRET,
        }  # fmt: skip
        run = other.role("-vvv", *(option for key in storage for option in ("-e", f"log_host_{key}={storage[key]}")))
        assert run.status == 0, run.output
        assert SECRET not in run.output.replace(f"log_host_s3_secret_key={SECRET}", "")
        labels = label()
        assert other.logs.push(["to the bucket"], labels) == 204
        # Stopping writes what is in memory to the bucket; then the host has nothing left.
        other.run("systemctl", "stop", "log-store")
        other.run("rm", "-r", "/var/lib/log-store/loki/first")
        other.run("install", "--directory", "--owner=log-store", "--mode=700", "/var/lib/log-store/loki/first")
        other.run("systemctl", "start", "log-store")
        other.wait_ready()
        assert other.logs.lines(selector(labels)) == ["to the bucket"]
        keys = [entry["Key"] for entry in bucket.list_objects_v2(Bucket="chunks")["Contents"]]
        assert [key for key in keys if key.startswith("1/")]
        other.run("systemctl", "stop", "log-store")
