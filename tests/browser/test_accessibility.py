"""Every page, light and dark, on a desk and on a phone: axe finds nothing serious, and nothing scrolls sideways."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.pages import every_page, sign_in_urls
from tests.flow.world import Account

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
AXE = (Path(__file__).parent.parent / "vendor" / "axe-core-4.14.1.min.js").read_text()
FINDINGS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .map(found => found.id + ": " + found.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" | "))"""
SIDEWAYS = "document.documentElement.scrollWidth > window.innerWidth"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(browser: Browser, account: Account, scheme: str) -> None:
    pages, sign_in = every_page(account), sign_in_urls(account)
    found: list[str] = []
    for who, url in sign_in.items():
        context = browser.new_context(base_url=account.world.stack.url, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url)
        for visited in (one for one in pages if one.who == who):
            answer = page.goto(visited.path)
            assert answer is not None
            assert answer.status == 200, visited
            page.evaluate(AXE)
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 900})
                where = f"{visited.path} {scheme} {width}"
                found += [f"{where}: {finding}" for finding in page.evaluate(FINDINGS)]
                if page.evaluate(SIDEWAYS):
                    found.append(f"{where}: the page scrolls sideways")
        context.close()
    assert not found, "\n".join(found)
