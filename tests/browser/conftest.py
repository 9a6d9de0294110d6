"""A whole Refill, a browser, and a person's page in it that complains of anything odd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from local.screenshots import states
from local.stack import Stack
from shared.keys import local_operator_id
from tests.browser.front_end import FrontEnd, serving
from tests.flow.world import SIGNUP, Account, World
from web.local_login import login_url


@pytest.fixture(scope="session")
def front_end() -> Iterator[FrontEnd]:
    with serving() as front_end:
        yield front_end


@pytest.fixture(scope="session")
def world(front_end: FrontEnd) -> Iterator[World]:
    settings = {
        "SIGNUP_CREDITS": str(SIGNUP),
        "OPERATORS": local_operator_id(),
        "ALLOWED_ORIGINS": front_end.origin,
        "GRACE_HOURS": str(states.GRACE_HOURS),
    }
    with Stack(settings=settings, supervise=False) as stack:
        world = World(stack)
        yield world
        world.close()


@pytest.fixture(scope="session")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Its sandbox needs rights that root in a container does not have.
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def account(world: World) -> Account:
    """150 credits, a saved card, no automatic charges."""
    return world.account(topup=False)


@pytest.fixture(params=[(1200, 900)])
def page(browser: Browser, account: Account, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Signed in by one click. Anything on the console but htmx's own word of a server that hangs fails the test."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(login_url(account.world.settings, account.id))
    yield page
    context.close()
    assert [line for line in complaints if "htmx:error: timeout" not in line] == []
