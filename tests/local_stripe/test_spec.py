"""The description read from the SDK: requests are refused and answers checked by it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import stripe
from stripe._api_version import _ApiVersion

from local.stripe import forms, shapes
from local.stripe.errors import StripeError
from local.stripe.routes import ROUTES
from local.stripe.spec import Spec, installed


def refusal(*pairs: tuple[str, str]) -> dict[str, Any]:
    with pytest.raises(StripeError) as caught:
        forms.validate(installed(), "post", "/v1/payment_intents", forms.decode(pairs))
    return caught.value.error


VALID = (("amount", "500"), ("currency", "usd"))


def test_the_version_is_the_one_that_the_sdk_pins() -> None:
    assert installed().api_version == _ApiVersion.CURRENT


def test_every_route_is_a_call_that_the_sdk_makes() -> None:
    known = set(installed().operations)
    assert [route.template for route in ROUTES if f"{route.method} {route.template}" not in known] == []


def test_a_second_reader_finds_the_cache_of_the_first(tmp_path: Any) -> None:
    first = Spec(tmp_path)
    first.operation("post", "/v1/refunds")
    files = set(first.cache.iterdir())
    second = Spec(tmp_path)
    assert second.operation("post", "/v1/refunds") == first.operation("post", "/v1/refunds")
    assert set(second.cache.iterdir()) == files


def test_nested_lists_maps_booleans_and_integers_are_coerced() -> None:
    pairs = (
        *VALID,
        ("metadata[a]", "1"),
        ("metadata[b]", ""),
        ("expand[0]", "customer"),
        ("automatic_payment_methods[enabled]", "true"),
        ("off_session", "true"),
    )
    params = forms.validate(installed(), "post", "/v1/payment_intents", forms.decode(pairs))
    assert params == {
        "amount": 500,
        "currency": "usd",
        "metadata": {"a": "1", "b": None},
        "expand": ["customer"],
        "automatic_payment_methods": {"enabled": True},
        "off_session": True,
    }


def test_an_unknown_parameter_is_refused_by_its_full_name() -> None:
    error = refusal(*VALID, ("payment_method_options[card][nope]", "1"))
    assert error["code"] == "parameter_unknown"
    assert error["message"] == "Received unknown parameter: payment_method_options[card][nope]"


@pytest.mark.parametrize("value", ["abc", "5.5", "1e3", "nan", " 5"])
def test_a_wrong_integer_is_refused(value: str) -> None:
    error = refusal(("amount", value), ("currency", "usd"))
    assert (error["code"], error["message"]) == ("parameter_invalid_integer", f"Invalid integer: {value}")


def test_a_missing_parameter_is_refused() -> None:
    error = refusal(("amount", "500"))
    assert (error["code"], error["param"]) == ("parameter_missing", "currency")


def test_a_value_outside_an_enum_is_refused() -> None:
    assert refusal(*VALID, ("capture_method", "later"))["param"] == "capture_method"


def test_an_empty_string_where_nothing_can_be_unset_is_refused() -> None:
    assert refusal(*VALID, ("customer", ""))["code"] == "parameter_invalid_empty"


def test_payment_method_types_is_no_longer_supported() -> None:
    error = refusal(*VALID, ("payment_method_types[0]", "card"))
    assert error["code"] == "payment_method_types_no_longer_supported"


def test_a_wrong_shape_is_noticed_wherever_it_is(charge: Any, card: stripe.PaymentMethod) -> None:
    good = charge(card).to_dict()
    assert shapes.problems(installed(), good) == []
    for path, value in (
        (("status",), "paid"),
        (("amount",), "500"),
        (("invoice",), None),
        (("latest_charge", "payment_method_details", "card", "last4"), 4242),
        (("latest_charge", "outcome", "surprise"), 1),
    ):
        bad: Any = copy.deepcopy(good)
        target = bad
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value
        assert shapes.problems(installed(), bad), path
    del good["client_secret"]
    del good["currency"]
    assert shapes.problems(installed(), good) == ["payment_intent: missing field currency"]
