"""What holds for all tests."""

from collections.abc import Iterator

import pytest

from tests.harness import Service


@pytest.fixture(scope="session", autouse=True)
def _every_service_stops() -> Iterator[None]:
    yield
    for service in Service.stopping:
        service.stopped()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with one worker, for the tests of a module that mind nothing but their own requests."""
    with Service(tmp_path_factory.mktemp("service")) as service:
        yield service
