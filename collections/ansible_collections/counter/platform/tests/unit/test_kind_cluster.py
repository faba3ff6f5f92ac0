"""Whose cluster it is and what to do about it, seen on real containers with kind's label.

No cluster is made here: the nodes are containers of an image with a shell, which is all that an ownership record needs.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.counter.platform.plugins.module_utils.artifacts import digest_of
from ansible_collections.counter.platform.plugins.module_utils.commands import CommandError
from ansible_collections.counter.platform.plugins.modules.kind_cluster import LABEL, RECORD_MOUNT, Cluster, decide
from ansible_collections.counter.platform.tests.unit.support import Docker, RunModule


class Scene:
    """One cluster's parameters, and containers that look like its nodes."""

    def __init__(self, docker: Docker, shell_image: str, folder: Path) -> None:
        self.docker = docker
        self.shell_image = shell_image
        self.name = docker.name
        self.state_dir = folder / "state"
        self.kubeconfig = folder / "kubeconfig"
        self.params: dict[str, Any] = {
            "name": self.name,
            "state": "present",
            "image": "counter-unit/node:1",
            "config": {},
            "state_dir": str(self.state_dir),
            "kubeconfig": str(self.kubeconfig),
            "wait_seconds": 1,
            "kind": "/nowhere/kind",
            "docker": docker.client,
            "cache": str(folder / "cache"),
        }

    def cluster(self, **changes: Any) -> Cluster:
        return Cluster(self.params | changes)

    def node(
        self,
        role: str = "control-plane",
        *,
        label: str | None = None,
        owner: Path | None = None,
        owned: bool = True,
        running: bool = False,
        network: str = "none",
    ) -> str:
        """Make a container like a node; return its full id."""
        owner = owner or self.state_dir
        owner.mkdir(exist_ok=True)
        return self.docker(
            *(["run", "--detach"] if running else ["create"]),
            "--interactive",
            f"--name={self.name}-{role}",
            f"--label={LABEL}={label or self.name}",
            f"--network={network}",
            *([f"--volume={owner}:{RECORD_MOUNT}:ro"] if owned else []),
            self.shell_image,
            *["/bin/sh", "-c", "read -r line"],
        ).splitlines()[-1]

    def record(self, *nodes: str, **changes: Any) -> None:
        """Write the record of a creation that ended, as create() does."""
        self.state_dir.mkdir(exist_ok=True)
        content = {"config": digest_of(self.cluster(**changes).wanted()), "nodes": sorted(nodes)}
        (self.state_dir / "made.json").write_text(json.dumps(content))


@pytest.fixture
def scene(docker: Docker, shell_image: str, tmp_path: Path) -> Scene:
    return Scene(docker, shell_image, tmp_path)


def test_nothing_there(scene: Scene) -> None:
    assert decide(scene.cluster(), "present") == "create"
    assert decide(scene.cluster(), "absent") == "none"


def test_a_whole_cluster_is_left_as_it_is(scene: Scene) -> None:
    scene.record(scene.node(running=True), scene.node("worker", running=True))
    assert decide(scene.cluster(), "present") == "none"
    assert decide(scene.cluster(), "absent") == "delete"


def test_a_stopped_node_is_started(scene: Scene) -> None:
    scene.record(scene.node(running=True), scene.node("worker"))
    assert decide(scene.cluster(), "present") == "start"


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("whose", ["nobody's", "another's"])
def test_a_foreign_cluster_is_refused(scene: Scene, run_module: RunModule, state: str, whose: str) -> None:
    identity = scene.node(owned=whose != "nobody's", owner=scene.state_dir.with_name("other"))
    # A record of our own does not make it ours.
    scene.record(identity)
    scene.kubeconfig.write_text("")
    for check in (True, False):
        result = run_module("kind_cluster", scene.params | {"state": state}, check=check)
        assert result["failed"]
        assert f"there is a kind cluster {scene.name} that was not made from here" in result["msg"]
        assert f"({scene.name}-control-plane)" in result["msg"]
        assert result["conflict"] == "foreign"
    assert scene.docker.containers() == {f"{scene.name}-control-plane"}
    assert (scene.state_dir / "made.json").exists()
    assert scene.kubeconfig.exists()


def test_one_foreign_node_is_enough(scene: Scene) -> None:
    ours = scene.node()
    scene.node("worker", owned=False)
    scene.record(ours)
    with pytest.raises(CommandError, match=rf"not made from here \({scene.name}-worker\)"):
        decide(scene.cluster(), "absent")


def test_a_cluster_of_another_name_is_not_looked_at(scene: Scene) -> None:
    scene.node(label=f"{scene.name}-more", owned=False)
    assert decide(scene.cluster(), "present") == "create"
    assert decide(scene.cluster(), "absent") == "none"


@pytest.mark.parametrize("content", [None, "", '{"config": "0123", "no'], ids=["none", "empty", "cut"])
def test_a_creation_that_did_not_end_is_made_again(scene: Scene, content: str | None) -> None:
    scene.node(running=True)
    if content is not None:
        (scene.state_dir / "made.json").write_text(content)
    assert decide(scene.cluster(), "present") == "recreate"
    assert decide(scene.cluster(), "absent") == "delete"


def test_a_record_of_other_containers_does_not_count(scene: Scene) -> None:
    first = scene.node(running=True)
    scene.record(first, "0123")
    assert decide(scene.cluster(), "present") == "recreate", "a node is gone"
    scene.record(first)
    scene.node("worker", running=True)
    assert decide(scene.cluster(), "present") == "recreate", "a node is new"
    scene.record("0123")
    assert decide(scene.cluster(), "present") == "recreate", "the nodes are others"


@pytest.mark.parametrize(
    "change",
    [{"image": "counter-unit/node:2"}, {"config": {"nodes": [{"role": "control-plane"}, {"role": "worker"}]}}],
    ids=["image", "config"],
)
def test_other_settings_are_refused_and_can_still_be_removed(
    scene: Scene, run_module: RunModule, change: dict[str, Any]
) -> None:
    scene.record(scene.node(running=True))
    for check in (True, False):
        result = run_module("kind_cluster", scene.params | change, check=check)
        assert result["failed"]
        assert f"cluster {scene.name} was made with other settings" in result["msg"]
        assert result["conflict"] == "settings"
    assert scene.docker.containers() == {f"{scene.name}-control-plane"}
    assert decide(scene.cluster(**change), "absent") == "delete"


@pytest.mark.parametrize("leftover", ["network", "record", "kubeconfig"])
def test_a_leftover_alone_is_removed(scene: Scene, run_module: RunModule, leftover: str) -> None:
    if leftover == "network":
        scene.docker("network", "create", scene.name)
    elif leftover == "record":
        scene.record()
    else:
        scene.kubeconfig.write_text("")
    assert decide(scene.cluster(), "present") == "create"
    absent = scene.params | {"state": "absent"}
    assert run_module("kind_cluster", absent)["action"] == "delete"
    assert not scene.docker.networks()
    assert not (scene.state_dir / "made.json").exists()
    assert not scene.kubeconfig.exists()
    assert not run_module("kind_cluster", absent)["changed"]


def test_delete_removes_the_cluster_and_nothing_else(scene: Scene, run_module: RunModule, tmp_path: Path) -> None:
    name = scene.name
    for network in (name, f"{name}-more"):
        scene.docker("network", "create", network)
    scene.record(scene.node(running=True, network=name), scene.node("worker", network=name))
    scene.node("of-another", label=f"{name}-more", owner=tmp_path / "other", network=f"{name}-more")
    scene.docker("create", f"--name={name}-no-node", "--network=none", scene.shell_image, "/bin/sh")
    kept, volume = scene.state_dir / "passwords.yml", tmp_path / "other" / "file"
    for path in (kept, volume, scene.state_dir / "kind.json", scene.kubeconfig):
        path.write_text("x")
    before = scene.docker.containers(), scene.docker.networks()

    absent = scene.params | {"state": "absent", "kind": None, "image": None}
    promised = run_module("kind_cluster", absent, check=True)
    assert (promised["changed"], promised["action"]) == (True, "delete")
    assert (scene.docker.containers(), scene.docker.networks()) == before
    assert scene.kubeconfig.exists()

    removed = run_module("kind_cluster", absent)
    assert (removed["changed"], removed["action"], removed["nodes"]) == (True, "delete", [])
    assert scene.docker.containers() == {f"{name}-of-another", f"{name}-no-node"}
    assert scene.docker.networks() == {f"{name}-more"}
    assert not scene.kubeconfig.exists()
    assert [path.name for path in scene.state_dir.iterdir()] == ["passwords.yml"]
    assert volume.exists()
    for check in (False, True):
        again = run_module("kind_cluster", absent, check=check)
        assert (again["changed"], again["action"]) == (False, "none")


def test_a_network_in_use_by_others_stays_and_is_named(scene: Scene, run_module: RunModule) -> None:
    scene.docker("network", "create", scene.name)
    scene.node("guest", label="other", owned=False, running=True, network=scene.name)
    result = run_module("kind_cluster", scene.params | {"state": "absent"})
    assert result["failed"]
    assert f"network rm {scene.name}" in result["msg"]
    assert scene.docker.containers() == {f"{scene.name}-guest"}


def test_check_mode_before_docker_is_installed(scene: Scene, run_module: RunModule) -> None:
    bare = scene.params | {"docker": ""}
    result = run_module("kind_cluster", bare, check=True)
    assert (result["changed"], result["action"], result["nodes"]) == (True, "create", [])
    assert not scene.state_dir.exists()
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
def test_a_creation_that_fails_leaves_no_record(scene: Scene, run_module: RunModule, kind: str, reason: str) -> None:
    # The record of an earlier cluster whose containers somebody removed.
    scene.record("0123")
    result = run_module("kind_cluster", scene.params | {"kind": kind})
    assert result["failed"]
    assert kind in result["msg"]
    assert reason in result["msg"]
    assert not (scene.state_dir / "made.json").exists()
    assert decide(scene.cluster(), "present") == "create"


def test_the_state_folder_is_private(scene: Scene, run_module: RunModule) -> None:
    run_module("kind_cluster", scene.params)
    assert stat.S_IMODE(scene.state_dir.stat().st_mode) == 0o700


def test_kubeconfig_and_its_folder_belong_to_their_owner_alone(scene: Scene) -> None:
    cluster = scene.cluster(kubeconfig=str(scene.state_dir / "kubeconfig"))
    assert not cluster.make_private(os.getuid(), check_mode=False), "there is nothing yet"
    cluster.state_dir.mkdir(mode=0o755)
    cluster.kubeconfig.write_text("")
    cluster.kubeconfig.chmod(0o644)
    paths = {cluster.state_dir: 0o700, cluster.kubeconfig: 0o600}
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
    scene.record(scene.node(running=True))
    assert "the nodes were not ready within 1 s" in run_module("kind_cluster", scene.params, check=check)["msg"]


def test_the_gateway_is_the_machines_address_on_the_clusters_network(scene: Scene) -> None:
    assert scene.cluster(docker="").gateway() == ""
    assert scene.cluster().gateway() == ""
    # As kind makes it: the engine chooses the IPv4 subnet.
    scene.docker("network", "create", "--ipv6", "--subnet=fd00:7e57::/64", scene.name)
    node = scene.node(running=True, network=scene.name)
    (attached,) = json.loads(scene.docker("inspect", node))[0]["NetworkSettings"]["Networks"].values()
    assert scene.cluster().gateway() == attached["Gateway"]


def test_a_half_made_cluster_is_removed_before_it_is_made_again(scene: Scene, run_module: RunModule) -> None:
    scene.docker("network", "create", scene.name)
    scene.node(running=True, network=scene.name)
    # As the machine for Loki: on the cluster's network, and no part of the cluster.
    scene.node("guest", label="other", owned=False, running=True, network=scene.name)
    promised = run_module("kind_cluster", scene.params, check=True)
    assert (promised["changed"], promised["action"]) == (True, "recreate")
    assert len(scene.docker.containers()) == 2
    failed = run_module("kind_cluster", scene.params)
    assert "/nowhere/kind" in failed["msg"], "there is no kind to make it again"
    assert scene.docker.containers() == {f"{scene.name}-guest"}
    assert scene.docker.networks() == {scene.name}


def test_every_node_mounts_the_record(scene: Scene) -> None:
    own = {"hostPath": "/a", "containerPath": "/b"}
    config = {
        "name": "another",
        "networking": {"ipFamily": "ipv4"},
        "nodes": [{"role": "control-plane", "image": "another", "extraMounts": [own]}, {"role": "worker"}],
    }
    record = {"hostPath": str(scene.state_dir), "containerPath": RECORD_MOUNT, "readOnly": True}
    assert scene.cluster(config=config).wanted() == {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": scene.name,
        "networking": {"ipFamily": "ipv4"},
        "nodes": [
            {"role": "control-plane", "image": "counter-unit/node:1", "extraMounts": [own, record]},
            {"role": "worker", "image": "counter-unit/node:1", "extraMounts": [record]},
        ],
    }
    assert config["nodes"][0]["extraMounts"] == [own], "the caller's settings were changed"  # type: ignore[index]


def test_no_nodes_in_the_configuration_is_one_control_plane(scene: Scene) -> None:
    assert [node["role"] for node in scene.cluster(config={"nodes": []}).wanted()["nodes"]] == ["control-plane"]


@pytest.mark.parametrize("option", ["image", "kind"])
def test_what_a_cluster_cannot_be_made_without(scene: Scene, run_module: RunModule, option: str) -> None:
    result = run_module("kind_cluster", {key: value for key, value in scene.params.items() if key != option})
    assert result["msg"] == f"state is present but all of the following are missing: {option}"
