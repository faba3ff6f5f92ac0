"""What holds for all tests."""

from collections.abc import Iterator

import pytest

from tests.harness import Service


@pytest.fixture(scope="session", autouse=True)
def _every_service_stops() -> Iterator[None]:
    yield
    for service in Service.stopping:
        service.stopped()
