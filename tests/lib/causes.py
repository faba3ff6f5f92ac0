"""What an alert is for, made for real as long as a block runs, and taken away after it."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lib import environment
from lib.certificates import make_key, sign
from lib.cluster import Cluster
from lib.command import run
from lib.docker import docker
from lib.environment import PORT, READY, site
from lib.lines import LABELS, Lines, unique
from lib.load import Load
from lib.network import answers, free_port
from lib.prometheus import MONITORING
from lib.service import APP, OUTSIDE, REPLICAS_MAX, REPLICAS_MIN, busy_loop, python_pod, service_pods, set_replicas
from lib.wait import wait_for

VOLUMES = Path("/var/lib/counter-platform", environment.NAME, "volumes")
ENDING = f"{OUTSIDE}-ending-{unique()[:8]}"
"""The namespace of the pod that ends again and again: its alert fires on for ten minutes, also in another run."""
FLOOD = """
import os, time
line = os.urandom(5000).hex()
for _ in range(16000):
    print(line, flush=True)
    time.sleep(0.004)
"""


@contextmanager
def pod_outside(cluster: Cluster, namespace: str, labels: dict[str, str], program: str) -> Iterator[None]:
    """Run a program in a pod in a namespace of its own."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    cluster.apply(python_pod("outside", namespace, labels, cluster.python_image(), program))
    try:
        yield
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@contextmanager
def valkey_is_away(cluster: Cluster) -> Iterator[None]:
    """Take Valkey away, while clients go on to count for a moment."""
    # Whoever holds a connection is answered, with 503.
    with Load(PORT, clients=100).running():
        cluster.kubectl("scale", "statefulset/counter-valkey", APP, "--replicas=0")
        time.sleep(15)
    try:
        yield
    finally:
        cluster.kubectl("scale", "statefulset/counter-valkey", APP, "--replicas=1")
        wait_for("the service", lambda: answers(READY), 60)


@contextmanager
def valkey_answers_slowly(cluster: Cluster) -> Iterator[None]:
    """Stop Valkey for 150 ms a hundred times, each time while four clients ask."""
    valkey = cluster.node_exec("pgrep", "--exact", "valkey-server")
    # All have their answers before it is stopped again: whoever met two stops could wait for longer than the service
    # does, and get 503.
    program = f"while read -r _; do kill -STOP {valkey}; echo stopped; sleep 0.15; kill -CONT {valkey}; done"
    command = ["docker", "exec", "--interactive", cluster.node, "bash", "-euc", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin
        assert shell.stdout
        for _ in range(100):
            print(file=shell.stdin, flush=True)
            assert shell.stdout.readline() == "stopped\n"
            slow = Load(PORT, clients=4).run(1)
            assert not slow.failures, slow.failures
        shell.stdin.close()
    yield


@contextmanager
def pod_is_busy(cluster: Cluster) -> Iterator[None]:
    """Let a pod use all the processor time that it may have, and the autoscaler have one pod more than at rest."""
    set_replicas(cluster, REPLICAS_MIN, REPLICAS_MIN)
    bounds = {"spec": {"maxReplicas": REPLICAS_MIN + 1}}
    cluster.kubectl("patch", "hpa", "counter", APP, f"--patch={json.dumps(bounds)}")
    busy = service_pods(cluster)[0]["metadata"]["name"]
    try:
        with busy_loop(cluster, busy, 900):
            yield
    finally:
        cluster.kubectl("delete", "pod", busy, APP)
        set_replicas(cluster, REPLICAS_MIN, REPLICAS_MIN)
        set_replicas(cluster, REPLICAS_MIN, REPLICAS_MAX)


@contextmanager
def client_fills_valkeys_memory(cluster: Cluster) -> Iterator[None]:
    """Keep a command in Valkey's memory that is as long as 86 % of it, and does not end."""
    size = int(0.86 * 128 * 2**20)
    password = (cluster.state / "valkey-password").read_text()
    port = free_port()
    forward = [*cluster.command, "port-forward", "counter-valkey-0", f"{port}:6379", APP]
    with subprocess.Popen(forward, stdout=subprocess.DEVNULL) as process:
        try:

            def connect() -> socket.socket | None:
                try:
                    return socket.create_connection(("127.0.0.1", port), timeout=60)
                except ConnectionRefusedError:
                    return None

            with wait_for("the way to Valkey", connect) as client:
                client.sendall(f"AUTH counter {password}\r\n".encode())
                answer = client.recv(100)
                assert answer == b"+OK\r\n", answer
                client.sendall(b"*2\r\n$4\r\nINCR\r\n$%d\r\n" % size)
                client.sendall(bytes(size - 1))
                yield
        finally:
            process.terminate()


@contextmanager
def log_host_is_away(cluster: Cluster) -> Iterator[None]:
    """Take the log host away, while a pod writes 160 MB in a minute or two."""
    with Lines(cluster).without_log_host(), pod_outside(cluster, f"{OUTSIDE}-flood", LABELS, FLOOD):
        yield


@contextmanager
def lines_are_too_old(cluster: Cluster) -> Iterator[None]:
    """Push a line that is older than the log host keeps lines."""
    Lines(cluster).logs.pushed("old", age=400 * 86400)
    yield


@contextmanager
def disk_of_the_log_host_fills(cluster: Cluster) -> Iterator[None]:
    """Fill all but a tenth of a further disk of the log host."""

    def on_host(*command: str) -> str:
        return docker("exec", Lines(cluster).host, *command)

    on_host("truncate", "--size=64M", "/srv/disk")
    on_host("mkfs.ext4", "-q", "/srv/disk")
    on_host("mount", "--options=loop", "/srv/disk", "/mnt")
    # In its sandbox it sees what was mounted before it; on a host that is no container, what comes later too.
    restart = ("systemctl", "restart", "prometheus-node-exporter")
    on_host(*restart)
    try:
        size, free = map(int, on_host("df", "--block-size=1", "--output=size,avail", "/mnt").splitlines()[1].split())
        on_host("fallocate", f"--length={free - size // 10}", "/mnt/filling")
        yield
    finally:
        on_host("umount", "/mnt")
        on_host(*restart)
        on_host("rm", "/srv/disk")


@contextmanager
def certificate_of_the_log_host_ends_soon(cluster: Cluster) -> Iterator[None]:
    """Give the log host a certificate for ten days, and its own again."""
    secrets, host = cluster.state / "logs", Lines(cluster)
    names = f"subjectAltName=DNS:{host.host},IP:{host.address}"
    with TemporaryDirectory() as folder:
        certificate, key = Path(folder) / "short.crt", make_key(Path(folder) / "short.key")
        words = ("-subj", f"/CN={host.host}", "-addext", names, "-addext", "extendedKeyUsage=serverAuth")
        sign(certificate, key, secrets, 10, *words)
        given = ("-e", f"log_host_certificate={certificate}", "-e", f"log_host_certificate_key={key}")
        site(*given, tag="logs").ok()
        try:
            yield
        finally:
            site(tag="logs").ok()


@contextmanager
def certificate_of_a_client_ends_soon(cluster: Cluster) -> Iterator[None]:
    """Ask the API server every second by a certificate for five days."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        for file in ("ca.crt", "ca.key"):
            (folder / file).write_text(cluster.node_exec("cat", f"/etc/kubernetes/pki/{file}"))
        certificate, key = folder / "short.crt", make_key(folder / "short.key")
        sign(certificate, key, folder, 5, "-subj", "/CN=short")
        login = [f"--client-certificate={certificate}", f"--client-key={key}"]
        ended = threading.Event()

        def ask() -> None:
            while not ended.wait(1):
                cluster.kubectl("get", "--raw=/livez", *login)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            ended.set()
            asking.join()


@contextmanager
def kubelet_is_away(cluster: Cluster) -> Iterator[None]:
    cluster.node_exec("systemctl", "stop", "kubelet")
    try:
        yield
    finally:
        cluster.node_exec("systemctl", "start", "kubelet")
        cluster.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")


def wait_until_node_runs(cluster: Cluster) -> None:
    """Wait until a node that was started again has its pods."""
    wait_for("the service", lambda: answers(READY), 240)
    cluster.kubectl("rollout", "status", "statefulset/prometheus", MONITORING, "--timeout=120s", timeout=130)


@contextmanager
def volume_fills(cluster: Cluster) -> Iterator[None]:
    """Give Alertmanager's volume a file system of its own, of 64 MiB in memory, and fill all but a twentieth of it."""
    place = VOLUMES / "alertmanager"
    run("mount", "--types=tmpfs", "--options=size=64m,mode=0777", "tmpfs", str(place))
    docker("restart", "--time=0", cluster.node)
    wait_until_node_runs(cluster)
    filling, there = place / "filling", shutil.disk_usage(place)
    with filling.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, there.free - there.total // 20)
    try:
        yield
        assert shutil.disk_usage(place).free > 0, "it was full before it was told"
    finally:
        filling.unlink()
        cluster.kubectl("scale", "statefulset/alertmanager", MONITORING, "--replicas=0")
        docker("stop", "--time=0", cluster.node)
        run("umount", str(place))
        docker("start", cluster.node)
        wait_until_node_runs(cluster)
        cluster.kubectl("scale", "statefulset/alertmanager", MONITORING, "--replicas=1")
