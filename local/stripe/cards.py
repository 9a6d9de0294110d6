"""Stripe's test cards and what each of them does. A behaviour is what `charging.py` asks of a card."""

from __future__ import annotations

from typing import Any

Behaviour = dict[str, Any]

_SHORTEST = 12

OK: Behaviour = {"outcome": "ok"}


def decline(code: str, decline_code: str | None = None, advice: str | None = None) -> Behaviour:
    return {"outcome": "decline", "code": code, "decline_code": decline_code, "advice_code": advice}


_GENERIC = decline("card_declined", "generic_decline", "try_again_later")

CARDS: dict[str, tuple[str, Behaviour]] = {
    "4242424242424242": ("visa", OK),
    "4000056655665556": ("visa", OK),
    "5555555555554444": ("mastercard", OK),
    "2223003122003222": ("mastercard", OK),
    "378282246310005": ("amex", OK),
    "371449635398431": ("amex", OK),
    "6011111111111117": ("discover", OK),
    "6011000990139424": ("discover", OK),
    "4000000000000341": ("visa", _GENERIC),
    "4000000000000002": ("visa", {**_GENERIC, "at_attach": True}),
    "4000000000009995": (
        "visa",
        {**decline("card_declined", "insufficient_funds", "try_again_later"), "at_attach": True},
    ),
    "4000000000009987": (
        "visa",
        {**decline("card_declined", "lost_card", "do_not_try_again"), "at_attach": True},
    ),
    "4000000000009979": (
        "visa",
        {**decline("card_declined", "stolen_card", "do_not_try_again"), "at_attach": True},
    ),
    "4000000000000069": ("visa", {**decline("expired_card", None, "do_not_try_again"), "at_attach": True}),
    "4000000000000127": ("visa", {**decline("incorrect_cvc", None, "confirm_card_data"), "at_attach": True}),
    "4000000000000119": ("visa", {**decline("processing_error", None, "try_again_later"), "at_attach": True}),
    "4100000000000019": (
        "visa",
        {**decline("card_declined", "fraudulent", "do_not_try_again"), "at_attach": True},
    ),
    "4000002500003155": ("visa", {"outcome": "ok", "sca": "setup"}),
    "4000002760003184": ("visa", {"outcome": "ok", "sca": "always"}),
    "4000003800000446": ("visa", {"outcome": "ok", "sca": "on_session"}),
    "4000008260003178": (
        "visa",
        {**decline("card_declined", "insufficient_funds", "try_again_later"), "sca": "always"},
    ),
    "4000000000000259": ("visa", {"outcome": "ok", "dispute": "fraudulent"}),
    "4000000000000077": ("visa", OK),
}

MAGIC: dict[str, str] = {
    "pm_card_visa": "4242424242424242",
    "pm_card_visa_debit": "4000056655665556",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "371449635398431",
    "pm_card_discover": "6011000990139424",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_visa_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_visa_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
    "pm_card_chargeDeclinedProcessingError": "4000000000000119",
    "pm_card_chargeDeclinedFraudulent": "4100000000000019",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_threeDSecure2Required": "4000002760003184",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequiredSetupForOffSession": "4000003800000446",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "pm_card_createDispute": "4000000000000259",
    "pm_card_bypassPending": "4000000000000077",
}

MESSAGES: dict[str, str] = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


def message(code: str, decline_code: str | None) -> str:
    """The sentence that Stripe shows for a decline."""
    return MESSAGES.get(decline_code or "") or MESSAGES.get(code) or MESSAGES["card_declined"]


def luhn(number: str) -> bool:
    """Whether the card number's check digit is right."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = sum(sum(divmod(digit * 2, 10)) for digit in digits[1::2])
    return number.isdigit() and len(number) >= _SHORTEST and (sum(digits[::2]) + doubled) % 10 == 0


def behaviour_for(number: str) -> tuple[str, Behaviour]:
    """Brand and behaviour; a valid number that is no test card is an ordinary good card."""
    brand = {"3": "amex", "5": "mastercard", "2": "mastercard", "6": "discover"}.get(number[:1], "visa")
    return CARDS.get(number, (brand, OK))
