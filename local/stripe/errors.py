"""Errors as Stripe words them. Raised anywhere, turned into an HTTP answer by `api.py`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

DOCS = "https://docs.stripe.com/error-codes/"


class StripeError(Exception):
    """An HTTP status and the `error` object of its body; `saved` says whether an idempotency key keeps it."""

    def __init__(self, status: int, message: str, type: str = "invalid_request_error", **fields: Any) -> None:
        super().__init__(message)
        code = fields.get("code")
        self.status = status
        self.saved = status not in (401, 403, 409, 429) and not str(code).startswith("parameter_")
        self.error: dict[str, Any] = {"message": message, "type": type}
        self.error.update({name: value for name, value in fields.items() if value is not None})
        if code:
            self.error["doc_url"] = DOCS + str(code).replace("_", "-")

    @property
    def declined(self) -> bool:
        """A card refused: the one kind of error whose effects Stripe keeps."""
        return self.status == HTTPStatus.PAYMENT_REQUIRED

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}


def invalid(message: str, param: str | None = None, code: str | None = None, **fields: Any) -> StripeError:
    """400: the request cannot be done as asked."""
    return StripeError(400, message, param=param, code=code, **fields)


def missing_object(
    kind: str, id: str, param: str, status: int = 404, other_mode: bool = False
) -> StripeError:
    """An id that is not known: 404 in a path, 400 in a parameter."""
    name = {"checkout.session": "checkout.session", "payment_method": "PaymentMethod"}.get(kind, kind)
    text = f"No such {name}: '{id}'"
    if other_mode:
        text += "; a similar object exists in live mode, but a test mode key was used to make this request."
    return StripeError(status, text, param=param, code="resource_missing")


def missing_param(param: str) -> StripeError:
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def unexpected_state(message: str, **objects: Any) -> StripeError:
    """400 with the object inside, when its status does not allow the call."""
    kind = "setup_intent" if "setup_intent" in objects else "payment_intent"
    return invalid(message, code=f"{kind}_unexpected_state", **objects)


def card_error(message: str, code: str, **fields: Any) -> StripeError:
    """402: the card did not pay."""
    return StripeError(402, message, "card_error", code=code, **fields)


def lock_timeout() -> StripeError:
    return StripeError(
        429,
        "This object cannot be accessed right now because another API request or Stripe process is "
        "currently accessing it. If you see this error intermittently, retry the request. If you see this "
        "error frequently and are making multiple concurrent requests to a single object, make your "
        "requests serially or at a lower rate.",
        code="lock_timeout",
    )


def key_in_use(key: str) -> StripeError:
    return StripeError(
        409,
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {key}. Please try again later.",
        code="idempotency_key_in_use",
    )


def key_mismatch(key: str) -> StripeError:
    error = StripeError(
        400,
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request.",
        "idempotency_error",
    )
    error.saved = False
    return error
