"""Whose cluster it is and what to do about it, decided by real containers with kind's label.

No cluster is made here: the nodes are containers of an image with a shell, which is all that a record needs.
"""

import ipaddress
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.module_utils.kind.cluster import (
    OWNER_LABEL,
    Cluster,
    differences,
    is_current,
)
from ansible_collections.counter.platform.plugins.module_utils.kind.nodes import KIND_LABEL, RECORD, Node
from ansible_collections.counter.platform.plugins.modules import kind_cluster
from ansible_collections.counter.platform.tests.unit.support import Docker, RunModule, with_defaults

OTHER_IMAGE: dict[str, Any] = {"image": "counter-unit/node:2"}
WAIT = ["/bin/sh", "-c", "read -r line"]


class Scene:
    """One cluster's parameters, and containers that look like its nodes."""

    def __init__(self, docker: Docker, shell_image: str, folder: Path, run_module: RunModule) -> None:
        self.docker = docker
        self.shell_image = shell_image
        self.name = docker.name
        self.data_dir = folder / "data"
        self.state_dir = folder / "state"
        self.kubeconfig = self.state_dir / "kubeconfig"
        self.control_plane = f"{self.name}-control-plane"
        self.params = with_defaults(
            kind_cluster,
            name=self.name,
            image="counter-unit/node:1",
            data_dir=str(self.data_dir),
            state_dir=str(self.state_dir),
            kubeconfig=str(self.kubeconfig),
            wait_seconds=1,
            kind="/nowhere/kind",
            cache=str(folder / "cache"),
        )
        self.identity = {name: self.params[name] for name in ("name", "data_dir", "state_dir", "kubeconfig")}
        self.run = partial(run_module, "kind_cluster", **self.params)
        self.info = partial(run_module, "cluster_info", **self.identity)

    def cluster(self, docker: str = "", **changes: Any) -> Cluster:
        return Cluster(self.params | changes, docker or self.docker.client)

    def decided(self, state: str = "present", *, replace: bool = False, **changes: Any) -> str:
        action, _ = kind_cluster.decide(self.cluster(**changes), state, replace=replace, renew_days=60)
        return action

    def node(
        self,
        role: str = "control-plane",
        cluster: str = "",
        *,
        of: str = "data",
        running: bool = False,
        network: str = "",
    ) -> str:
        """Make a container like a node, with the record in a data folder where one is named; return its identity."""
        record = self.data_dir.parent / of / "record"
        record.mkdir(exist_ok=True, parents=True)
        return self.docker(
            *(["run", "--detach"] if running else ["create"]),
            "--interactive",
            f"--name={cluster or self.name}-{role}",
            f"--label={KIND_LABEL}={cluster or self.name}",
            f"--network={network or 'none'}",
            *([f"--volume={record}:{RECORD}:ro"] if of else []),
            self.shell_image,
            *WAIT,
        ).splitlines()[-1]

    def guest(self, *how: str) -> str:
        """Make a container on the cluster's network that is no part of the cluster; return its name."""
        name, network = f"--name={self.name}-guest", f"--network={self.name}"
        self.docker(*how, "--interactive", name, network, self.shell_image, *WAIT)
        return f"{self.name}-guest"

    def write_kubeconfig(self, mode: int = 0o600) -> None:
        self.state_dir.mkdir(exist_ok=True)
        self.kubeconfig.touch(mode)

    def own_network(self) -> None:
        self.docker("network", "create", f"--label={OWNER_LABEL}={self.state_dir}", self.name)

    def is_started(self) -> bool:
        """Return whether any of the containers runs."""
        return self.docker("ps", "--quiet", "--filter", f"name={self.name}") != ""

    def record(self, *nodes: str, creating: dict[str, Any] | None = None, owner: str = "", days: int = 300) -> None:
        """Write the record of nodes that were made to the end, and of a creation that was not."""
        record = self.cluster().record
        record.owner = owner or str(self.state_dir)
        record.creating = creating or {}
        if nodes:
            end = datetime.now(UTC).date() + timedelta(days=days)
            record.made = {
                "kind": self.name,
                "nodes": sorted(nodes),
                "config": self.cluster().wanted(),
                "certificates_end": str(end),
            }
        record.write()

    def whole(self, network: str = "", **changes: Any) -> None:
        """Make a cluster of one node that runs, with its record and its kubeconfig."""
        self.record(self.node(running=True, network=network), **changes)
        self.write_kubeconfig()

    def half_made(self, network: str = "") -> None:
        """Make a cluster whose creation did not end."""
        self.node(running=True, network=network)
        self.record(creating={"kind": self.name, "config": {}})


@pytest.fixture
def scene(docker: Docker, shell_image: str, tmp_path: Path, run_module: RunModule) -> Scene:
    return Scene(docker, shell_image, tmp_path, run_module)


@pytest.mark.parametrize(
    ("present", "absent", "make"),
    [
        ("create", "none", lambda scene: None),
        ("none", "delete", Scene.whole),
        ("start", "delete", lambda scene: scene.record(scene.node(running=True), scene.node("worker"))),
        ("create", "delete", lambda scene: scene.record(scene.node(running=True), "a lost node")),
        ("create", "delete", Scene.half_made),
        ("create", "none", lambda scene: scene.node(cluster=f"{scene.name}-more", of="other")),
        ("none", "delete", lambda scene: scene.whole(days=61)),
        ("repair", "delete", lambda scene: scene.whole(days=59)),
        ("repair", "delete", lambda scene: scene.whole(days=-1)),
    ],
)
def test_decision(scene: Scene, present: str, absent: str, make: Callable[[Scene], object]) -> None:
    make(scene)
    assert (scene.decided(), scene.decided("absent")) == (present, absent)


def before_inspect(scene: Scene, folder: Path, line: str) -> str:
    """Return a docker client that runs a line of shell before docker describes something."""
    client = folder / "docker"
    client.write_text(f'#!/bin/sh\n[ "$2" != inspect ] || {line}\nexec {scene.docker.client} "$@"\n')
    client.chmod(0o755)
    return str(client)


def test_another_cluster_that_goes_in_the_meantime_is_no_failure(scene: Scene, tmp_path: Path) -> None:
    scene.whole()
    other = scene.node(cluster=f"{scene.name}-other", of="")
    # Its node is in the list, and gone when docker is asked to describe what was listed.
    client = before_inspect(scene, tmp_path, f"{scene.docker.client} rm --force {other} >/dev/null")
    assert [node.name for node in scene.cluster(docker=client).nodes()] == [scene.control_plane]
    assert scene.docker.containers() == {scene.control_plane}


def test_docker_that_describes_nothing_is_a_failure(scene: Scene, tmp_path: Path) -> None:
    scene.whole()
    with pytest.raises(CommandError, match="inspect"):
        scene.cluster(docker=before_inspect(scene, tmp_path, "exit 1")).nodes()


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize(
    ("conflict", "message", "make"),
    [
        # A record of our own does not make a node ours.
        ("foreign", "not made from here ({0}-control-plane)", lambda scene: scene.record(scene.node(of=""))),
        ("foreign", "not made from here ({0}-control-plane)", lambda scene: scene.record(scene.node(of="other"))),
        ("foreign", "({0}-worker)", lambda scene: scene.record(scene.node(), scene.node("worker", of=""))),
        ("other_environment", "belong to /other", lambda scene: scene.record(scene.node(), owner="/other")),
        ("other_environment", "belong to /other", lambda scene: scene.record(owner="/other")),
        ("record_gone", "the record of the cluster is missing", lambda scene: scene.node(running=True)),
    ],
)
def test_what_is_not_ours_is_refused_and_left_alone(
    scene: Scene, conflict: str, message: str, make: Callable[[Scene], object], state: str
) -> None:
    make(scene)
    before = scene.docker.containers()
    for check in (True, False):
        result = scene.run(state=state, check=check)
        assert message.format(scene.name) in result["msg"]
        assert result["conflict"] == conflict
    assert scene.docker.containers() == before
    assert scene.data_dir.exists()


def test_a_damaged_record_is_left_alone(scene: Scene) -> None:
    scene.whole()
    path = scene.data_dir / "record/record.json"
    path.write_text(path.read_text()[:40])
    assert "record.json is damaged" in scene.run()["msg"]
    assert scene.docker.containers() == {scene.control_plane}


@pytest.mark.parametrize("change", [OTHER_IMAGE, {"config": {"nodes": [{"role": "worker"}]}}], ids=["image", "config"])
def test_what_takes_other_nodes_is_refused_named_and_done_when_asked_for(scene: Scene, change: dict[str, Any]) -> None:
    scene.whole()
    for check in (True, False):
        result = scene.run(**change, check=check)
        assert f"the configuration of cluster {scene.name} changed" in result["msg"]
        assert "nodes" in result["msg"]
        assert result["conflict"] == "settings"
    assert scene.docker.containers() == {scene.control_plane}
    assert scene.decided("absent", **change) == "delete"
    promised = scene.run(**change, replace=True, check=True)
    assert (promised["changed"], promised["action"]) == (True, "replace")


def test_a_replacement_that_was_asked_for_and_did_not_end_goes_on(scene: Scene) -> None:
    new = scene.cluster(**OTHER_IMAGE).wanted()
    scene.whole(creating={"kind": f"{scene.name}-b", "config": new})
    scene.node(cluster=f"{scene.name}-b")
    assert scene.decided(**OTHER_IMAGE) == "replace", "nobody has to ask twice"
    assert scene.decided() == "start", "or it is given up"
    with pytest.raises(CommandError, match="have to be replaced"):
        scene.decided(image="counter-unit/node:3")


def test_old_nodes_that_a_replacement_left_are_removed(scene: Scene) -> None:
    new = scene.node(cluster=f"{scene.name}-b", running=True)
    scene.node()
    scene.record(new)
    scene.write_kubeconfig()
    assert scene.decided() == "start"
    scene.cluster().remove_leftovers()
    assert scene.docker.containers() == {f"{scene.name}-b-control-plane"}
    assert scene.decided() == "none"


def test_a_replacement_that_fails_starts_the_old_nodes_again(scene: Scene) -> None:
    scene.whole()
    result = scene.run(**OTHER_IMAGE, replace=True, kind="/bin/false")
    # The old node has no kubectl, so it is not seen to become ready either.
    assert "the nodes were not ready" in result["msg"]
    assert scene.docker.containers() == {scene.control_plane}
    assert scene.is_started()


def test_a_node_keeps_its_address_in_whatever_order_the_network_fills(scene: Scene) -> None:
    scene.cluster().make_network()
    (config,) = json.loads(scene.docker("network", "inspect", scene.name))[0]["IPAM"]["Config"]
    asked = str(ipaddress.ip_address(config["Gateway"]) + 1)
    guest = scene.guest("create", f"--ip={asked}")
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


def test_a_node_at_another_address_is_replaced(scene: Scene) -> None:
    scene.cluster().make_network()
    scene.whole(network=scene.name)
    (node,) = scene.cluster().nodes()
    assert scene.decided() == "none", "records of older versions have no address"
    for address, action in ((node.address, "none"), ("192.0.2.7", "repair")):
        record = scene.cluster().record
        record.made["address"] = address
        record.write()
        assert scene.decided() == action
    promised = scene.run(check=True)
    assert (promised["changed"], promised["action"]) == (True, "repair")
    assert promised["changes"] == [f"the node's address changed: 192.0.2.7 -> {node.address}"]
    assert "the nodes were not ready" in scene.run(kind="/bin/false")["msg"], "the old node has no kubectl"
    assert scene.is_started()


def test_delete_leaves_what_else_is_in_the_folder(scene: Scene) -> None:
    scene.record(scene.node())
    (scene.data_dir / "volumes/node-1").mkdir(parents=True)
    (scene.data_dir / "somebody's").write_text("own")
    assert scene.run(state="absent")["action"] == "delete"
    assert [path.name for path in scene.data_dir.iterdir()] == ["somebody's"]


@pytest.mark.parametrize("make", [Scene.own_network, Scene.record, Scene.write_kubeconfig])
def test_a_leftover_alone_is_removed(scene: Scene, make: Callable[[Scene], None]) -> None:
    make(scene)
    assert scene.decided() == "create"
    assert scene.run(state="absent")["action"] == "delete"
    assert not scene.docker.networks()
    assert not scene.data_dir.exists()
    assert not scene.kubeconfig.exists()
    assert not scene.run(state="absent")["changed"]


def test_delete_removes_the_cluster_and_nothing_else(scene: Scene, tmp_path: Path) -> None:
    name = scene.name
    scene.own_network()
    scene.docker("network", "create", f"--label={OWNER_LABEL}={tmp_path}/other", f"{name}-more")
    scene.record(scene.node(running=True, network=name), scene.node("worker", network=name))
    scene.node(cluster=f"{name}-more", of="other", network=f"{name}-more")
    scene.docker("create", f"--name={name}-no-node", "--network=none", scene.shell_image, "/bin/sh")
    scene.write_kubeconfig()
    kept, others = scene.state_dir / "passwords.yml", tmp_path / "other" / "file"
    for path in (kept, others):
        path.touch()
    before = scene.docker.containers(), scene.docker.networks()

    remove = partial(scene.run, state="absent", kind=None, image=None)
    promised = remove(check=True)
    assert (promised["changed"], promised["action"]) == (True, "delete")
    assert (scene.docker.containers(), scene.docker.networks()) == before
    assert scene.kubeconfig.exists()
    assert scene.data_dir.exists()

    removed = remove()
    assert (removed["changed"], removed["action"]) == (True, "delete")
    assert scene.docker.containers() == {f"{name}-more-control-plane", f"{name}-no-node"}
    assert scene.docker.networks() == {f"{name}-more"}
    assert not scene.kubeconfig.exists()
    assert not scene.data_dir.exists()
    assert kept.exists()
    assert others.exists()
    assert remove(check=True)["action"] == "none"


def test_a_network_that_others_made_stays(scene: Scene) -> None:
    scene.docker("network", "create", scene.name)
    scene.record(scene.node(network=scene.name))
    assert scene.run(state="absent")["action"] == "delete"
    assert scene.docker.networks() == {scene.name}
    assert scene.decided("absent") == "none"


def test_a_network_in_use_by_others_stays_and_is_named(scene: Scene) -> None:
    scene.own_network()
    scene.guest("run", "--detach")
    assert f"network rm {scene.name}" in scene.run(state="absent")["msg"]
    assert scene.docker.containers() == {f"{scene.name}-guest"}


def test_a_start_that_ends_with_a_node_that_is_not_ready(scene: Scene) -> None:
    """The node has no kubectl; also the first run after the cache was removed."""
    scene.record(scene.node())
    promised = scene.run(check=True)
    assert (promised["changed"], promised["action"]) == (True, "start")
    assert not scene.is_started()
    said = scene.run()["msg"]
    assert "the nodes were not ready within 1 s" in said
    assert "kubectl" in said
    assert scene.is_started()


@pytest.mark.parametrize(("kind", "reason"), [("/nowhere/kind", "cannot be run"), ("/bin/false", "status 1")])
def test_a_creation_that_fails_is_noted_and_keeps_the_volumes(scene: Scene, kind: str, reason: str) -> None:
    # The record of an earlier cluster whose containers somebody removed, and what its volumes hold.
    scene.record("0123")
    log = scene.data_dir / "volumes/node-1/appendonly.aof"
    log.parent.mkdir(parents=True)
    log.write_text("214472")
    said = scene.run(kind=kind)["msg"]
    assert kind in said
    assert reason in said
    record = scene.cluster().record
    assert (record.made, record.creating["kind"]) == ({}, scene.name)
    assert log.read_text() == "214472"
    assert scene.decided() == "create"
    assert stat.S_IMODE(scene.state_dir.stat().st_mode) == 0o700, "its state folder is private"


def test_kubeconfig_and_its_folder_belong_to_their_owner_alone(scene: Scene) -> None:
    cluster = scene.cluster()
    assert not cluster.make_private(os.getuid(), check_mode=False), "there is nothing yet"
    scene.write_kubeconfig(0o644)
    paths = {scene.state_dir: 0o700, cluster.kubeconfig: 0o600}
    assert cluster.make_private(os.getuid(), check_mode=True)
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o644
    for owner in (os.getuid(), 65532):
        assert cluster.make_private(owner, check_mode=False)
        assert not cluster.make_private(owner, check_mode=False)
        for path, mode in paths.items():
            assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (owner, mode)


@pytest.mark.parametrize("check", [False, True])
def test_nodes_that_run_are_waited_for(scene: Scene, check: bool) -> None:
    """The daemon starts nodes itself when it is started. This one has no kubectl that could say it is ready."""
    scene.whole()
    assert "the nodes were not ready within 1 s" in scene.run(check=check)["msg"]


def test_info_of_no_cluster(scene: Scene) -> None:
    for environment in ({}, {"DOCKER_HOST": "unix:///nowhere/docker.sock"}):
        info = scene.info(env=environment)
        assert (info["changed"], info["running"], info["nodes"], info["api_endpoints"]) == (False, False, [], [])
        assert (info["owner"], info["conflict"], info["gateway"], info["certificates_end"]) == ("", "", "", "")


def test_info_of_a_cluster_that_runs(scene: Scene) -> None:
    # The engine chooses the IPv4 subnet.
    scene.docker("network", "create", "--ipv6", "--subnet=fd00:7e57::/64", scene.name)
    scene.whole(network=scene.name, days=90)
    (attached,) = json.loads(scene.docker("inspect", scene.control_plane))[0]["NetworkSettings"]["Networks"].values()
    address = attached["IPAddress"]
    expected = {
        "nodes": [scene.control_plane],
        "running": True,
        "addresses": [address],
        "api_endpoints": [f"{address}:6443"],
        "gateway": attached["Gateway"],
        "owner": str(scene.state_dir),
        "conflict": "",
        "certificates_days": 90,
    }
    for name in (scene.name, ""):
        for check in (False, True):
            assert expected.items() <= scene.info(name=name, check=check).items()


@pytest.mark.parametrize(
    "make",
    [
        lambda scene: scene.record(scene.node()),
        lambda scene: scene.record(scene.node(running=True)),
        lambda scene: scene.whole(days=0),
        Scene.half_made,
    ],
    ids=["stopped", "without a kubeconfig", "certificates ended", "half made"],
)
def test_info_of_a_cluster_that_cannot_be_asked(scene: Scene, make: Callable[[Scene], object]) -> None:
    make(scene)
    info = scene.info()
    assert (info["running"], info["nodes"]) == (False, [scene.control_plane])


def test_info_of_a_cluster_of_others(scene: Scene) -> None:
    scene.node(of="", running=True)
    info = scene.info()
    assert (info["conflict"], info["running"]) == ("foreign", False)
    assert info["nodes"] == [scene.control_plane], "its port is not free"
    assert scene.info(name="")["nodes"] == []


def test_a_half_made_cluster_is_removed_before_it_is_made_again(scene: Scene) -> None:
    scene.own_network()
    scene.half_made(network=scene.name)
    # As the machine for Loki: on the cluster's network, and no part of the cluster.
    scene.guest("run", "--detach")
    promised = scene.run(check=True)
    assert (promised["changed"], promised["action"]) == (True, "create")
    assert scene.info()["nodes"] == [scene.control_plane], "its port is not somebody else's"
    assert len(scene.docker.containers()) == 2
    assert "/nowhere/kind" in scene.run()["msg"], "there is no kind to make it again"
    assert scene.docker.containers() == {f"{scene.name}-guest"}
    assert scene.docker.networks() == {scene.name}


def test_differences_name_the_place_and_both_values() -> None:
    old = {"nodes": [{"image": "a", "ports": [{"hostPort": 8080}]}], "patches": []}
    new = {"nodes": [{"image": "b", "ports": [{"hostPort": 8081}]}], "patches": ["x"]}
    assert differences(old, old) == []
    assert differences(old, new) == [
        'nodes[0].image: "a" -> "b"',
        "nodes[0].ports[0].hostPort: 8080 -> 8081",
        'patches: [] -> ["x"]',
    ]


def test_status_from_before_a_node_was_started_is_not_current() -> None:
    """A kubelet that was just started has not reported yet that its pods do not run."""
    before, started = "2026-11-30T19:52:11Z", "2026-11-30T19:52:12Z"
    node = Node("node", "", running=True, cluster="", record="", address="", gateway="", started=started)

    def status(heartbeat: str, container: str, ready: str = "True") -> list[dict[str, Any]]:
        conditions = {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat}]}
        statuses = [{"state": {"running": {"startedAt": container}}}]
        return [
            {"kind": "Node", "metadata": {"name": "node"}, "status": {**conditions}},
            {"kind": "Pod", "spec": {"nodeName": "node"}, "status": {**conditions, "containerStatuses": statuses}},
            {"kind": "Pod", "spec": {}, "status": {"phase": "Pending"}},
        ]

    assert is_current([node], status(started, started))
    assert not is_current([node], status(before, started))
    assert not is_current([node], status(started, before))
    assert not is_current([node], status(started, started, ready="Unknown"))
