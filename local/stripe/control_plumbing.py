"""The part of the control API that is about the server: faults, deliveries, the log, what was charged."""

from __future__ import annotations

import fnmatch
from typing import Any

from local.stripe.api import Api
from local.stripe.faults import Fault, Latency
from local.stripe.webhooks import Deliverer, Rule


class Plumbing:
    """See `control.py`."""

    def __init__(self, api: Api, deliverer: Deliverer) -> None:
        self._api = api
        self._engine = api.engine
        self._deliverer = deliverer

    def fail(self, **rule: Any) -> dict[str, Any]:
        self._api.faults.add(Fault(**rule))
        return self.faults()

    def slow(self, path: str, seconds: float, method: str = "*") -> dict[str, Any]:
        self._api.faults.add_latency(Latency(path, seconds, method))
        return self.faults()

    def faults(self) -> dict[str, Any]:
        return {**self._api.faults.describe(), "webhooks": self._deliverer.describe()}

    def clear_faults(self) -> dict[str, Any]:
        self._api.faults.clear()
        return self.faults()

    def webhooks(
        self, action: str, type: str = "*", times: int | None = None, seconds: float = 1.0
    ) -> dict[str, Any]:
        """Lose, delay, duplicate or hold deliveries of new events."""
        self._deliverer.rules.append(Rule(action, type, times, seconds))
        return self.faults()

    def clear_webhooks(self) -> dict[str, Any]:
        """Remove the delivery rules; what is held stays held until `release`."""
        self._deliverer.rules.clear()
        return self.faults()

    def release(self, order: str = "fifo") -> int:
        return self._deliverer.release(order)

    def resend(self, id: str) -> None:
        self._deliverer.resend(id)

    def retry_now(self) -> None:
        self._deliverer.retry_now()

    def set_webhook(self, url: str | None = None, secret: str | None = None) -> dict[str, Any]:
        self._engine.webhook_url = url or self._engine.webhook_url
        self._engine.webhook_secret = secret or self._engine.webhook_secret
        return {"url": self._engine.webhook_url}

    def deliveries(self, type: str = "*") -> list[dict[str, Any]]:
        return self._deliverer.all(type)

    def idle(self) -> bool:
        return self._deliverer.idle()

    def requests(self, method: str = "*", path: str = "*") -> list[dict[str, Any]]:
        """The log: id, at, method, path, params, idempotency_key, status, replayed; oldest first."""
        return [
            dict(entry)
            for entry in list(self._api.log)
            if fnmatch.fnmatchcase(entry["path"], path) and method.upper() in ("*", entry["method"])
        ]

    def charges(self, customer: str | None = None) -> dict[str, Any]:
        """How often and how much was really charged: {succeeded, failed, amount, refunded}."""
        where, args = ("customer = ?", (customer,)) if customer else ("1", ())
        with self._engine.lock:
            found = self._engine.store.select("charge", where, args)
        good = [charge for charge in found if charge["status"] == "succeeded"]
        return {
            "succeeded": len(good),
            "failed": sum(charge["status"] == "failed" for charge in found),
            "amount": sum(charge["amount"] for charge in good),
            "refunded": sum(charge["amount_refunded"] for charge in good),
        }

    def violations(self) -> list[str]:
        return list(self._engine.violations)

    def portal(self, saved: bool = True) -> dict[str, bool]:
        """Whether the Billing Portal has saved settings; without, sessions are refused."""
        with self._engine.transaction():
            self._engine.store.set_setting("portal_saved", saved)
        return {"saved": saved}

    def restrict(self, resource: str, access: str = "none") -> list[list[str]]:
        """Take a permission from the key: `restrict("billing_portal")`; access is none, read, or write (all again)."""
        if access not in ("none", "read", "write"):
            raise ValueError("access must be none, read or write")
        with self._engine.transaction():
            known: list[list[str]] = self._engine.store.setting("restricted", [])
            left = [entry for entry in known if entry[0] != resource]
            left += [[resource, access]] if access != "write" else []
            self._engine.store.set_setting("restricted", left)
        return left

    def other_mode(self, id: str) -> str:
        """An id that exists in live mode only: `No such price: ...; a similar object exists in live mode`."""
        with self._engine.transaction():
            self._engine.store.set_setting(f"other_mode:{id}", True)
        return id

    def prune_keys(self, key: str | None = None) -> int:
        with self._engine.transaction():
            return self._api.keys.prune(key)

    def reset(self) -> None:
        """An empty account: no objects, keys, deliveries, faults, violations."""
        self._api.faults.clear()
        self._api.log.clear()
        self._deliverer.forget()
        with self._engine.transaction():
            self._engine.store.wipe()
        self._engine.violations.clear()
