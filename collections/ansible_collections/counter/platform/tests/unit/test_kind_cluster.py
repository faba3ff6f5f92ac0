"""Whose cluster it is and what to do about it, decided by real containers with kind's label.

No cluster is made here: the nodes are containers of an image with a shell, which is all that a record needs.
"""

from __future__ import annotations

import ipaddress
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules.kind_cluster import (
    KIND_LABEL,
    OWNER_LABEL,
    RECORD,
    VOLUMES,
    Cluster,
    decide,
    differences,
)
from ansible_collections.counter.platform.tests.unit.support import Docker, RunModule

OTHER_IMAGE = {"image": "counter-unit/node:2"}
OTHER_CONFIG = {"config": {"nodes": [{"role": "control-plane"}, {"role": "worker"}]}}


class Scene:
    """One cluster's parameters, and containers that look like its nodes."""

    def __init__(self, docker: Docker, shell_image: str, folder: Path) -> None:
        self.docker = docker
        self.shell_image = shell_image
        self.name = docker.name
        self.data_dir = folder / "data"
        self.state_dir = folder / "state"
        self.kubeconfig = self.state_dir / "kubeconfig"
        self.params: dict[str, Any] = {
            "name": self.name,
            "state": "present",
            "image": "counter-unit/node:1",
            "config": {},
            "replace": False,
            "data_dir": str(self.data_dir),
            "state_dir": str(self.state_dir),
            "kubeconfig": str(self.kubeconfig),
            "wait_seconds": 1,
            "renew_days": 60,
            "kind": "/nowhere/kind",
            "docker": docker.client,
            "cache": str(folder / "cache"),
        }

    def cluster(self, **changes: Any) -> Cluster:
        return Cluster(self.params | changes)

    def decided(self, state: str = "present", **changes: Any) -> str:
        """Return what the module would do."""
        params = self.params | changes
        return decide(Cluster(params), state, replace=params["replace"], renew_days=params["renew_days"])

    def node(
        self,
        role: str = "control-plane",
        *,
        cluster: str | None = None,
        data_dir: Path | None = None,
        mounted: bool = True,
        running: bool = False,
        network: str = "none",
    ) -> str:
        """Make a container like a node; return its full identity."""
        record = (data_dir or self.data_dir) / "record"
        record.mkdir(exist_ok=True, parents=True)
        return self.docker(
            *(["run", "--detach"] if running else ["create"]),
            "--interactive",
            f"--name={cluster or self.name}-{role}",
            f"--label={KIND_LABEL}={cluster or self.name}",
            f"--network={network}",
            *([f"--volume={record}:{RECORD}:ro"] if mounted else []),
            self.shell_image,
            *["/bin/sh", "-c", "read -r line"],
        ).splitlines()[-1]

    def record(self, *nodes: str, creating: dict[str, Any] | None = None, owner: str = "", days: int = 300) -> None:
        """Write the record of nodes that were made to the end, and of a creation that was not."""
        record = self.cluster().record
        record.owner = owner or str(self.state_dir)
        record.creating = creating or {}
        if nodes:
            end = datetime.now(UTC).date() + timedelta(days=days)
            record.current = {
                "kind": self.name,
                "nodes": sorted(nodes),
                "config": self.cluster().wanted(),
                "certificates_end": str(end),
            }
        record.write()

    def whole(self, network: str = "none", **changes: Any) -> str:
        """Make a cluster of one node that runs, with its record and its kubeconfig; return the node's identity."""
        identity = self.node(running=True, network=network)
        self.record(identity, **changes)
        self.state_dir.mkdir(exist_ok=True, mode=0o700)
        self.kubeconfig.write_text("")
        self.kubeconfig.chmod(0o600)
        return identity


@pytest.fixture
def scene(docker: Docker, shell_image: str, tmp_path: Path) -> Scene:
    return Scene(docker, shell_image, tmp_path)


def test_nothing_there(scene: Scene) -> None:
    assert scene.decided() == "create"
    assert scene.decided("absent") == "none"


def test_a_whole_cluster_is_left_as_it_is(scene: Scene) -> None:
    scene.whole()
    assert scene.decided() == "none"
    assert scene.decided("absent") == "delete"


def test_a_stopped_node_is_started(scene: Scene) -> None:
    scene.record(scene.node(running=True), scene.node("worker"))
    assert scene.decided() == "start"


def test_a_lost_state_folder_is_no_reason_to_make_a_cluster_anew(scene: Scene, run_module: RunModule) -> None:
    scene.whole()
    scene.kubeconfig.unlink()
    scene.state_dir.rmdir()
    assert scene.decided() == "adopt"
    promised = run_module("kind_cluster", scene.params | {"wait_seconds": 0}, check=True)
    assert "the nodes were not ready" in promised["msg"], "its nodes are waited for, and this one has no kubectl"
    assert scene.docker.containers() == {f"{scene.name}-control-plane"}


def before_inspect(scene: Scene, folder: Path, line: str) -> str:
    """Return a docker client that runs a line of shell before docker describes something."""
    client = folder / "docker"
    client.write_text(f'#!/bin/sh\n[ "$2" != inspect ] || {line}\nexec {scene.docker.client} "$@"\n')
    client.chmod(0o755)
    return str(client)


def test_another_cluster_that_goes_in_the_meantime_is_no_failure(scene: Scene, tmp_path: Path) -> None:
    scene.whole()
    other = scene.node(cluster=f"{scene.name}-other", mounted=False)
    # Its node is in the list, and gone when docker is asked to describe what was listed.
    client = before_inspect(scene, tmp_path, f"{scene.docker.client} rm --force {other} >/dev/null")
    (node,) = scene.cluster(docker=client).nodes()
    assert node.name == f"{scene.name}-control-plane"
    assert scene.docker.containers() == {node.name}


def test_docker_that_describes_nothing_is_a_failure(scene: Scene, tmp_path: Path) -> None:
    scene.whole()
    with pytest.raises(CommandError, match="inspect"):
        scene.cluster(docker=before_inspect(scene, tmp_path, "exit 1")).nodes()


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("whose", ["nobody's", "another's"])
def test_a_foreign_cluster_is_refused(scene: Scene, run_module: RunModule, state: str, whose: str) -> None:
    identity = scene.node(mounted=whose != "nobody's", data_dir=scene.data_dir.with_name("other"))
    # A record of our own does not make it ours.
    scene.record(identity)
    for check in (True, False):
        result = run_module("kind_cluster", scene.params | {"state": state}, check=check)
        assert result["failed"]
        assert f"there is a kind cluster {scene.name} that was not made from here" in result["msg"]
        assert f"({scene.name}-control-plane)" in result["msg"]
        assert result["conflict"] == "foreign"
    assert scene.docker.containers() == {f"{scene.name}-control-plane"}
    assert scene.data_dir.exists()


def test_one_foreign_node_is_enough(scene: Scene) -> None:
    scene.record(scene.node())
    scene.node("worker", mounted=False)
    with pytest.raises(CommandError, match=rf"not made from here \({scene.name}-worker\)"):
        scene.decided("absent")


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("runs", [True, False], ids=["with nodes", "data alone"])
def test_what_another_environment_has_is_refused(scene: Scene, run_module: RunModule, state: str, runs: bool) -> None:
    scene.record(*([scene.node()] if runs else []), owner="/elsewhere/.state/local")
    result = run_module("kind_cluster", scene.params | {"state": state})
    assert "belong to /elsewhere/.state/local" in result["msg"]
    assert result["conflict"] == "other_environment"
    assert scene.data_dir.exists()


@pytest.mark.parametrize("state", ["present", "absent"])
def test_nodes_without_a_record_are_left_alone(scene: Scene, run_module: RunModule, state: str) -> None:
    scene.node(running=True)
    result = run_module("kind_cluster", scene.params | {"state": state})
    assert f"the record of cluster {scene.name} is gone" in result["msg"]
    assert result["conflict"] == "record_gone"
    assert scene.docker.containers() == {f"{scene.name}-control-plane"}


def test_a_damaged_record_is_left_alone(scene: Scene, run_module: RunModule) -> None:
    scene.whole()
    path = scene.data_dir / "record/record.json"
    path.write_text(path.read_text()[:40])
    assert "record.json is damaged" in run_module("kind_cluster", scene.params)["msg"]
    assert scene.docker.containers() == {f"{scene.name}-control-plane"}


def test_a_cluster_of_another_name_is_not_looked_at(scene: Scene) -> None:
    scene.node(cluster=f"{scene.name}-more", data_dir=scene.data_dir.with_name("other"))
    assert scene.decided() == "create"
    assert scene.decided("absent") == "none"


def test_a_creation_that_did_not_end_is_made_again(scene: Scene) -> None:
    scene.node(running=True)
    scene.record(creating={"kind": scene.name, "config": {}})
    assert scene.decided() == "create"
    assert scene.decided("absent") == "delete"


def test_a_cluster_that_lost_a_node_is_made_again(scene: Scene) -> None:
    scene.record(scene.node(running=True), "0123")
    assert scene.decided() == "create"


@pytest.mark.parametrize("change", [OTHER_IMAGE, OTHER_CONFIG], ids=["image", "config"])
def test_what_takes_other_nodes_is_refused_named_and_done_when_asked_for(
    scene: Scene, run_module: RunModule, change: dict[str, Any]
) -> None:
    scene.whole()
    for check in (True, False):
        result = run_module("kind_cluster", scene.params | change, check=check)
        assert result["failed"]
        assert f"cluster {scene.name} was made from something else" in result["msg"]
        assert "nodes" in result["msg"]
        assert result["conflict"] == "settings"
    assert scene.docker.containers() == {f"{scene.name}-control-plane"}
    assert scene.decided(**change, replace=True) == "replace"
    assert scene.decided("absent", **change) == "delete"
    promised = run_module("kind_cluster", scene.params | change | {"replace": True}, check=True)
    assert (promised["changed"], promised["action"]) == (True, "replace")


def test_a_replacement_that_was_asked_for_and_did_not_end_goes_on(scene: Scene) -> None:
    new = scene.cluster(**OTHER_IMAGE).wanted()
    scene.whole(creating={"kind": f"{scene.name}-b", "config": new})
    scene.node(cluster=f"{scene.name}-b")
    assert scene.decided(**OTHER_IMAGE) == "replace", "nobody has to ask twice"
    assert scene.decided() == "start", "or it is given up"
    with pytest.raises(CommandError, match="takes other nodes"):
        scene.decided(image="counter-unit/node:3")


def test_old_nodes_that_a_replacement_left_are_removed(scene: Scene) -> None:
    new = scene.node(cluster=f"{scene.name}-b", running=True)
    scene.node()
    scene.record(new)
    scene.state_dir.mkdir()
    scene.kubeconfig.write_text("")
    assert scene.decided() == "start"
    scene.cluster().remove_leftovers()
    assert scene.docker.containers() == {f"{scene.name}-b-control-plane"}
    assert scene.decided() == "none"


def test_a_replacement_that_fails_starts_the_old_nodes_again(scene: Scene, run_module: RunModule) -> None:
    scene.whole()
    result = run_module("kind_cluster", scene.params | OTHER_IMAGE | {"replace": True, "kind": "/bin/false"})
    # The old node has no kubectl, so it is not seen to become ready either.
    assert "the nodes were not ready" in result["msg"]
    assert scene.docker.containers() == {f"{scene.name}-control-plane"}
    assert scene.docker("ps", "--quiet", "--filter", f"name={scene.name}") != "", "it was not started"


@pytest.mark.parametrize(("days", "action"), [(61, "none"), (59, "renew"), (-1, "renew")])
def test_certificates_are_renewed_before_they_end(scene: Scene, days: int, action: str) -> None:
    scene.whole(days=days)
    assert scene.decided() == action


def test_a_node_keeps_its_address_in_whatever_order_the_network_fills(scene: Scene) -> None:
    scene.cluster().make_network()
    (config,) = json.loads(scene.docker("network", "inspect", scene.name))[0]["IPAM"]["Config"]
    asked = str(ipaddress.ip_address(config["Gateway"]) + 1)
    guest = f"{scene.name}-guest"
    scene.docker(
        "create", "--interactive", f"--name={guest}", f"--network={scene.name}", f"--ip={asked}", scene.shell_image,
        "/bin/sh", "-c", "read -r line",
    )  # fmt: skip
    node = scene.node(running=True, network=scene.name)
    scene.docker("start", guest)
    (first,) = [found.address for found in scene.cluster().nodes()]
    assert ipaddress.ip_address(first) in ipaddress.ip_network(config["IPRange"])
    scene.docker("stop", "--time=0", node, guest)
    assert [found.address for found in scene.cluster().nodes()] == [""]
    scene.docker("start", guest)
    scene.docker("start", node)
    assert [found.address for found in scene.cluster().nodes()] == [first]
    assert scene.cluster().owns_network()


def test_a_node_at_another_address_gets_other_certificates(scene: Scene, run_module: RunModule) -> None:
    scene.cluster().make_network()
    scene.whole(network=scene.name)
    (node,) = scene.cluster().nodes()
    for address, action in ((node.address, "none"), ("192.0.2.7", "readdress")):
        record = scene.cluster().record
        record.current["address"] = address
        record.write()
        assert scene.decided() == action
    promised = run_module("kind_cluster", scene.params, check=True)
    assert (promised["changed"], promised["action"]) == (True, "readdress")


def test_delete_leaves_what_else_is_in_the_folder(scene: Scene, run_module: RunModule) -> None:
    scene.record(scene.node())
    (scene.data_dir / "volumes/node-1").mkdir(parents=True)
    (scene.data_dir / "somebody's").write_text("own")
    assert run_module("kind_cluster", scene.params | {"state": "absent"})["action"] == "delete"
    assert [path.name for path in scene.data_dir.iterdir()] == ["somebody's"]


@pytest.mark.parametrize("leftover", ["network", "record", "kubeconfig"])
def test_a_leftover_alone_is_removed(scene: Scene, run_module: RunModule, leftover: str) -> None:
    if leftover == "network":
        scene.docker("network", "create", f"--label={OWNER_LABEL}={scene.state_dir}", scene.name)
    elif leftover == "record":
        scene.record()
    else:
        scene.state_dir.mkdir()
        scene.kubeconfig.write_text("")
    assert scene.decided() == "create"
    absent = scene.params | {"state": "absent"}
    assert run_module("kind_cluster", absent)["action"] == "delete"
    assert not scene.docker.networks()
    assert not scene.data_dir.exists()
    assert not scene.kubeconfig.exists()
    assert not run_module("kind_cluster", absent)["changed"]


def test_delete_removes_the_cluster_and_nothing_else(scene: Scene, run_module: RunModule, tmp_path: Path) -> None:
    name = scene.name
    for network, owner in ((name, scene.state_dir), (f"{name}-more", tmp_path / "other")):
        scene.docker("network", "create", f"--label={OWNER_LABEL}={owner}", network)
    scene.record(scene.node(running=True, network=name), scene.node("worker", network=name))
    scene.node(cluster=f"{name}-more", data_dir=tmp_path / "other", network=f"{name}-more")
    scene.docker("create", f"--name={name}-no-node", "--network=none", scene.shell_image, "/bin/sh")
    scene.state_dir.mkdir()
    kept, others = scene.state_dir / "passwords.yml", tmp_path / "other" / "file"
    for path in (kept, others, scene.kubeconfig):
        path.write_text("x")
    before = scene.docker.containers(), scene.docker.networks()

    absent = scene.params | {"state": "absent", "kind": None, "image": None}
    promised = run_module("kind_cluster", absent, check=True)
    assert (promised["changed"], promised["action"]) == (True, "delete")
    assert (scene.docker.containers(), scene.docker.networks()) == before
    assert scene.kubeconfig.exists()
    assert scene.data_dir.exists()

    removed = run_module("kind_cluster", absent)
    assert (removed["changed"], removed["action"], removed["nodes"]) == (True, "delete", [])
    assert scene.docker.containers() == {f"{name}-more-control-plane", f"{name}-no-node"}
    assert scene.docker.networks() == {f"{name}-more"}
    assert not scene.kubeconfig.exists()
    assert not scene.data_dir.exists()
    assert kept.exists()
    assert others.exists()
    for check in (False, True):
        again = run_module("kind_cluster", absent, check=check)
        assert (again["changed"], again["action"]) == (False, "none")


def test_a_network_that_others_made_stays(scene: Scene, run_module: RunModule) -> None:
    scene.docker("network", "create", scene.name)
    scene.record(scene.node(network=scene.name))
    assert run_module("kind_cluster", scene.params | {"state": "absent"})["action"] == "delete"
    assert scene.docker.networks() == {scene.name}
    assert scene.decided("absent") == "none"


def test_a_network_in_use_by_others_stays_and_is_named(scene: Scene, run_module: RunModule) -> None:
    scene.docker("network", "create", f"--label={OWNER_LABEL}={scene.state_dir}", scene.name)
    scene.docker(
        "run", "--detach", "--interactive", f"--name={scene.name}-guest", f"--network={scene.name}",
        scene.shell_image, "/bin/sh", "-c", "read -r line",
    )  # fmt: skip
    result = run_module("kind_cluster", scene.params | {"state": "absent"})
    assert result["failed"]
    assert f"network rm {scene.name}" in result["msg"]
    assert scene.docker.containers() == {f"{scene.name}-guest"}


def test_check_mode_before_docker_is_installed(scene: Scene, run_module: RunModule) -> None:
    bare = scene.params | {"docker": ""}
    result = run_module("kind_cluster", bare, check=True)
    assert (result["changed"], result["action"], result["nodes"]) == (True, "create", [])
    assert not scene.data_dir.exists()
    assert not run_module("kind_cluster", bare | {"state": "absent"}, check=True)["changed"]


def test_check_mode_of_a_start_starts_nothing(scene: Scene, run_module: RunModule) -> None:
    scene.record(scene.node())
    result = run_module("kind_cluster", scene.params, check=True)
    assert (result["changed"], result["action"]) == (True, "start")
    assert result["nodes"] == [f"{scene.name}-control-plane"]
    assert scene.docker("ps", "--quiet", "--filter", f"name={scene.name}") == ""


def test_a_started_node_that_does_not_become_ready(scene: Scene, run_module: RunModule) -> None:
    """The node has no kubectl; also the first run after the cache was removed."""
    scene.record(scene.node())
    result = run_module("kind_cluster", scene.params)
    assert result["failed"]
    assert "the nodes were not ready within 1 s" in result["msg"]
    assert "kubectl" in result["msg"]
    assert scene.docker("ps", "--quiet", "--filter", f"name={scene.name}") != "", "it was not started"


@pytest.mark.parametrize(("kind", "reason"), [("/nowhere/kind", "cannot be run"), ("/bin/false", "status 1")])
def test_a_creation_that_fails_is_noted_and_keeps_the_volumes(
    scene: Scene, run_module: RunModule, kind: str, reason: str
) -> None:
    # The record of an earlier cluster whose containers somebody removed, and what its volumes hold.
    scene.record("0123")
    log = scene.data_dir / "volumes/node-1/appendonly.aof"
    log.parent.mkdir(parents=True)
    log.write_text("214472")
    result = run_module("kind_cluster", scene.params | {"kind": kind})
    assert result["failed"]
    assert kind in result["msg"]
    assert reason in result["msg"]
    record = scene.cluster().record
    assert (record.current, record.creating["kind"]) == ({}, scene.name)
    assert log.read_text() == "214472"
    assert scene.decided() == "create"


def test_the_state_folder_is_private(scene: Scene, run_module: RunModule) -> None:
    run_module("kind_cluster", scene.params)
    assert stat.S_IMODE(scene.state_dir.stat().st_mode) == 0o700


def test_kubeconfig_and_its_folder_belong_to_their_owner_alone(scene: Scene) -> None:
    cluster = scene.cluster()
    assert not cluster.make_private(os.getuid(), check_mode=False), "there is nothing yet"
    scene.state_dir.mkdir(mode=0o755)
    cluster.kubeconfig.write_text("")
    cluster.kubeconfig.chmod(0o644)
    paths = {scene.state_dir: 0o700, cluster.kubeconfig: 0o600}
    assert cluster.make_private(os.getuid(), check_mode=True)
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o644
    for owner in (os.getuid(), 65532):
        assert cluster.make_private(owner, check_mode=False)
        assert not cluster.make_private(owner, check_mode=False)
        for path, mode in paths.items():
            assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (owner, mode)


@pytest.mark.parametrize("check", [False, True])
def test_nodes_that_run_are_waited_for(scene: Scene, run_module: RunModule, check: bool) -> None:
    """The daemon starts nodes itself when it is started. This one has no kubectl that could say it is ready."""
    scene.whole()
    assert "the nodes were not ready within 1 s" in run_module("kind_cluster", scene.params, check=check)["msg"]


def test_the_gateway_is_the_machines_address_on_the_clusters_network(scene: Scene) -> None:
    assert scene.cluster(docker="").gateway() == ""
    assert scene.cluster().gateway() == ""
    # The engine chooses the IPv4 subnet.
    scene.docker("network", "create", "--ipv6", "--subnet=fd00:7e57::/64", scene.name)
    node = scene.node(running=True, network=scene.name)
    (attached,) = json.loads(scene.docker("inspect", node))[0]["NetworkSettings"]["Networks"].values()
    assert scene.cluster().gateway() == attached["Gateway"]


def test_a_half_made_cluster_is_removed_before_it_is_made_again(scene: Scene, run_module: RunModule) -> None:
    scene.docker("network", "create", f"--label={OWNER_LABEL}={scene.state_dir}", scene.name)
    scene.node(running=True, network=scene.name)
    scene.record(creating={"kind": scene.name, "config": {}})
    # As the machine for Loki: on the cluster's network, and no part of the cluster.
    scene.docker(
        "run", "--detach", "--interactive", f"--name={scene.name}-guest", f"--network={scene.name}",
        scene.shell_image, "/bin/sh", "-c", "read -r line",
    )  # fmt: skip
    promised = run_module("kind_cluster", scene.params, check=True)
    assert (promised["changed"], promised["action"]) == (True, "create")
    assert promised["nodes"] == [f"{scene.name}-control-plane"], "its port is not somebody else's"
    assert len(scene.docker.containers()) == 2
    failed = run_module("kind_cluster", scene.params)
    assert "/nowhere/kind" in failed["msg"], "there is no kind to make it again"
    assert scene.docker.containers() == {f"{scene.name}-guest"}
    assert scene.docker.networks() == {scene.name}


def test_every_node_mounts_the_record_and_the_volumes(scene: Scene) -> None:
    own = {"hostPath": "/a", "containerPath": "/b"}
    config = {
        "name": "another",
        "networking": {"ipFamily": "ipv4"},
        "nodes": [{"role": "control-plane", "image": "another", "extraMounts": [own]}, {"role": "worker"}],
    }
    mounts = [
        {"hostPath": str(scene.data_dir / "record"), "containerPath": RECORD, "readOnly": True},
        {"hostPath": str(scene.data_dir / "volumes"), "containerPath": VOLUMES},
    ]
    assert scene.cluster(config=config).wanted() == {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"ipFamily": "ipv4"},
        "nodes": [
            {"role": "control-plane", "image": "counter-unit/node:1", "extraMounts": [own, *mounts]},
            {"role": "worker", "image": "counter-unit/node:1", "extraMounts": mounts},
        ],
    }
    assert config["nodes"][0]["extraMounts"] == [own], "the caller's settings were changed"  # type: ignore[index]


def test_no_nodes_in_the_configuration_is_one_control_plane(scene: Scene) -> None:
    assert [node["role"] for node in scene.cluster(config={"nodes": []}).wanted()["nodes"]] == ["control-plane"]


def test_differences_name_the_place_and_both_values() -> None:
    old = {"nodes": [{"image": "a", "ports": [{"hostPort": 8080}]}], "patches": []}
    new = {"nodes": [{"image": "b", "ports": [{"hostPort": 8081}]}], "patches": ["x"]}
    assert differences(old, old) == []
    assert differences(old, new) == [
        'nodes[0].image: "a" -> "b"',
        "nodes[0].ports[0].hostPort: 8080 -> 8081",
        'patches: [] -> ["x"]',
    ]


@pytest.mark.parametrize("option", ["image", "kind"])
def test_what_a_cluster_cannot_be_made_without(scene: Scene, run_module: RunModule, option: str) -> None:
    result = run_module("kind_cluster", {key: value for key, value in scene.params.items() if key != option})
    assert result["msg"] == f"state is present but all of the following are missing: {option}"
