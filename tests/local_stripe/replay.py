"""Sends recorded requests of Stripe itself to the local Stripe and lists what is answered differently.

An exchange is `{method, path, version, params, status, answer}`. Ids in it are placeholders (`cus_r1`); they are learned
from the answers as they come. In an answer, `?` stands for any value; everything else must be equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from local.stripe.app import LocalStripe
from local.stripe.resources import catalogue
from local.stripe.store import Obj
from tests.local_stripe import deviations

FOLDER = Path(__file__).parent / "recordings"
_PLACEHOLDER = re.compile(r"\b([a-z]+(?:_test)?)_r\d+\b")
_NEWEST = {"pi": "payment_intent", "ch": "charge", "in": "invoice", "sub": "subscription", "cus": "customer"}


def scenarios() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


@dataclass
class Result:
    """What a replay found: how many exchanges were sent and skipped, and the differences that no rule explains."""

    replayed: int = 0
    skipped: int = 0
    explained: set[str] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)


class Replay:
    """One scenario against one empty local Stripe."""

    def __init__(self, server: LocalStripe, name: str) -> None:
        self.server = server
        self.exchanges = load(name)
        self.known: dict[str, str] = {}
        self.result = Result()

    def run(self) -> Result:
        _seed(self.server, self.exchanges)
        for exchange in self.exchanges:
            self._one(exchange)
        return self.result

    def _one(self, exchange: dict[str, Any]) -> None:
        reason = deviations.skipped(exchange)
        names = {exchange["path"], *(value for _, value in exchange["params"])}
        unknown = [name for text in names for name in self._unknown(text)]
        if reason is None and unknown:
            reason = deviations.NOT_RECORDED
        if reason is not None:
            self.result.skipped += 1
            self.result.explained.add(reason)
            return
        params = [(key, self._local(value)) for key, value in deviations.translated(exchange)]
        answer = requests.request(
            exchange["method"],
            self.server.url + self._local(exchange["path"]),
            headers={"Authorization": "Bearer sk_test_replay"},
            **{"data" if exchange["method"] == "post" else "params": params},
            timeout=10,
        )
        self.result.replayed += 1
        where = f"{exchange['method']} {exchange['path']}"
        if answer.status_code != exchange["status"]:
            self._note(f"{where}: status {answer.status_code}, not {exchange['status']}: {answer.text[:200]}")
            return
        if exchange["answer"] is not None:
            self._learn(exchange["answer"], answer.json())
            for line in self._compare(exchange["answer"], answer.json(), ""):
                self._note(f"{where}: {line}")

    def _note(self, line: str) -> None:
        reason = deviations.explains(line)
        if reason is None:
            self.result.differences.append(line)
        else:
            self.result.explained.add(reason)

    def _unknown(self, text: str) -> list[str]:
        found = {match.group(): match.group(1) for match in _PLACEHOLDER.finditer(text)}
        return [
            name for name, prefix in found.items() if name not in self.known and not self._guess(name, prefix)
        ]

    def _guess(self, placeholder: str, prefix: str) -> bool:
        """An id whose first answer the recorder lost: the newest object of its kind that no placeholder has yet."""
        kind = _NEWEST.get(prefix)
        taken = set(self.known.values())
        with self.server.engine.lock:
            found = [obj["id"] for obj in self.server.engine.store.select(kind)] if kind else []
        if prefix == "si":
            with self.server.engine.lock:
                newest = self.server.engine.store.select("subscription", limit=1)
            found = [newest[0]["items"]["data"][0]["id"]] if newest else []
        free = [id for id in found if id not in taken]
        if free:
            self.known[placeholder] = free[0]
        return bool(free)

    def _local(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda match: self.known.get(match.group(), match.group()), text)

    def _learn(self, recorded: Any, local: Any) -> None:
        """Placeholders of ids that stand in the same place."""
        if isinstance(recorded, dict) and isinstance(local, dict):
            for key, value in recorded.items():
                self._learn(value, local.get(key))
        elif isinstance(recorded, list) and isinstance(local, list):
            for one, other in zip(recorded, local, strict=False):
                self._learn(one, other)
        elif isinstance(recorded, str) and _PLACEHOLDER.fullmatch(recorded) and isinstance(local, str):
            self.known.setdefault(recorded, local)

    def _compare(self, recorded: Any, local: Any, path: str) -> Iterator[str]:
        if recorded == "?":
            if local is None or isinstance(local, dict | list):
                yield f"{path}: {str(local)[:40]} where Stripe has a value"
        elif isinstance(recorded, dict):
            yield from self._compare_objects(recorded, local, path)
        elif isinstance(recorded, list):
            yield from self._compare_lists(recorded, local, path)
        elif isinstance(recorded, str) and _PLACEHOLDER.fullmatch(recorded):
            if not isinstance(local, str) or self.known.get(recorded, local) != local:
                yield f"{path}: {str(local)[:40]!r}, not the id that Stripe has there"
        elif recorded != local:
            yield f"{path}: {str(local)[:60]!r}, Stripe has {recorded!r}"

    def _compare_objects(self, recorded: dict[str, Any], local: Any, path: str) -> Iterator[str]:
        if not isinstance(local, dict):
            yield f"{path}: {str(local)[:40]!r} where Stripe has an object"
            return
        for key, value in recorded.items():
            inner = f"{path}.{key}" if path else key
            if key in local:
                yield from self._compare(value, local[key], inner)
            else:
                yield f"{inner}: missing"

    def _compare_lists(self, recorded: list[Any], local: Any, path: str) -> Iterator[str]:
        if not isinstance(local, list) or len(local) != len(recorded):
            count = len(local) if isinstance(local, list) else local
            yield f"{path}: {count!r} entries, Stripe has {len(recorded)}"
            return
        for one, other in zip(recorded, local, strict=True):
            yield from self._compare(one, other, f"{path}[]")


def _seed(server: LocalStripe, exchanges: list[dict[str, Any]]) -> None:
    """Catalogue that the recorded account had: prices with their products, and coupons, by their own ids."""
    with server.engine.transaction():
        call = server.engine.call()
        recorded = list(_objects(exchanges))
        named = [obj["product"] for obj in recorded if obj["object"] == "price" and obj["product"]]
        for obj in [*recorded, *deviations.CATALOGUE]:
            if obj["object"] == "price":
                _seed_price(call, obj, obj["product"] or (named or ["prod_test"])[0])
            elif server.engine.store.any(obj["id"]) is None:
                call.put({**deviations.COUPON, **{k: v for k, v in obj.items() if v != "?"}})


def _seed_price(call: Any, obj: Obj, product: str) -> None:
    if call.engine.store.any(obj["id"]) is not None:
        return
    if call.engine.store.any(product) is None:
        catalogue.product(call, {"id": product, "name": "Test Subscription"})
    data = {"product": product, "currency": obj["currency"], "unit_amount": obj["unit_amount"]}
    if obj["recurring"]:
        data["recurring"] = {name: obj["recurring"][name] for name in ("interval", "interval_count")}
    made = catalogue.price(call, data)
    call.engine.store.delete(made["id"])
    call.put({**made, "id": obj["id"], "nickname": "Seeded"})


def _objects(value: Any) -> Iterator[Obj]:
    if isinstance(value, dict):
        if value.get("object") in ("price", "coupon") and isinstance(value.get("id"), str):
            yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)
