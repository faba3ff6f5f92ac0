"""Prometheus, the receiver of its alerts, and what one of them is about."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from lib.causes import ENDING, pod_outside
from lib.cluster import Cluster
from lib.prometheus import Prometheus
from lib.webhook import Webhook, webhook


@pytest.fixture(scope="session")
def prometheus(cluster: Cluster) -> Prometheus:
    return Prometheus(cluster)


@pytest.fixture(scope="session")
def hook(cluster: Cluster) -> Iterator[Webhook]:
    with webhook(cluster) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def ending(cluster: Cluster, hook: Webhook) -> Iterator[ExitStack]:
    """A pod that ends again and again: the first test starts it, and the test of its alert closes the stack."""
    with ExitStack() as stack:
        stack.enter_context(pod_outside(cluster, ENDING, {}, "raise SystemExit('out of ideas')"))
        yield stack
