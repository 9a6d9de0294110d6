"""A person at the local Stripe's hosted Checkout, without a browser: reads the form, fills it, posts it."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from local.embedded import EmbeddedError

GOOD_CARD = "4242 4242 4242 4242"
REDIRECT = 303


class _Form(HTMLParser):
    """The first form of a page that is posted: where to, and its fields with what stands in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and self.action is None and found.get("method") == "post":
            self.action, self._inside = found.get("action"), True
        elif tag == "input" and self._inside and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


def pay(checkout_url: str, *, card: str = GOOD_CARD, email: str = "owner@example.com") -> str:
    """Pay a Checkout Session with a card; answers the address that the page leads back to."""
    with httpx.Client(trust_env=False) as browser:
        page = browser.get(checkout_url).raise_for_status()
        form = _Form(page.text)
        if form.action is None:
            raise EmbeddedError(f"there is no payment form at {checkout_url}")
        fields = form.fields | {"number": card, "expiry": "12 / 34", "cvc": "123", "name": "Demo Owner"}
        fields["email"] = fields.get("email") or email
        answer = browser.post(urljoin(checkout_url, form.action), data=fields)
    if answer.status_code != REDIRECT:
        raise EmbeddedError(f"Checkout did not take the payment: status {answer.status_code}")
    return answer.headers["location"]
