"""What was built carries what it says, and a change rebuilds only what depends on it."""

import json
import re

import pytest
import yaml
from lib.command import run
from lib.docker import docker
from lib.environment import OPTIONS
from lib.paths import ROOT, newest

TABLE = yaml.safe_load((ROOT / "roles/platform/defaults/main/artifacts.yml").read_text())
IMAGES = TABLE["platform_artifacts"]


@pytest.fixture(scope="module")
def node() -> str:
    return f"counter-platform/node:{newest('counter-platform_node').name}"


def in_node(node: str, *command: str) -> str:
    """Run a command on the node image, without the entry point that would make it a node."""
    return docker("run", "--rm", "--network=none", f"--entrypoint={command[0]}", node, *command[1:])


def test_node_image_is_no_larger_than_kinds_own(node: str) -> None:
    assert int(docker("image", "inspect", "--format", "{{.Size}}", node)) < 1_000_000_000


def test_node_image_carries_every_image_that_kubeadm_wants(node: str) -> None:
    version = f"--kubernetes-version={TABLE['kubernetes_version']}"
    wanted = set(in_node(node, "kubeadm", "config", "images", "list", version).split())
    script = (
        "containerd --log-level=error >/dev/null 2>&1 & until ctr version >/dev/null 2>&1; do sleep 0.2; done;"
        " ctr --namespace=k8s.io images ls --quiet"
    )
    carried = set(in_node(node, "sh", "-c", script).split())
    assert wanted
    assert wanted <= carried
    agent = IMAGES["network-policy-agent"]["replaces"]
    assert {image for image in carried if "@" not in image and not image.startswith("sha256:")} == {*wanted, agent}


def test_images_of_debian_packages_are_the_versions_that_their_tags_say() -> None:
    for name, command in (("haproxy", ["haproxy", "-v"]), ("valkey", ["valkey-server", "--version"])):
        tag = IMAGES[name]["replaces"].rpartition(":")[2]
        built = f"counter-platform/{name}:{newest(f'counter-platform_{name}').name}"
        said = docker("run", "--rm", "--network=none", built, *command)
        assert re.search(rf"\b(v=)?{re.escape(tag)}\.\d", said), said


def test_nothing_switches_verification_off() -> None:
    switches = "trusted=yes|allow-insecure|allow-unauthenticated|GONOSUMDB|GONOSUMCHECK|GONOSUMDB|GOINSECURE|GOSUMDB"
    listing = run(
        "grep", "-rnE", switches, "roles", "collections/ansible_collections/counter/platform/plugins", check=False
    )
    # The index of a local folder, whose files a bundle's manifest has verified.
    (only,) = listing.stdout.splitlines()
    assert "apt_packages.py:" in only
    assert "deb [trusted=yes] file:{folder} ./" in only


WORKLOADS = {"python-root", "haproxy", "valkey"}


@pytest.mark.parametrize(
    ("change", "rebuilt"),
    [
        # A patch of a workload takes no other nodes.
        (
            "platform_packages_date=another-day",
            {*WORKLOADS, "python-rootfs", "haproxy-root", "valkey-root", "counter"},
        ),
        (
            '{"offline_images_go_tags": ["grpcnotrace", "another"]}',
            {"node-programs", "node", "controller-programs", "metrics-server-programs", "metrics-server"},
        ),
        pytest.param(
            "platform_node_packages_date=another-day", {"node-root", "network-root", "node"}, marks=pytest.mark.soak
        ),
        pytest.param("offline_images_disk_gib=1", set(), marks=pytest.mark.soak),
    ],
)
def test_changed_input_rebuilds_what_depends_on_it_and_nothing_else(change: str, rebuilt: set[str]) -> None:
    command = ["ansible-playbook", "--check", *OPTIONS, str(ROOT / "playbooks/images.yml"), "-e", change]
    done = run("env", "ANSIBLE_STDOUT_CALLBACK=ansible.posix.json", *command)
    # It prints all at once; around that, there may be the progress of whatever else uses the cache.
    result, _ = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{\n"))
    tasks = [task for play in result["plays"] for task in play["tasks"]]
    (built,) = [host for task in tasks for host in task["hosts"].values() if "artifacts" in host]
    changed = {name for name, about in built["artifacts"].items() if about["changed"]}
    assert changed == rebuilt
