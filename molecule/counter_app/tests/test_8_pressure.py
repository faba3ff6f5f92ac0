"""Others are answered while a crowd holds thousands of connections, idle ones and slow ones."""

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from lib.cluster import Cluster
from lib.command import status_of
from lib.environment import URL
from lib.network import answers
from lib.report import write_figures
from lib.service import APP, REPLICAS_MAX, REPLICAS_MIN, name, service_pods, set_replicas, wait_until_idle

IDLE, SLOW, SECONDS = 6000, 2000, 90
MEBIBYTE = 2**20
HEAD = b"GET / HTTP/1.1\r\nHost: test\r\n"


@pytest.fixture
def two_pods(cluster: Cluster) -> Iterator[None]:
    """As few pods as there may be, whatever load the crowd makes."""
    wait_until_idle(cluster)
    set_replicas(cluster, REPLICAS_MIN, REPLICAS_MIN)
    yield
    set_replicas(cluster, REPLICAS_MIN, REPLICAS_MAX)


def restarts(cluster: Cluster) -> dict[str, int]:
    """Return how often each container of the service's pods was restarted."""
    pods = cluster.get("pods", APP, "--selector=app.kubernetes.io/name=counter")["items"]
    return {
        f"{name(pod)}/{container['name']}": container["restartCount"]
        for pod in pods
        for kind in ("initContainerStatuses", "containerStatuses")
        for container in pod["status"][kind]
    }


def memory_of_proxies(cluster: Cluster) -> int:
    """Return the bytes that the largest proxy had in memory at most (proc(5): VmHWM)."""
    peaks = []
    for pod in service_pods(cluster):
        status = cluster.kubectl("exec", name(pod), APP, "--container=proxy", "--", "cat", "/proc/1/status")
        peaks.append(int(status_of(status)["VmHWM"].split()[0]) * 1024)
    return max(peaks)


def crowd(address: tuple[str, int], ended: threading.Event, held: list[int]) -> None:
    """Hold connections until the end, and write down every five seconds how many there are.

    Idle ones have sent a request that counts; slow ones send a head that does not end, a byte each time. What the other
    side has ended is opened again.
    """
    begun = [HEAD + b"\r\n"] * IDLE + [HEAD + b"X-Slow: "] * SLOW
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * len(begun))), hard))
    clients: list[socket.socket | None] = [None] * len(begun)
    while not held or not ended.wait(5):
        for number, client in enumerate(clients):
            try:
                if client is None:
                    # One after the other: more at once than a queue for them would be lost, not refused.
                    clients[number] = client = socket.create_connection(address, 1)
                    client.setblocking(False)
                    client.sendall(begun[number])
                    continue
                with suppress(BlockingIOError):
                    if not client.recv(4096):
                        raise ConnectionResetError
                if number >= IDLE:
                    client.sendall(b"x")
            except OSError:
                if client:
                    client.close()
                clients[number] = None
        held.append(len(clients) - clients.count(None))
    for client in filter(None, clients):
        client.close()


@pytest.mark.soak
def test_others_are_answered_while_a_crowd_holds_connections(cluster: Cluster, two_pods: None) -> None:
    before = restarts(cluster)
    answered = []
    # By the node's own port, which has the same address for all of them: docker's proxy of the host port takes five
    # files for a connection, and ends where it may have no more.
    ended, held = threading.Event(), list[int]()
    clients = threading.Thread(target=crowd, args=((cluster.address, 30080), ended, held))
    clients.start()
    try:
        # It grows until it has all it can get.
        time.sleep(10)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            answered.append(answers(URL, 2))
            time.sleep(0.1)
    finally:
        ended.set()
        clients.join()
    share = sum(answered) / len(answered)
    memory = memory_of_proxies(cluster)
    figures: dict[str, object] = {
        "connections wanted": IDLE + SLOW,
        "held at most": max(held),
        "held in the end": held[-1],
        "requests of another": len(answered),
        "answered within 2 s": round(share, 3),
        "MiB of the larger proxy": round(memory / MEBIBYTE),
    }
    write_figures("pressure.json", figures)
    assert max(held) > (IDLE + SLOW) / 2, "no crowd to speak of"
    assert share >= 0.99, figures
    assert restarts(cluster) == before
    assert memory < 128 * MEBIBYTE
