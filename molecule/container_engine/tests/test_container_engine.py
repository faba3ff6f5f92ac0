"""The engine on bare machines of both Debian releases."""

import json

from testinfra.host import Host


def test_daemon_is_started_and_enabled(host: Host) -> None:
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled


def test_client_has_the_version_of_the_daemon(host: Host) -> None:
    versions = json.loads(host.check_output("docker version --format '{{json .}}'"))
    assert versions["Client"]["Version"] == versions["Server"]["Version"]


def test_image_is_built_without_a_network(host: Host) -> None:
    host.check_output("mkdir -p /tmp/build && printf 'FROM scratch\\nCOPY Dockerfile /\\n' > /tmp/build/Dockerfile")
    host.check_output("DOCKER_BUILDKIT=1 docker build --network=none --tag counter-molecule:built /tmp/build")
    assert host.check_output("docker image ls --quiet counter-molecule:built")


def test_packages_that_the_machine_had_are_left_as_they_were(host: Host) -> None:
    # The log begins when the machine does: its image has none.
    events = [line.split()[2:5] for line in host.file("/var/log/dpkg.log").content_string.splitlines()]
    installed = {package for event, package, version in events if event == "install" and version == "<none>"}
    changed = {package for event, package, _ in events if event in ("upgrade", "remove")}
    assert "docker.io:amd64" in installed
    from_newer = {package.partition(":")[0] for package in changed - installed}
    assert from_newer <= {"containerd", "runc"}, "more than the engine came from a newer release"
