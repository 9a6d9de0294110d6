"""Payment methods besides cards: bank debits (US and SEPA), Link, Cash App. Each with its own `type` and details.

Bank debits are `processing` when they are confirmed and settle or fail days later: by the clock, or when the control API
says so. The account numbers that fail are Stripe's (docs.stripe.com/payments/ach-direct-debit#test-account-numbers,
docs.stripe.com/payments/sepa-debit/accept-a-payment#test-integration).
"""

from __future__ import annotations

import hashlib
from typing import Any

from local.stripe import cards
from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_param
from local.stripe.objects import ONLY_IN, billing_details
from local.stripe.store import Obj

_DAY = 86400
TYPES = ("us_bank_account", "sepa_debit", "link", "cashapp")
SETTLES = {"us_bank_account": 4 * _DAY, "sepa_debit": 5 * _DAY}
"""Seconds after which a bank debit is settled by itself."""

_ACH = {
    "000111111113": "account_closed",
    "000111111116": "no_account",
    "000222222227": "insufficient_funds",
    "000333333335": "debit_not_authorized",
}
_SEPA = {"DE62370400440532013001": "insufficient_funds", "AT861904300235473202": "debit_not_authorized"}
_IBAN_SHORTEST = 15
_GOOD_ACH, _GOOD_IBAN = "000123456789", "DE89370400440532013000"

MAGIC = {
    "pm_usBankAccount_success": {"us_bank_account": {"account_number": _GOOD_ACH}},
    "pm_usBankAccount_accountClosed": {"us_bank_account": {"account_number": "000111111113"}},
    "pm_usBankAccount_noAccount": {"us_bank_account": {"account_number": "000111111116"}},
    "pm_usBankAccount_insufficientFunds": {"us_bank_account": {"account_number": "000222222227"}},
    "pm_usBankAccount_debitNotAuthorized": {"us_bank_account": {"account_number": "000333333335"}},
}


def of_magic(call: Call, name: str) -> Obj:
    """A PaymentMethod by Stripe's name of a test account."""
    (kind, details), *_ = MAGIC[name].items()
    return build(call, {"type": kind, kind: {"routing_number": "110000000", **details}})


def typed(kind: str, account: str | None = None) -> dict[str, Any]:
    """What a customer types on a page, as the parameters of a PaymentMethod."""
    given: dict[str, dict[str, Any]] = {
        "us_bank_account": {"account_number": account or _GOOD_ACH, "routing_number": "110000000"},
        "sepa_debit": {"iban": account or _GOOD_IBAN},
    }
    return {"type": kind, kind: given.get(kind, {})}


def build(call: Call, data: dict[str, Any]) -> Obj:
    """A PaymentMethod of one of `TYPES`, attached to nobody, not yet stored."""
    kind = data["type"]
    billing = data.get("billing_details") or {}
    given = data.get(kind) or {}
    details, behaviour = {
        "us_bank_account": _us_bank_account,
        "sepa_debit": _sepa_debit,
        "link": _link,
        "cashapp": _cashapp,
    }[kind](given, billing)
    return {
        "id": call.id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(billing),
        kind: details,
        "created": call.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
        "_behaviour": behaviour,
        "_details": {kind: _charge_details(kind, details)},
    }


def _us_bank_account(given: dict[str, Any], billing: dict[str, Any]) -> tuple[Obj, cards.Behaviour]:
    number = given.get("account_number")
    if not number:
        raise missing_param("us_bank_account[account_number]")
    if not billing.get("name") and "account_holder_type" in given:
        raise missing_param("billing_details[name]")
    details = {
        "account_holder_type": given.get("account_holder_type", "individual"),
        "account_type": given.get("account_type", "checking"),
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": _fingerprint(number),
        "last4": number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": given.get("routing_number", "110000000"),
        "status_details": {},
    }
    return details, {"outcome": "processing", "settles": _ACH.get(number)}


def _sepa_debit(given: dict[str, Any], _billing: dict[str, Any]) -> tuple[Obj, cards.Behaviour]:
    iban = str(given.get("iban") or "").replace(" ", "").upper()
    if not iban:
        raise missing_param("sepa_debit[iban]")
    if len(iban) < _IBAN_SHORTEST or not iban[:2].isalpha():
        raise invalid("The IBAN you provided is invalid.", "sepa_debit[iban]", "invalid_bank_account_iban")
    details = {
        "bank_code": iban[4:12],
        "branch_code": "",
        "country": iban[:2],
        "fingerprint": _fingerprint(iban),
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }
    return details, {"outcome": "processing", "settles": _SEPA.get(iban)}


def _link(_given: dict[str, Any], billing: dict[str, Any]) -> tuple[Obj, cards.Behaviour]:
    return {"email": billing.get("email")}, cards.OK


def _cashapp(_given: dict[str, Any], _billing: dict[str, Any]) -> tuple[Obj, cards.Behaviour]:
    """The buyer approves on a phone: once for a saved one, each time otherwise."""
    return {"buyer_id": None, "cashtag": "$localbuyer"}, {"outcome": "ok", "sca": "setup"}


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_currency(pm: Obj, currency: str) -> None:
    """Refuse a method that cannot be charged in this currency."""
    only = ONLY_IN.get(pm["type"])
    if only is None or currency in only:
        return
    text = (
        "The currency specified does not match the currency for the attached payment method. The payment method type "
        f"{pm['type']} supports: {', '.join(only)}."
    )
    raise invalid(text, "currency", "payment_method_currency_mismatch")


def _charge_details(kind: str, details: Obj) -> Obj:
    """What `payment_method_details` of a charge says about the method."""
    own = dict(details)
    if kind == "us_bank_account":
        for name in ("financial_connections_account", "networks", "status_details"):
            own.pop(name)
        own.update(expected_debit_date=None, mandate=None, payment_reference=None)
    elif kind == "sepa_debit":
        own.pop("generated_from")
        own.update(expected_debit_date=None, mandate=None)
    elif kind == "link":
        own = {"country": "US", "funding_source_group": None}
    else:
        own["transaction_id"] = None
    return own
