"""`/v1`: authentication, faults, idempotency, validation, execution, expansion, Stripe's headers.

Waiting (latency, hanging, an object that another request holds) happens outside the engine's lock;
execution, its events and the saved idempotent answer are one transaction.
"""

from __future__ import annotations

import json
import re
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local.stripe import forms
from local.stripe.engine import Call, Engine, ShapeError
from local.stripe.errors import StripeError, invalid, lock_timeout
from local.stripe.faults import Fault, Faults
from local.stripe.idempotency import Keys
from local.stripe.lists import expand
from local.stripe.routes import match
from local.stripe.routing import Route
from local.stripe.store import public

# Where a permission is not named like its resource (docs.stripe.com/stripe-apps/reference/permissions).
_PERMISSIONS = {"billing_portal": "customer_portal", "checkout": "checkout_session"}
_KEY_LENGTH = 255
# What a browser may do with a publishable key: the calls of Stripe.js (docs.stripe.com/keys). The rest is refused.
_PUBLISHABLE = (
    ("get", re.compile(r"/v1/(payment|setup)_intents/[^/]+")),
    ("post", re.compile(r"/v1/(payment|setup)_intents/[^/]+/confirm")),
    ("post", re.compile(r"/v1/payment_methods")),
)
# Who is not there cannot say so: only the server knows (docs.stripe.com/api/payment_intents/confirm, "secret key only").
_SECRET_ONLY = ("off_session", "error_on_requires_action", "mandate")
# docs.stripe.com/api/payment_intents/object: with a publishable key only a part of the object is answered.
_SECRET_FIELDS = (
    "amount_capturable",
    "amount_received",
    "application",
    "application_fee_amount",
    "customer",
    "latest_charge",
    "metadata",
    "on_behalf_of",
    "review",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
)


@dataclass(frozen=True)
class Request:
    """One HTTP request, as far as Stripe looks at it."""

    method: str
    path: str
    pairs: list[tuple[str, str]]
    key: str | None
    authorization: str


@dataclass
class Answer:
    """What goes back; `drop`: the connection is cut instead; `saved`: an idempotency key keeps it."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    saved: bool = True


class Api:
    """Answers requests against an engine and keeps the log of them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.faults = Faults()
        self.keys = Keys(engine.store, engine.now)
        self.log: deque[dict[str, Any]] = deque(maxlen=20_000)
        self._objects: dict[str, list[Any]] = {}
        self._guard = threading.Lock()

    def answer(self, request: Request) -> Answer:
        """Handle one request from key check to log entry."""
        request_id = self.engine.id("req")
        entry = {
            "id": request_id,
            "at": time.time(),
            "method": request.method.upper(),
            "path": request.path,
            "params": forms.decode(request.pairs),
            "idempotency_key": request.key,
            "status": None,
            "replayed": False,
        }
        self.log.append(entry)
        answer = self._with_faults(request, request_id)
        entry["status"] = None if answer.drop else answer.status
        entry["replayed"] = "Idempotent-Replayed" in answer.headers
        answer.headers.setdefault("Request-Id", request_id)
        answer.headers["Stripe-Version"] = self.engine.spec.api_version
        if request.key:
            answer.headers["Idempotency-Key"] = request.key
        return answer

    def _with_faults(self, request: Request, request_id: str) -> Answer:
        try:
            _authenticate(request)
            self._check_permission(request)
            fault = self.faults.take(request.method, request.path)
            if fault and fault.stage == "before":
                return self._faulty(fault, request, request_id)
            answer = self._idempotent(request, request_id, fault)
        except StripeError as error:
            return _refusal(error)
        if fault is None:
            return answer
        if fault.kind == "timeout":
            time.sleep(fault.seconds)
        return Answer(500, "", drop=True) if fault.drops else _refusal(fault.error())

    def _faulty(self, fault: Fault, request: Request, request_id: str) -> Answer:
        if fault.kind == "timeout":
            time.sleep(fault.seconds)
        answer = Answer(500, "", drop=True) if fault.drops else _refusal(fault.error())
        if fault.saved and request.key and request.method == "post":
            print_of = Keys.fingerprint(request.method, request.path, request.pairs)
            with self.engine.transaction():
                self.keys.save(request.key, print_of, answer.status, answer.body, request_id)
        return answer

    def _idempotent(self, request: Request, request_id: str, fault: Fault | None) -> Answer:
        if request.key is None or request.method != "post":
            return self._execute(request, request_id, None, fault)
        if len(request.key) > _KEY_LENGTH:
            raise invalid("Idempotency keys can be at most 255 characters.", code="idempotency_key_too_long")
        print_of = Keys.fingerprint(request.method, request.path, request.pairs)
        with self.engine.lock:
            saved = self.keys.begin(request.key, print_of)
        if saved:
            headers = {"Idempotent-Replayed": "true", "Original-Request": saved[2], "Request-Id": saved[2]}
            return Answer(saved[0], saved[1], headers)
        try:
            return self._execute(request, request_id, print_of, fault)
        finally:
            self.keys.end(request.key)

    def _execute(
        self, request: Request, request_id: str, print_of: str | None, fault: Fault | None
    ) -> Answer:
        found = match(request.method, request.path)
        named = f"{request.method} {request.path}" in self.engine.spec.operations
        if found is None or (named and found[0].template != request.path):
            return self._no_route(request)
        route, ids = found
        raw = forms.decode(request.pairs)
        publishable = "pk_" in request.authorization
        if publishable:
            raw.pop("key", None)
        secret = raw.get("client_secret") if publishable else None
        if publishable and request.method == "post":
            raw.pop("client_secret", None)
            if refused := next((name for name in _SECRET_ONLY if name in raw), None):
                raise invalid(f"{refused} can only be set with a secret key.", refused)
        params = forms.validate(self.engine.spec, request.method, route.template, raw)
        call = Call(self.engine, request_id, request.key, params, publishable)
        with self._hold(request, ids):
            latency = self.faults.latency(request.method, request.path)
            if latency:
                time.sleep(latency)
            with self.engine.transaction():
                if publishable:
                    self._check_secret(ids, secret)
                answer = self._run(route, call, ids)
                kept = _kept(answer, fault)
                if print_of and request.key and kept.saved:
                    self.keys.save(request.key, print_of, kept.status, kept.body, request_id)
        return answer

    def _run(self, route: Route, call: Call, ids: dict[str, str]) -> Answer:
        try:
            with self.engine.attempt():
                obj = public(expand(call, route.handler(call, **ids)))
                self.engine.check(obj)
            if call.publishable:
                obj = {name: value for name, value in obj.items() if name not in _SECRET_FIELDS}
            return Answer(200, json.dumps(obj))
        except StripeError as error:
            return _refusal(error)
        except ShapeError as error:
            return _internal(f"The local Stripe made something that Stripe would not: {error}")
        except Exception as error:  # noqa: BLE001 - a bug here must be seen by the tests, not end the server
            traceback.print_exc()
            self.engine.violations.append(f"{route.method} {route.template}: {error!r}")
            return _internal(f"The local Stripe failed: {error!r}")

    def _no_route(self, request: Request) -> Answer:
        if not self.engine.spec.knows(request.method, request.path):
            verb = f"({request.method.upper()}: {request.path})"
            return _refusal(StripeError(404, f"Unrecognized request URL {verb}."))
        text = f"Stripe has {request.method.upper()} {request.path}, the local Stripe does not."
        self.engine.violations.append(text)
        return _refusal(StripeError(501, text, "api_error"))

    def _check_permission(self, request: Request) -> None:
        """Resources that the key was restricted from (`restrict` of the control API): 403, and what is missing."""
        with self.engine.lock:
            refused = self.engine.store.setting("restricted", [])
        writes = request.method != "get"
        for resource, access in refused:
            path = f"/v1/{resource}"
            if (writes or access == "none") and (request.path == path or request.path.startswith(f"{path}/")):
                raise _forbidden(request.authorization, resource, "write" if writes else "read")

    def _check_secret(self, ids: dict[str, str], secret: Any) -> None:
        """A publishable key may only touch what it has the client secret of."""
        for id in ids.values():
            obj = self.engine.store.any(id)
            if obj and obj.get("client_secret") and obj["client_secret"] != secret:
                raise StripeError(401, "The client_secret provided does not match any associated object.")

    @contextmanager
    def _hold(self, request: Request, ids: dict[str, str]) -> Iterator[None]:
        """One writing request at a time for an object; who waits too long gets Stripe's lock_timeout."""
        id = next(iter(ids.values()), None)
        if id is None or request.method == "get":
            yield
            return
        with self._guard:
            held = self._objects.setdefault(id, [threading.Lock(), 0])
            held[1] += 1
        try:
            if not held[0].acquire(timeout=self.engine.config.lock_wait):
                raise lock_timeout()
            try:
                yield
            finally:
                held[0].release()
        finally:
            with self._guard:
                held[1] -= 1
                if held[1] == 0:
                    self._objects.pop(id, None)


def _authenticate(request: Request) -> None:
    key = request.authorization
    if not key:
        raise StripeError(
            401,
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        )
    if "_live_" in key or not key.startswith(("sk_", "rk_", "pk_")):
        raise StripeError(401, f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:]}")
    if key.startswith("pk_") and not any(
        method == request.method and path.fullmatch(request.path) for method, path in _PUBLISHABLE
    ):
        raise StripeError(
            403,
            "This API call cannot be made with a publishable API key. Please use a secret API key.",
            code="secret_key_required",
        )


def _forbidden(key: str, resource: str, needed: str) -> StripeError:
    """In Stripe's words (st-paywall#36, stripe-node#2246); there is a status and a sentence, no code."""
    name = _PERMISSIONS.get(resource) or resource.replace("/", "_").removesuffix("s")
    shown = f"{key[:8]}{'*' * 12}{key[-6:]}"
    return StripeError(
        403,
        f"The provided key '{shown}' does not have the required permissions for this endpoint on account "
        f"'acct_local'. Having the 'rak_{name}_{needed}' permission would allow this request to continue.",
    )


def _kept(answer: Answer, fault: Fault | None) -> Answer:
    """What an idempotency key shall replay: as Stripe does, the 5xx that a fault puts in its place."""
    if fault is None or fault.drops or fault.saved is False:
        return answer
    shown = _refusal(fault.error())
    return shown if shown.saved else answer


def _refusal(error: StripeError) -> Answer:
    return Answer(error.status, json.dumps(error.body), saved=error.saved)


def _internal(message: str) -> Answer:
    body = json.dumps({"error": {"message": message, "type": "api_error"}})
    return Answer(500, body, {"Stripe-Should-Retry": "false"})
