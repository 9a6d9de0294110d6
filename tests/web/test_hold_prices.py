"""Who may say what a hold costs: the rate cards, or a key with the scope price."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.web.conftest import Counts, KeyMaker
from tests.web.test_holds import Platform, refused


def test_reserving_an_amount_needs_no_scope_price_and_settling_one_does(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts
) -> None:
    platform = Platform(client, key(["spend"], acme))
    assert platform.hold().status_code == 201
    before = money()
    for body in ({"amount": "1"}, {"amount": "0"}, {"usage": {"action": "chat", "amount": "1"}},
                 {"usage": [{"action": "chat"}, {"amount": "1"}]}):  # fmt: skip
        response = platform.do("settle", **body)
        assert refused(response, 403, "scope_missing")
        assert response.json["scope"] == "price"
    assert money() == before
    assert platform.do("settle", usage={"action": "chat"}).json["settled"] == "2.5"


def test_a_key_without_the_scope_price_cannot_charge_what_it_reserved_by_itself(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts
) -> None:
    platform = Platform(client, key(["spend"], acme))
    platform.hold()
    before = money()
    assert refused(platform.do("settle"), 403, "scope_missing")
    assert refused(platform.hold("both", amount="0.000001", action="chat"), 403, "scope_missing")
    assert money() == before
    platform.hold("priced", amount=None, action="chat")
    before = money()
    more = {"final": False, "id": "d", "usage": {"action": "chat"}, "reserve": "5"}
    assert refused(platform.do("settle", "priced", **more), 403, "scope_missing")
    assert money() == before
    assert platform.do("settle", "priced").json["settled"] == "2.5"
    assert platform.do("settle", **more).json["refusal"] is None
