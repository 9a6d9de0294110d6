"""Every page and state, light and dark, on a desk and on a phone: axe finds nothing serious, nothing scrolls sideways."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from local.screenshots import states
from local.screenshots.visits import entered, open_page
from tests.browser.pages import every_page, sign_in_urls
from tests.flow.world import Account, World

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
AXE = (Path(__file__).parent.parent / "vendor" / "axe-core-4.14.1.min.js").read_text()
FINDINGS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .map(found => found.id + ": " + found.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" | "))"""
Looks = tuple[tuple[Literal["light", "dark"], int], ...]
EVERY_LOOK: Looks = (("light", 1280), ("light", 390), ("dark", 390), ("dark", 1280))
OPPOSITE_LOOKS: Looks = (("light", 1280), ("dark", 390))
SIDEWAYS = "document.documentElement.scrollWidth > window.innerWidth"


def looked_at(page: Page, where: str, looks: Looks) -> list[str]:
    """What is wrong with the page as it stands, in each scheme at each width."""
    found = []
    page.evaluate(AXE)
    for scheme, width in looks:
        # With less motion, colours change at once, and axe sees none on its way.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{where} {scheme} {width}: {finding}" for finding in page.evaluate(FINDINGS)]
        if page.evaluate(SIDEWAYS):
            found.append(f"{where} {scheme} {width}: the page scrolls sideways")
    return found


@pytest.mark.timeout(240)
def test_every_page_is_accessible(browser: Browser, account: Account) -> None:
    pages, sign_in = every_page(account), sign_in_urls(account)
    found: list[str] = []
    for who, url in sign_in.items():
        context = browser.new_context(base_url=account.world.stack.url)
        page = context.new_page()
        page.goto(url)
        for visited in (one for one in pages if one.who == who):
            answer = page.goto(visited.path)
            assert answer is not None
            assert answer.status == 200, visited
            found += looked_at(page, visited.path, EVERY_LOOK)
        context.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("state", states.STATES, ids=lambda state: state.__name__)
def test_every_state_is_accessible(browser: Browser, world: World, state: states.State) -> None:
    """Empty, in trouble, refused, mistaken."""
    found: list[str] = []
    for enter, group in groupby(state(world), key=lambda visit: visit.enter):
        with entered(browser, world, enter) as page:
            for visit in group:
                open_page(page, visit)
                found += looked_at(page, visit.name, OPPOSITE_LOOKS)
    assert not found, "\n".join(found)
