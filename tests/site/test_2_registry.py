"""An environment whose images come from a registry: nothing is compiled, and nodes run what the lock file names."""

from pathlib import Path

import pytest
import yaml
from lib.cluster import Cluster
from lib.command import Run, execute
from lib.network import count
from lib.registry import Login, registry

URL = "http://127.0.0.1:8081/"


def playbook(login: Login, lock: Path, path: str, inventory: str, *values: str, **environment: str) -> Run:
    """Run a playbook with what gets into the registry."""
    given = [*login.options(lock), *(word for value in values for word in ("-e", value))]
    secret = {"IMAGE_REGISTRY_PASSWORD": login.password}
    command = ["ansible-playbook", "-i", f"inventories/{inventory}", path, *given]
    return execute(*command, environment={**secret, **environment})


@pytest.mark.soak
def test_environment_from_a_registry_and_no_compiler(tmp_path: Path) -> None:
    cache, lock = tmp_path / "cache", tmp_path / "images.lock.yml"
    with registry(tmp_path / "registry") as login:
        playbook(login, lock, "playbooks/mirror.yml", "local").ok()

        def up() -> Run:
            pull = "image_source=pull"
            empty = {"COUNTER_PLATFORM_CACHE": str(cache), "GOPROXY": "off"}
            return playbook(login, lock, "site.yml", "staging", pull, **empty)

        up().ok()
        first = count(URL)
        up().ok(changed=0).ok(changed=0, host="logs")
    assert count(URL) == first + 1
    assert not (cache / "go").exists()
    told = yaml.safe_load(lock.read_text())["artifacts"]
    pods = Cluster("staging").get("pods", "--all-namespaces")["items"]
    running = [status for pod in pods for status in pod["status"]["containerStatuses"]]
    # Of each image the digest of its configuration.
    images = {entry["image"]: entry["imageID"] for entry in running if "/counter-platform/" in entry["image"]}
    assert len(images) >= 9
    for image, identity in images.items():
        name, key = image.removeprefix("docker.io/").replace("/", "_").split(":")
        assert told[f"{name}/{key}"]["id"] == identity, image
    assert execute("make", "down", "ENVIRONMENT=staging").status == 0
