"""HTTP clients for the programs of this package: Refill's API, and the local Stripe's control API."""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import httpx

from local.embedded import EmbeddedError
from shared import money

TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.05
T = TypeVar("T")


class Api:
    """Refill's HTTP API as a platform calls it."""

    def __init__(self, url: str, key: str, account_id: str) -> None:
        self.account_id = account_id
        # By number, as some machines look for localhost on IPv6 first, which costs every new connection time.
        address = url.replace("//localhost", "//127.0.0.1")
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON answer of a GET about the account."""
        return self._json(self._http.get(path, params={"account_id": self.account_id, **query}))

    def post(self, path: str, **body: Any) -> Any:
        """The JSON answer of a POST about the account."""
        return self._json(self.try_post(path, **body))

    def try_post(self, path: str, **body: Any) -> httpx.Response:
        """The answer of a POST about the account, also when it is a refusal."""
        return self._http.post(path, json={"account_id": self.account_id, **body})

    def post_events(self, events: Sequence[Mapping[str, Any]]) -> Any:
        """Report usage that already happened."""
        batch = [{"account_id": self.account_id, **event} for event in events]
        return self._json(self._http.post("/api/credits/usage", json=batch))

    def put(self, path: str, **body: Any) -> Any:
        """The JSON answer of a PUT about the account."""
        return self._json(self._http.put(path, json={"account_id": self.account_id, **body}))

    def open_account(self, name: str, email: str) -> Any:
        """Open the account under its id; a known one stays as it is."""
        body = {"id": self.account_id, "name": name, "email": email}
        return self._json(self._http.post("/api/accounts", json=body))

    def set_member(self, user_id: str, role: str) -> Any:
        """Make a person a member of the account."""
        body = {"user_id": user_id, "role": role}
        return self._json(self._http.put(f"/api/accounts/{self.account_id}/members", json=body))

    def available(self) -> Decimal:
        """The credits that may be spent now."""
        return Decimal(self.get("/api/credits/balance")["available"])

    def transactions(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest entries of the ledger, newest first."""
        rows: list[dict[str, Any]] = self.get("/api/credits/transactions", limit=limit)["data"]
        return rows

    def all_transactions(self) -> list[dict[str, Any]]:
        """Every entry of the ledger, newest first."""
        rows: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get("/api/credits/transactions", limit=100, **cursor)
            rows += page["data"]
            if page["next_cursor"] is None:
                return rows
            cursor = {"cursor": page["next_cursor"]}

    @staticmethod
    def _json(response: httpx.Response) -> Any:
        if response.is_error:
            request = response.request
            raise EmbeddedError(
                f"{request.method} {request.url} answered {response.status_code}: {response.text}"
            )
        return response.json()


class StripeControl:
    """The local Stripe's control API, `/_local/` (see `local.stripe.control`)."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False)

    def look(self, name: str, **query: str) -> Any:
        """What a reading call answers."""
        return self._http.get(f"/_local/{name}", params=query).raise_for_status().json()

    def do(self, name: str, **body: Any) -> Any:
        """Make an acting call."""
        return self._http.post(f"/_local/{name}", json=body).raise_for_status().json()

    def confirmations(self) -> int:
        """How many confirmations of PaymentIntents really ran: replays do not count."""
        found = self.look("requests", method="POST", path="/v1/payment_intents/*/confirm")
        return sum(not request["replayed"] for request in found)


def price_text(price: Mapping[str, Any]) -> str:
    """A price of the API, `{amount, currency}`, as people write it."""
    return money.to_text(price["amount"], price["currency"])


def await_value(read: Callable[[], T | None], what: str, timeout: float = TIMEOUT_SECONDS) -> T:
    """Read until something true comes, or raise EmbeddedError that names what did not come."""
    deadline = time.monotonic() + timeout
    while True:
        value = read()
        if value:
            return value
        if time.monotonic() > deadline:
            raise EmbeddedError(f"not within {timeout:g} s: {what}")
        time.sleep(POLL_SECONDS)
