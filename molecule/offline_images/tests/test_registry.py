"""What was built fills a registry, and an empty cache is filled from there, with no compiler and no package mirror."""

from pathlib import Path

import pytest
import yaml
from ansible_collections.counter.platform.plugins.module_utils.archives import config_digest
from lib.command import Run, execute
from lib.environment import OPTIONS, turn
from lib.registry import registry


def playbook(name: str, *options: str, environment: dict[str, str]) -> Run:
    """Run a playbook on the environment, without logs and metrics."""
    given = ("-e", "platform_logs=false", "-e", "platform_monitoring=false", *options)
    with turn():
        return execute("ansible-playbook", *OPTIONS, f"playbooks/{name}.yml", *given, environment=environment)


@pytest.mark.soak
def test_registry_is_filled_and_an_empty_cache_from_it(tmp_path: Path) -> None:
    cache, lock = tmp_path / "cache", tmp_path / "images.lock.yml"
    with registry(tmp_path / "registry") as login:
        access = login.options(lock)
        password = {"IMAGE_REGISTRY_PASSWORD": login.password}
        filled = playbook("mirror", *access, environment=password).ok()
        playbook("mirror", *access, environment=password).ok(changed=0)
        # Nothing of Go's, and none of Debian's packages.
        away = "http://127.0.0.1:9"
        nowhere = {**password, "GOPROXY": "off", "http_proxy": away, "https_proxy": away, "no_proxy": "127.0.0.1"}
        empty = (*access, "-e", "image_source=pull", "-e", f"platform_cache_dir={cache}")
        pulled = playbook("images", *empty, environment=nowhere).ok()
        here = {f"{path.parent.name}/{path.name}": path for path in (cache / "artifacts").glob("*/[!.]*")}
        # Nor do licences need what was compiled: they come from there too.
        playbook("sbom", *empty, environment=nowhere).ok("all by allowed licences")
    assert login.password not in filled.output + pulled.output
    told = yaml.safe_load(lock.read_text())["artifacts"]
    # The licences of Go modules are another playbook's; an SBOM is written here.
    here = {name: path for name, path in here.items() if not path.parent.name.endswith("-sbom")}
    assert set(here) == {name for name in told if not name.startswith("go-licences/")}
    images = {name: path / "image.tar" for name, path in here.items() if (path / "image.tar").exists()}
    assert {name: config_digest(archive) for name, archive in images.items()} == {
        name: told[name]["id"] for name in images
    }
    assert len(images) == len(here) - 1
    assert not (cache / "go/build").exists()
