"""The role run again: what changes is what was asked for, and a rollout that does not end says why."""

import base64
import json

import pytest
from lib.cluster import Cluster
from lib.environment import URL, site
from lib.network import count
from lib.service import APP, wait_until_idle
from lib.types import Json

KINDS = "namespaces,deployments,statefulsets,services,hpa,pdb,networkpolicies,configmaps,secrets,persistentvolumeclaims"


def content(cluster: Cluster) -> dict[str, str]:
    """Return what every object of the namespace asks for, without what controllers write into it."""

    def asked(entry: Json) -> str:
        spec = {**entry.get("spec", {}), "replicas": None}
        return json.dumps([entry["metadata"].get("labels"), spec, entry.get("data")], sort_keys=True)

    found = cluster.get(KINDS, APP)["items"]
    return {f"{entry['kind']} {entry['metadata']['name']}": asked(entry) for entry in found}


@pytest.mark.soak
def test_rollout_that_does_not_end_says_why_and_takes_nothing_away(cluster: Cluster) -> None:
    wait_until_idle(cluster)
    before = count(URL)
    # More CPU than any node has: the new pod finds no place.
    values = {"counter_app_cpu_request": "500", "counter_app_cpu_limit": "500", "counter_app_wait_seconds": 10}
    run = site("-e", json.dumps(values)).failed(
        "The rollout in the namespace counter did not end within 10 s (counter_app_wait_seconds)",
        "This did not come: deployment/counter: ",
        "Insufficient cpu",
        "Its last log lines",
        # A line of the service's log.
        '"path": "/"',
    )
    assert run.seconds < 120
    assert count(URL) == before + 1

    site().ok(changed=1)


def test_one_variable_changes_one_object_and_no_output_has_the_password(cluster: Cluster) -> None:
    wait_until_idle(cluster)
    before = content(cluster)
    assert len(before) >= 12
    run = site("-e", "counter_app_scale_down_seconds=61", "--diff", "-vvv").ok(changed=1)
    assert "stabilizationWindowSeconds: 61" in run.output, "it does not say what it changes"
    password = (cluster.state / "valkey-password").read_bytes()
    for secret in (password, base64.b64encode(password)):
        assert secret.decode() not in run.output
    after = content(cluster)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        "HorizontalPodAutoscaler counter"
    }
