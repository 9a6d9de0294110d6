"""One service a test worker, running at the start of each test; an account a test."""

from collections.abc import Iterator

import pytest

from refill import Refill
from tests.client import service as services
from tests.client.service import Service


@pytest.fixture(scope="session")
def running_service() -> Iterator[Service]:
    with services.started() as service:
        yield service


@pytest.fixture
def service(running_service: Service) -> Iterator[Service]:
    """The service; a test may kill it."""
    running_service.start()
    yield running_service
    running_service.start()


@pytest.fixture
def account(service: Service) -> str:
    """An account with 100 credits."""
    return service.account()


@pytest.fixture
def client(service: Service, account: str) -> Iterator[Refill]:
    with service.client(account) as client:
        yield client
