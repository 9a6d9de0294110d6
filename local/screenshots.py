"""`python -m local.screenshots`: pictures of every page, of an account with a month behind it.

Real processes on free ports in a temporary directory. The pictures of `KEPT` go to docs/images, all others to
.local/screenshots.
"""

import datetime as dt
import random
import sys
from pathlib import Path

import psycopg
from playwright.sync_api import Browser, Page, sync_playwright

from local import buyer, chromium
from local.api import Api, await_value
from local.clock import age
from local.embedded import EmbeddedError
from local.services import ROOT
from local.stack import Stack
from shared.keys import local_operator_id
from shared.settings import Settings
from shared.stripe_client import make_client
from web.api.auto_topup import CONSENT_TEXT_VERSION
from web.local_login import login_url, operator_url
from web.pages.frame import SECTIONS

ACCOUNT = "demo"
DAYS = 30
SECOND_PURCHASE_DAY = 12
REFUND_AMOUNT = 200
THRESHOLD = 50
WEEKEND = 5
WIDTHS = {1280: 900, 390: 844}
SCOPES = "accounts,spend,usage,read,admin"
# Who does what for whom.
WORK = (
    ("researcher", "research", "strategy"),
    ("researcher", "tool_call", "strategy"),
    ("support", "message", "service"),
    ("support", "message", "service"),
    ("support", "tool_call", "service"),
    ("designer", "image", "marketing"),
    ("designer", "message", "marketing"),
)
MEMBER_PAGES = {entry.name: entry.path for entry in SECTIONS}
OPERATOR_PAGES = {"ops": "/ops", "ops-reconciliation": "/ops/reconciliation"}
KEPT = ("overview-1280", "overview-390", "usage-1280", "auto-topup-1280")
IMAGES = ROOT / "docs" / "images"
REST = ROOT / ".local" / "screenshots"


def target(name: str, width: int) -> Path:
    """Where the picture of a page goes."""
    picture = f"{name}-{width}"
    return (IMAGES if picture in KEPT else REST) / f"{picture}.png"


class Month:
    """Thirty days of an account, made one after the other; each makes what was before it a day older."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._random = random.Random(7)  # noqa: S311 - traffic, not secrets
        key = stack.flask("api-keys", "create", "--name", "pictures", "--scopes", SCOPES).split()[-1]
        self.api = Api(stack.url, key, ACCOUNT)

    def live(self) -> None:
        """Two purchases, top-ups when they are due, a refund, limits, a hold, and usage on every day."""
        self.api.open_account("Demo Ltd", "owner@example.com")
        with psycopg.connect(self.stack.services.postgres.url, autocommit=True) as connection:
            for day in range(DAYS):
                if day:
                    age(connection, "1 day")
                if day == 0:
                    self._buy("credits_250")
                    self._enable_topup()
                elif day == SECOND_PURCHASE_DAY:
                    self._buy("credits_100")
                    self._refund(connection)
                self._work(day)
            # The entries of usage have the times of their events already; those are not aged twice.
            connection.execute("set session_replication_role = replica")
            connection.execute(
                "update billing.credit_transactions set occurred_at = created_at where kind = 'usage'"
            )
        self._limits()
        self.api.post("/api/credits/holds", id="run-42", amount="12", agent="researcher")

    def _buy(self, package: str) -> None:
        before = self.api.available()
        buyer.pay(self.api.post("/api/billing/checkout-sessions", package_id=package)["url"])
        await_value(lambda: self.api.available() > before, f"{package} to be granted")

    def _enable_topup(self) -> None:
        self.api.put(
            "/api/billing/auto-topup",
            enabled=True,
            threshold=str(THRESHOLD),
            amount="100",
            caps={
                "day": {"amount": 2000, "currency": "usd"},
                "month": {"amount": 10_000, "currency": "usd"},
                "per_hour": 3,
            },
            consent={"text_version": CONSENT_TEXT_VERSION},
        )

    def _refund(self, connection: psycopg.Connection) -> None:
        """As made in Stripe's Dashboard: a part of the second purchase."""
        query = (
            "select stripe_payment_intent_id from billing.payments where purpose = 'purchase'"
            " order by created_at desc limit 1"
        )
        (intent,) = connection.execute(query).fetchone() or (None,)
        before = self.api.available()
        stripe = make_client(Settings.model_validate(self.stack.settings))
        stripe.v1.refunds.create({"payment_intent": str(intent), "amount": REFUND_AMOUNT})
        await_value(lambda: self.api.available() < before, "the refund's credits to be taken back")

    def _work(self, day: int) -> None:
        at = dt.datetime.now(dt.UTC) - dt.timedelta(days=DAYS - 1 - day)
        events = [
            {
                "id": f"event-{day}-{number}",
                "action": action,
                "agent": agent,
                "department_id": department,
                "run_id": f"run-{day}",
                "occurred_at": at.isoformat(),
            }
            for number in range(
                self._random.randint(3, 6) if at.weekday() >= WEEKEND else self._random.randint(7, 14)
            )
            for agent, action, department in [self._random.choice(WORK)]
        ]
        self.api.post_events(events)
        await_value(lambda: self.api.available() > THRESHOLD, "the top-up to be granted")

    def _limits(self) -> None:
        for scope, name, window, credits, hard in (
            ("agent", "researcher", "day", "60", True),
            ("department", "marketing", "month", "400", True),
            ("department", "service", "week", "100", False),
        ):
            self.api.put(
                "/api/credits/limits", scope=scope, scope_id=name, window=window, credits=credits, hard=hard
            )


def take(browser: Browser, stack: Stack) -> None:
    """Every page at every width."""
    settings = Settings.model_validate(stack.settings)
    for width, height in WIDTHS.items():
        context = browser.new_context(base_url=stack.url, viewport={"width": width, "height": height})
        page = context.new_page()
        shoot(page, "sign-in", "/sign-in", width)
        for sign_in, pages in (
            (login_url(settings, ACCOUNT), MEMBER_PAGES),
            (operator_url(settings, local_operator_id()), OPERATOR_PAGES),
        ):
            page.goto(sign_in)
            for name, path in pages.items():
                shoot(page, name, path, width)
        context.close()


def shoot(page: Page, name: str, path: str, width: int) -> None:
    """The whole page as a picture; EmbeddedError when it does not answer 200."""
    answer = page.goto(path, wait_until="load")
    if answer is None or not answer.ok:
        raise EmbeddedError(f"{path} answered {answer and answer.status}")
    page.screenshot(path=target(name, width), full_page=True)


def main() -> int:
    """Make the account, take the pictures."""
    executable = chromium.find()
    if executable is None:
        sys.stderr.write(f"{chromium.ADVICE}\n")
        return 1
    for folder in (IMAGES, REST):
        folder.mkdir(parents=True, exist_ok=True)
    settings = {"SIGNUP_CREDITS": "50", "OPERATORS": local_operator_id()}
    # Without the scheduler: its sweep would lock rows that become older.
    with Stack(settings=settings, programs=("web", "payments", "worker"), report=print) as stack:
        Month(stack).live()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            take(browser, stack)
            browser.close()
    print(f"{len(KEPT)} pictures in {IMAGES}, the others in {REST}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
