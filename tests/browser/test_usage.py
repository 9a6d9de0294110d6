"""Charts, their tables, and a long history in a real browser. The page fixture fails on anything on the console."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.flow.world import Account
from tests.support import wait_until
from web.local_login import login_url

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
ENTRIES = 10_000
EVERY = pytest.mark.parametrize("page", [(1280, 900), (390, 844)], indirect=True, ids=["desktop", "phone"])
FOLLOWED = """async (address) => {
  let count = 0, last = address;
  while (address) {
    const page = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html");
    count += page.querySelectorAll(".movements tbody tr").length;
    last = address;
    address = page.querySelector("a[rel=next]")?.getAttribute("href");
  }
  return [count, last];
}"""
PAINTED = """canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, index) => index % 4 === 3 && value > 0).length;
}"""


@pytest.fixture
def used(account: Account) -> Account:
    """Thirty days of usage by five agents, one of them with a name that no line holds."""
    account.world.query(
        "with a (n, name) as (values (1, 'researcher'), (2, 'support'), (3, 'designer'), (4, null), (5, repeat('long', 60)))"
        " insert into billing.credit_usage (account_id, event_id, transaction_id, action, quantity, credits, agent,"
        " member_id, occurred_at) select %s, 'day' || d || '-' || a.n, 0, 'message', 1, 1000000 * (1 + (d * a.n) %% 7),"
        " a.name, 'ada', now() - make_interval(days => d) from a, generate_series(0, 29) d",
        account.id,
    )
    return account


@EVERY
@pytest.mark.parametrize(
    "path", ["/billing", "/billing?by=member", "/billing/usage", "/billing/usage?by=action&days=90"]
)
def test_charts_are_drawn_and_their_tables_say_the_same(used: Account, page: Page, path: str) -> None:
    page.goto(used.world.stack.url + path)
    expect(page.locator("canvas")).to_have_count(2)
    for canvas in page.locator("canvas").all():
        expect(canvas).to_be_visible()
        assert canvas.evaluate(PAINTED) > 1000
    table = page.locator("details.figures").first
    expect(table.get_by_role("table")).to_be_hidden()
    table.get_by_text("As a table").click()
    expect(table.get_by_role("table").locator("tbody tr")).to_have_count(90 if "days=90" in path else 30)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_charts_follow_the_colour_scheme(used: Account, page: Page) -> None:
    page.goto(f"{used.world.stack.url}/billing/usage")
    bars = "Chart.getChart(document.querySelector('canvas')).data.datasets[0].backgroundColor"
    light = page.evaluate(bars)
    page.emulate_media(color_scheme="dark")
    # Not wait_for_function: it evaluates a text in the page, which the policy forbids.
    wait_until(lambda: page.evaluate(bars) != light, 5, "the colours to change")


@pytest.fixture
def plain(browser: Browser, used: Account) -> Iterator[Page]:
    """A browser without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(login_url(used.world.settings, used.id))
    yield page
    context.close()


@pytest.mark.parametrize("path", ["/billing", "/billing/usage"])
def test_without_javascript_the_tables_are_open_and_everything_is_a_link(
    plain: Page, used: Account, path: str
) -> None:
    plain.goto(used.world.stack.url + path)
    expect(plain.locator("canvas").first).to_be_hidden()
    expect(plain.get_by_role("table", name="Credits used each day").locator("tbody tr")).to_have_count(30)
    plain.get_by_role("link", name="Action", exact=True).click()
    expect(plain.get_by_role("rowheader", name="message").first).to_be_visible()


def test_ten_thousand_entries_page_by_page_and_back(account: Account, page: Page) -> None:
    account.world.query(
        "insert into billing.credit_transactions (account_id, kind, counter_account, amount, balance_after, source_kind,"
        " source_id) select %s, 'usage', 'usage', -1000000, 0, 'usage', 'old' || i from generate_series(1, %s) i",
        account.id, ENTRIES,
    )  # fmt: skip
    page.goto(f"{account.world.stack.url}/billing/history")
    rows = page.locator(".movements tbody tr")
    first = rows.first.get_attribute("id")
    count = rows.count()
    older = page.get_by_role("link", name="Older")
    for _ in range(3):
        older.click()
        page.wait_for_load_state()
        count += rows.count()
    # The browser reads the other two hundred without showing each: drawing them all is what takes long.
    rest, last = page.evaluate(FOLLOWED, older.get_attribute("href"))
    count += rest
    page.goto(account.world.stack.url + last)
    expect(older).to_have_count(0)
    assert count == ENTRIES + 2
    expect(rows.last).to_contain_text("Sign-up credits")
    page.get_by_role("link", name="Newer").click()
    expect(rows).to_have_count(50)
    page.get_by_label("Kind").select_option("purchase")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Show everything").click()
    assert rows.first.get_attribute("id") == first
