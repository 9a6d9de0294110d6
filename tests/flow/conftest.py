"""One stack a test worker; an account a test."""

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.flow.world import SIGNUP, Account, World


@pytest.fixture(scope="session")
def running_world() -> Iterator[World]:
    with Stack(settings={"SIGNUP_CREDITS": str(SIGNUP)}, supervise=False) as stack:
        world = World(stack)
        yield world
        world.close()


@pytest.fixture
def world(running_world: World, request: pytest.FixtureRequest) -> Iterator[World]:
    """The stack, with everything in order before and after."""
    yield running_world
    stripe = running_world.stripe
    stripe.do("clear_faults")
    stripe.do("clear_webhooks")
    for name, program in running_world.stack.programs.items():
        if not program.running:
            running_world.restart(name) if name != "web" else program.start()


@pytest.fixture
def account(world: World) -> Account:
    """150 credits, a saved card, a top-up of 100 at 50."""
    return world.account()
