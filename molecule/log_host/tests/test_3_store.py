"""The stores themselves: whose lines they find, how little they may do, and that what they acknowledged stays."""

import json
import re
import time
from collections.abc import Callable

import pytest
from lib.aws import REGION, aws
from lib.docker import docker
from lib.logs import LOST_SECONDS, LogHost, Writer, label, needs_loki, selector
from lib.wait import wait_for


def test_pushed_lines_are_found_by_their_tenant_alone(store: LogHost) -> None:
    # One that is JSON stays as it was sent, too, and one of 100 kB whole.
    lines = [*(f"line {number} ü" for number in range(100)), '{"level": "info"}', "x" * 100_000]
    labels = store.logs.pushed(*lines)
    store.logs.wait_lines(selector(labels), lines)
    if store.store == "victorialogs":
        path = "/select/logsql/field_values?query=%2A&field=job"
    else:
        path = "/loki/api/v1/label/job/values?since=1h"
    assert labels["job"] in store.own_port(path)
    assert labels["job"] not in store.own_port(path, "2")
    status, body = store.logs.request("GET", path, "reader")
    assert status == 200
    assert labels["job"] in body


def test_lines_come_by_otlp_with_their_streams_and_fields(store: LogHost) -> None:
    app = label()["job"]
    streams = {"namespace": "counter", "app": app, "container": "proxy"}
    pushed = store.logs.push_otlp(
        ["GET /"], {**streams, "pod": "counter-1", "node": "node-1"}, fields={"level": "info", "status": "200"}
    )
    assert pushed in (200, 204)
    chosen = f'{{namespace="counter",app="{app}",container="proxy"}}'
    store.logs.wait_lines(chosen, ["GET /"])
    if store.store == "victorialogs":
        (record,) = store.logs.query(chosen)
        # Fields of which there are many values make no streams.
        assert record["_stream"] == f'{{app="{app}",container="proxy",level="info",namespace="counter"}}'
        assert (record["pod"], record["node"], record["status"]) == ("counter-1", "node-1", "200")


def test_lines_that_are_taken_and_dropped_are_counted(machine: LogHost) -> None:
    """Those of another time; Loki answers 400 to them."""

    def dropped() -> dict[str, int]:
        return {
            reason: int(lines)
            for reason, lines in re.findall(
                r'vl_rows_dropped_total\{reason="(\w+)"\} (\d+)', machine.own_port("/metrics")
            )
        }

    before = dropped()
    for days in (400, -400):
        machine.logs.pushed("of another time", age=days * 86400)
    wait_for("the figure", lambda: sum(dropped().values()) == sum(before.values()) + 2, 10)


def exposure(machine: LogHost, unit: str) -> float:
    """Return how systemd rates what a unit may do, from 0 to 10, and print it."""
    report = machine.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    (score,) = re.findall(rf"Overall exposure level for {unit}.service: ([\d.]+)", report)
    print(f"exposure of {unit}.service: {score}")
    return float(score)


def test_units_have_few_rights(store: LogHost) -> None:
    assert exposure(store, "log-store") <= 2
    assert store.rights("log-store") == (False, 0, "1")
    # nginx begins as root, for its port and its key.
    assert exposure(store, "nginx") <= 4
    assert exposure(store, "prometheus-node-exporter") <= 2


def test_value_that_the_store_alone_can_judge_is_refused_and_what_runs_goes_on(store: LogHost) -> None:
    asked = ("sh", "-c", "systemctl show --property=MainPID log-store; cat /etc/systemd/system/log-store.service")
    before = store.run(*asked)
    played = store.role("-e", f"log_host_retention={'9' * 30}h", parts=["host", store.store])
    played.failed("9" * 30, changed=0, host=store.name)
    assert store.run(*asked) == before
    assert store.is_ready()


def stop(machine: LogHost) -> None:
    machine.run("systemctl", "restart", "log-store")


def restart_host(machine: LogHost) -> None:
    docker("restart", machine.name)


def other_version(machine: LogHost) -> None:
    runs = machine.run("readlink", "/opt/log-store/current")
    machine.run("cp", "--archive", f"/opt/log-store/{runs}", "/opt/log-store/another")
    for version in ("another", runs):
        machine.role("-e", f"_log_host_release={version}", parts=["host", "service", "ready"]).ok()
        assert machine.run("readlink", "/opt/log-store/current") == version
    machine.run("rm", "--recursive", "/opt/log-store/another")


@pytest.mark.parametrize(
    "disturb",
    [stop, other_version, pytest.param(restart_host, marks=pytest.mark.soak)],
    ids=lambda disturb: disturb.__name__,
)
def test_no_acknowledged_line_is_lost(store: LogHost, disturb: Callable[[LogHost], None]) -> None:
    with Writer(store) as writer:
        writer.wait(51)
        disturb(store)
        store.wait_ready()
        writer.wait(10)
    assert writer.lost() == []
    services = ["log-store", "log-disk-guard", "nginx", "nftables"]
    assert store.run("systemctl", "is-active", *services).split() == ["active"] * 4


def test_kill_loses_no_more_than_documented(store: LogHost) -> None:
    with Writer(store) as writer:
        writer.wait(200)
        # Longer than what may be lost, so that there is something that has to be kept.
        time.sleep(LOST_SECONDS[store.store] + 1)
        killed = time.monotonic()
        store.run("systemctl", "kill", "--signal=KILL", "log-store")
        store.wait_ready()
        writer.wait(10)
    lost = [killed - writer.acknowledged[line] for line in writer.lost()]
    print(f"lost by kill -9 of {store.store}: {len(lost)} lines of the last {max(lost, default=0):.2f} s")
    assert max(lost, default=0) <= LOST_SECONDS[store.store]


def on_disk(machine: LogHost) -> set[str]:
    """Return the folders or files that a store deletes what is old by, once all is on the disk."""
    if machine.store == "victorialogs":
        return set(
            machine.run("find", f"{machine.data}/current/partitions/", "-mindepth", "1", "-maxdepth", "1").split()
        )
    return set(machine.run("find", f"{machine.data}/current/chunks/1", "-type", "f").splitlines())


def test_retention_deletes_what_is_old_and_keeps_the_rest(store: LogHost) -> None:
    fresh = store.logs.pushed("fresh")
    stop(store)
    store.wait_ready()
    before = on_disk(store)
    # Two days and two hours: of a day that has ended before the retention begins, whatever the time is.
    old = store.logs.pushed("old", age=50 * 3600)
    stop(store)
    store.wait_ready()
    (added,) = on_disk(store) - before
    store.logs.wait_lines(selector(old), ["old"], hours=72)
    shortened = ["log_host_retention=24h", "log_host_compaction_interval=5s", "log_host_retention_delete_delay=1s"]
    options = [option for value in shortened for option in ("-e", value)]
    parts = ["host", store.store, "files", "service", "ready"]
    store.role(*options, parts=parts).ok()
    wait_for("what is old to go", lambda: added not in on_disk(store), 180)
    # With the limit as it was: the line is gone, and not hidden.
    store.role(parts=parts).ok()
    assert store.logs.lines(selector(old), hours=72) == []
    store.logs.wait_lines(selector(fresh), ["fresh"])


@pytest.mark.soak
def test_query_that_the_store_does_not_take_is_refused(machine: LogHost) -> None:
    played = machine.play("playbooks/logs_query.yml", "-e", json.dumps({"log_host_query": "{"}))
    played.failed("log_host_query is '{', which victorialogs does not take")


SECRET = "the-secret-of-the-buckets-key"  # noqa: S105 # what is looked for in the output


@needs_loki
def test_lines_come_back_from_the_bucket_alone(machine: LogHost) -> None:
    machine.store = "loki"
    gateway = docker("inspect", "--format", "{{.NetworkSettings.Gateway}}", machine.name)
    with aws(gateway) as api:
        place = {"LocationConstraint": REGION}
        bucket = api.client("s3")
        bucket.create_bucket(Bucket="chunks", CreateBucketConfiguration=place)
        storage = {
            "storage": "s3", "s3_bucket": "chunks", "s3_region": REGION, "s3_endpoint": api.url,
            "s3_access_key": "key", "s3_secret_key": SECRET,
        }  # fmt: skip
        options = (option for key in storage for option in ("-e", f"log_host_{key}={storage[key]}"))
        run = machine.role("-vvv", *options).ok()
        assert SECRET not in run.output.replace(f"log_host_s3_secret_key={SECRET}", "")
        labels = machine.logs.pushed("to the bucket")
        # Stopping writes what is in memory to the bucket; then the host has nothing left.
        machine.run("systemctl", "stop", "log-store")
        machine.run("rm", "-r", "/var/lib/log-store/loki/first")
        machine.run("install", "--directory", "--owner=log-store", "--mode=700", "/var/lib/log-store/loki/first")
        machine.run("systemctl", "start", "log-store")
        machine.wait_ready()
        assert machine.logs.lines(selector(labels)) == ["to the bucket"]
        keys = [entry["Key"] for entry in bucket.list_objects_v2(Bucket="chunks")["Contents"]]
        assert [key for key in keys if key.startswith("1/")]
        machine.run("systemctl", "stop", "log-store")


@needs_loki
def test_another_store_leaves_the_data_of_the_one_before(machine: LogHost) -> None:
    machine.store = "victorialogs"
    machine.role().ok()
    labels = machine.logs.pushed("kept")
    for name in ("loki", "victorialogs"):
        machine.store = name
        machine.role().ok()
    machine.logs.wait_lines(selector(labels), ["kept"])
