"""Subscriptions: mirrored, never followed backwards; paid invoice lines grant once, by the plan, in any order."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.sql.books import CREDIT, Books

MONTH = 30 * 86_400
START = 1_790_000_000
STARTER = {"product": "refill_plan_starter", "price": "price_inline", "amount": 1900}
PRO = {"product": "refill_plan_pro", "price": "price_inline_pro", "amount": 7900}


@pytest.fixture(autouse=True)
def account(request: pytest.FixtureRequest) -> None:
    """Account "a" with its customer, in the tests of this module."""
    books: Books = request.getfixturevalue("books")
    books.open("a")
    books.ledger.link_customer("a", "cus_a")


def line(cycle: int = 0, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A line of a cycle of Starter."""
    return {
        "id": f"il_{cycle}_{number}",
        **STARTER,
        "subscription": "sub_1",
        "proration": False,
        "quantity": 1,
        "period_start": START + cycle * MONTH,
        "period_end": START + (cycle + 1) * MONTH,
    } | changes


def invoice(cycle: int = 0, *lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The facts of a cycle's paid invoice. The customer of account "a" pays it."""
    return {
        "id": f"in_{cycle + 1}",
        "customer": "cus_a",
        "account": "a",
        "subscription": "sub_1",
        "status": "paid",
        "billing_reason": "subscription_cycle" if cycle else "subscription_create",
        "amount_due": 1900,
        "amount_paid": 1900,
        "currency": "usd",
        "number": f"N-{cycle}",
        "created": START + cycle * MONTH,
        "paid_at": START + cycle * MONTH + 5,
        "period_start": START + cycle * MONTH,
        "period_end": START + (cycle + 1) * MONTH,
        "hosted_url": "https://stripe.test/i",
        "pdf_url": None,
        "lines": list(lines) or [line(cycle)],
    } | changes


def subscription(**changes: Any) -> dict[str, Any]:
    return {
        "id": "sub_1",
        "customer": "cus_a",
        "account": "a",
        "checkout": "subc_1",
        "status": "active",
        "cancel_at_period_end": False,
        "cancel_at": None,
        "ended_at": None,
        "created": START,
        "items": [
            STARTER | {"quantity": 1, "period_start": START, "period_end": START + MONTH},
        ],
    } | changes


def tell(books: Books, **changes: Any) -> str:
    """A reading of the subscription that nobody overtook."""
    version = books.ledger.get_mirror_version(str(changes.get("id", "sub_1")))
    return books.ledger.mirror_subscription(version, subscription(**changes))["outcome"]


def rolled(books: Books, cap: float | None, *, expire: bool = False) -> None:
    books.query(
        "update billing.subscription_plans set rollover_cap = %s, credits_expire = %s where id = 'starter'",
        None if cap is None else int(cap * CREDIT),
        expire,
    )


# Grants


def test_each_paid_cycle_grants_once_however_often_it_is_told(books: Books) -> None:
    for cycle in (0, 1, 2, 3):
        outcomes = [books.ledger.grant_invoice(invoice(cycle))["outcome"] for _ in range(3)]
        assert outcomes == ["granted", "nothing", "nothing"]
    assert (books.balance(), len(books.lots())) == (2000, 4)
    lot = books.query("select kind, source, paid_amount from billing.credit_lots order by id")[0]
    assert (lot["kind"], lot["source"], lot["paid_amount"]) == ("subscription", "invoice_line:il_0_1", 1900)
    entry = books.query("select * from billing.credit_transactions order by id")[0]
    assert (entry["kind"], entry["counter_account"]) == ("subscription", "subscriptions")
    assert books.notices("subscription.credits_granted") == 4
    books.assert_sound()


def test_one_invoice_told_by_twenty_at_once_grants_once(books: Books) -> None:
    answers = books.together(20, lambda _n: books.ledger.grant_invoice(invoice())["outcome"])
    assert sorted(map(str, answers)) == ["granted"] + ["nothing"] * 19
    assert books.balance() == 500
    books.assert_sound()


@pytest.mark.parametrize(
    "facts",
    [
        invoice(0, line(amount=0), amount_due=0, amount_paid=0),
        invoice(1, line(amount=-500)),
        invoice(0, line(price="price_support", product="prod_support")),
        invoice(0, line(price=None, product=None)),
    ],
    ids=["zero", "negative", "another product", "no price"],
)
def test_invoices_that_pay_no_cycle_are_kept_and_grant_nothing(books: Books, facts: dict[str, Any]) -> None:
    assert books.ledger.grant_invoice(facts)["outcome"] == "nothing"
    assert (books.balance(), len(books.ledger.list_invoices("a", 10, None)["data"])) == (0, 1)
    assert books.notices("operations.paid_without_credits") == 0
    books.assert_sound()


@pytest.mark.parametrize("proration", [False, True])
@pytest.mark.parametrize("reason", ["subscription_create", "subscription_update", "manual", None])
def test_what_a_line_pays_for_counts_and_not_why_its_invoice_was_made(
    books: Books, reason: str | None, proration: bool
) -> None:
    whole = {"unit_amount": "1900", "gross": 1900, "interval": "month", "interval_count": 1}
    facts = invoice(1, line(1, proration=proration, **whole), billing_reason=reason)
    assert [books.ledger.grant_invoice(facts)["outcome"] for _ in range(2)] == ["granted", "nothing"]
    assert books.lots() == {"il_1_1": 500}
    books.assert_sound()


@pytest.mark.parametrize("status", ["open", "draft", "void", "uncollectible"])
def test_an_invoice_that_is_not_paid_grants_nothing(books: Books, status: str) -> None:
    with books.nothing_moves():
        assert books.ledger.grant_invoice(invoice(status=status))["outcome"] == "unpaid"


def test_customers_that_are_not_ours_are_left_alone(books: Books) -> None:
    with books.nothing_moves():
        assert books.ledger.grant_invoice(invoice(customer="cus_b", account=None))["outcome"] == "not_ours"
        assert books.ledger.mirror_invoice(0, invoice(customer=None))["outcome"] == "not_ours"
        assert tell(books, customer="cus_b") == "not_ours"


def test_metadata_that_name_another_account_than_the_customers_are_parked(books: Books) -> None:
    with books.nothing_moves():
        assert books.ledger.grant_invoice(invoice(account="b"))["outcome"] == "parked"
        assert books.ledger.mirror_invoice(0, invoice(account="b", status="open"))["outcome"] == "parked"
        assert tell(books, account="b") == "parked"


def test_a_line_of_a_cycle_beside_others_grants_alone_and_by_its_quantity(books: Books) -> None:
    unrelated = line(1, 3, product="prod_support", price="price_support")
    books.ledger.grant_invoice(invoice(1, unrelated, line(1, quantity=3, amount=5700)))
    assert books.lots() == {"il_1_1": 1500}
    books.assert_sound()


def test_the_price_decides_where_two_plans_share_a_product(books: Books) -> None:
    books.query("update billing.subscription_plans set stripe_product_id = 'prod_x' where id <> 'free'")
    books.query("update billing.subscription_plans set stripe_price_id = 'price_pro' where id = 'pro'")
    books.ledger.grant_invoice(invoice(0, line(product="prod_x", price="price_pro")))
    assert books.balance() == 2500


def test_a_line_of_more_credits_than_a_movement_carries_is_refused(books: Books) -> None:
    with books.refused("invalid_value"):
        books.ledger.grant_invoice(invoice(0, line(quantity=3_000_000)))


def test_a_monthly_grant_leaves_a_larger_balance_and_bought_lots_alone(books: Books) -> None:
    books.settle(books.buy())
    books.grant("large", 5000)
    before = books.lots()
    rolled(books, 0)
    books.ledger.grant_invoice(invoice(0))
    books.ledger.grant_invoice(invoice(1))
    assert books.lots() == before | {"il_0_1": 0, "il_1_1": 500}
    assert books.balance() == 5600
    books.assert_sound()


def test_a_grant_pays_a_debt_first(books: Books) -> None:
    books.use(30)
    books.ledger.grant_invoice(invoice())
    assert (books.balance(), books.lots()) == (470, {"il_0_1": 470})
    books.assert_sound()


# Rollover and expiry


def test_without_a_cap_everything_rolls_over_and_never_expires(books: Books) -> None:
    for cycle in range(4):
        books.ledger.grant_invoice(invoice(cycle))
    assert books.value("select count(*) from billing.credit_lots where expires_at < 'infinity'") == 0
    books.age("400 days")
    assert (books.ledger.expire_lots(10), books.balance()) == (0, 2000)


def test_credits_of_a_plan_that_says_so_end_with_their_period(books: Books) -> None:
    rolled(books, None, expire=True)
    now = int(books.value("select extract(epoch from now())"))
    period = {"period_start": now - 86_400, "period_end": now + 86_400}
    books.ledger.grant_invoice(invoice(0, line(**period)))
    books.grant("bought", 10)
    books.spend(100)
    books.age("2 days")
    assert books.ledger.expire_lots(10) == 1
    assert (books.balance(), books.lots()) == (10, {"il_0_1": 0, "bought": 10})
    books.assert_sound()


def test_former_cycles_beyond_the_cap_expire_at_renewal_the_oldest_first(books: Books) -> None:
    rolled(books, 600)
    books.ledger.grant_invoice(invoice(0))
    books.ledger.grant_invoice(invoice(1))
    books.spend(50)
    assert books.balance() == 950
    books.ledger.grant_invoice(invoice(2))
    assert books.lots() == {"il_0_1": 100, "il_1_1": 500, "il_2_1": 500}
    entry = books.query("select * from billing.credit_transactions where kind = 'expiry'")[0]
    assert (entry["amount"], entry["counter_account"]) == (-350 * CREDIT, "expiry")
    books.assert_sound()


def test_a_new_subscription_takes_nothing_of_what_an_ended_one_left(books: Books) -> None:
    rolled(books, 0)
    books.ledger.grant_invoice(invoice(0))
    again = line(3, subscription="sub_2")
    books.ledger.grant_invoice(invoice(3, again, subscription="sub_2", billing_reason="subscription_create"))
    assert books.balance() == 1000


def test_another_plans_renewal_leaves_this_plans_credits(books: Books) -> None:
    rolled(books, 0)
    books.query("update billing.subscription_plans set rollover_cap = 0 where id = 'pro'")
    books.ledger.grant_invoice(invoice(0))
    books.ledger.grant_invoice(invoice(1, line(1, **PRO)))
    assert books.lots() == {"il_0_1": 500, "il_1_1": 2500}


@pytest.mark.parametrize("cap", [None, 0, 200, 700, 1200])
def test_invoices_in_any_order_and_number_end_in_the_same_lots(books: Books, cap: float | None) -> None:
    """40 seeds a cap: five cycles and an invoice of another product, each told three times."""
    rolled(books, cap)
    told = [invoice(cycle) for cycle in range(5)]
    told.append(
        invoice(7, line(7, product="prod_support", price="price_s"), billing_reason="subscription_update")
    )
    found = set()
    for seed in range(40):
        account, customer = f"acc_{seed}", f"cus_{seed}"
        books.open(account)
        books.ledger.link_customer(account, customer)
        history = told * 3
        random.Random(seed).shuffle(history)
        for facts in history:
            lines = [one | {"id": f"{one['id']}_{seed}"} for one in facts["lines"]]
            own = {"id": f"{facts['id']}_{seed}", "customer": customer, "account": account, "lines": lines}
            books.ledger.grant_invoice(facts | own)
        found.add(tuple(sorted((name[:6], left) for name, left in books.lots(account).items())))
        assert books.balance(account) == 2500 if cap is None else 500 + min(cap, 2000)
    assert len(found) == 1
    books.assert_sound()


# Mirrors


def test_a_reading_that_was_overtaken_changes_nothing(books: Books) -> None:
    version = books.ledger.get_mirror_version("sub_1")
    tell(books, status="canceled")
    assert books.ledger.mirror_subscription(version, subscription())["outcome"] == "stale"
    found = books.ledger.get_subscription("a")
    assert found is not None
    assert found["status"] == "canceled"


def test_two_readings_of_one_version_leave_the_first(books: Books) -> None:
    answers = books.together(8, lambda _n: books.ledger.mirror_subscription(0, subscription())["outcome"])
    assert sorted(map(str, answers)) == ["mirrored"] + ["stale"] * 7


def test_an_invoice_read_before_it_was_paid_does_not_set_it_back(books: Books) -> None:
    before = invoice(status="open", amount_paid=0)
    assert books.ledger.mirror_invoice(0, before)["outcome"] == "mirrored"
    version = books.ledger.get_mirror_version("in_1")
    books.ledger.grant_invoice(invoice())
    assert books.ledger.mirror_invoice(version, before)["outcome"] == "stale"
    assert books.ledger.list_invoices("a", 10, None)["data"][0]["status"] == "paid"


def test_status_and_credits_are_independent(books: Books) -> None:
    books.ledger.grant_invoice(invoice())
    tell(books)
    for status in ("past_due", "unpaid", "canceled", "active"):
        tell(books, status=status)
        assert (books.balance(), books.ledger.get_account("a")["status"]) == (500, "active")
    books.spend(500)
    found = books.ledger.get_subscription("a")
    assert found is not None
    assert found["status"] == "active"


def test_the_subscription_is_shown_with_its_plan_and_follows_a_change_of_plan(books: Books) -> None:
    assert books.ledger.get_subscription("a") is None
    support = {"product": "prod_s", "price": "price_s", "quantity": 1, "period_start": 1, "period_end": 2}
    item = subscription()["items"][0]
    tell(books, items=[support, item | {"quantity": 2}])
    found = books.ledger.get_subscription("a")
    assert found is not None
    assert (found["plan"], found["credits_per_cycle"], found["amount"]) == ("starter", 1000 * CREDIT, 1900)
    tell(books, items=[item | PRO], cancel_at=item["period_end"])
    found = books.ledger.get_subscription("a")
    assert found is not None
    assert (found["plan"], found["cancel_at_period_end"]) == ("pro", True)
    tell(books, items=[support])
    assert books.ledger.get_subscription("a") is None


def test_invoices_are_listed_newest_first_and_page_on(books: Books) -> None:
    for cycle in range(5):
        books.ledger.grant_invoice(invoice(cycle))
    first = books.ledger.list_invoices("a", 3, None)
    rest = books.ledger.list_invoices("a", 3, first["next_cursor"])
    assert [row["id"] for row in first["data"] + rest["data"]] == ["in_5", "in_4", "in_3", "in_2", "in_1"]
    assert rest["next_cursor"] is None
    with books.refused("not_found"):
        books.ledger.list_invoices("a", 3, "in_9")


@pytest.mark.parametrize("call", ["get_subscription", "list_invoices"])
def test_an_unknown_account_is_refused(books: Books, call: str) -> None:
    with books.refused("unknown_account"):
        getattr(books.ledger, call)("nobody", *([] if call == "get_subscription" else [3, None]))


# Checkout


def test_a_checkout_freezes_the_plan_and_a_repeat_finds_it(books: Books) -> None:
    opened = books.ledger.open_subscription("subc_1", "a", "starter", "cus_a")
    assert (opened["amount"], opened["product"], opened["own_product"]) == (1900, "refill_plan_starter", True)
    books.query("update billing.subscription_plans set amount = 2900 where id = 'starter'")
    books.ledger.attach_subscription_session("subc_1", "cs_1", "https://stripe.test/cs_1")
    again = books.ledger.open_subscription("subc_1", "a", "starter", "cus_a")
    assert (again["amount"], again["checkout_url"], again["former"]) == (1900, "https://stripe.test/cs_1", [])


def test_what_cannot_be_subscribed_to_is_refused(books: Books) -> None:
    with books.refused("not_found"):
        books.ledger.open_subscription("subc_1", "a", "gold", "cus_a")
    with books.refused("invalid_value"):
        books.ledger.open_subscription("subc_1", "a", "free", "cus_a")
    with books.refused("unknown_account"):
        books.ledger.open_subscription("subc_1", "nobody", "starter", "cus_a")
    with books.refused("not_found"):
        books.ledger.attach_subscription_session("subc_1", "cs_1", "https://stripe.test/cs_1")


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "unpaid", "incomplete", "paused"])
def test_a_second_subscription_is_refused_until_the_first_has_ended(books: Books, status: str) -> None:
    tell(books, status=status)
    with books.refused("state_conflict"):
        books.ledger.open_subscription("subc_2", "a", "pro", "cus_a")
    tell(books, status="canceled")
    assert books.ledger.open_subscription("subc_2", "a", "pro", "cus_a")["plan_id"] == "pro"


def test_a_subscription_that_sells_no_plan_does_not_stand_in_the_way(books: Books) -> None:
    tell(books, items=[subscription()["items"][0] | {"product": "prod_support", "price": "price_support"}])
    books.ledger.open_subscription("subc_2", "a", "pro", "cus_a")


def test_a_checkout_names_the_open_ones_before_it_and_an_older_one_gets_no_address(books: Books) -> None:
    for name in ("subc_1", "subc_2"):
        books.ledger.open_subscription(name, "a", "starter", "cus_a")
    books.ledger.attach_subscription_session("subc_2", "cs_2", "https://stripe.test/cs_2")
    with books.refused("state_conflict"):
        books.ledger.attach_subscription_session("subc_1", "cs_1", "https://stripe.test/cs_1")
    assert books.ledger.open_subscription("subc_3", "a", "pro", "cus_a")["former"] == ["cs_2"]
    # Once its subscription is known, only that decides.
    tell(books, checkout="subc_2", status="canceled")
    assert books.ledger.open_subscription("subc_4", "a", "pro", "cus_a")["former"] == []


def standing(books: Books, name: str = "subc_1") -> tuple[str, int]:
    found = books.ledger.get_subscription_checkout(name)
    assert found is not None
    return found["state"], found["credits"]


def test_a_checkout_is_done_once_its_subscription_is_known_and_its_credits_are_there(books: Books) -> None:
    books.ledger.open_subscription("subc_1", "a", "starter", "cus_a")
    tell(books)
    assert standing(books) == ("open", 0)
    books.ledger.grant_invoice(invoice())
    assert standing(books) == ("done", 500 * CREDIT)
    books.ledger.grant_invoice(invoice(1))
    assert standing(books)[1] == 500 * CREDIT


def test_a_checkout_whose_first_invoice_costs_nothing_is_done_without_credits(books: Books) -> None:
    books.ledger.open_subscription("subc_1", "a", "starter", "cus_a")
    tell(books, status="trialing")
    books.ledger.grant_invoice(invoice(0, line(amount=0), amount_paid=0))
    assert standing(books) == ("done", 0)


def test_a_checkout_that_nobody_pays_any_more_is_over(books: Books) -> None:
    for name in ("subc_1", "subc_2"):
        books.ledger.open_subscription(name, "a", "starter", "cus_a")
    assert (standing(books)[0], standing(books, "subc_2")[0]) == ("over", "open")
    books.query("update billing.subscription_checkouts set created_at = now() - interval '25 hours'")
    assert standing(books, "subc_2")[0] == "over"
    tell(books, checkout="subc_2", status="incomplete")
    assert standing(books, "subc_2")[0] == "open"
    tell(books, checkout="subc_2", status="incomplete_expired")
    assert standing(books, "subc_2")[0] == "over"


def test_the_subscription_of_a_customer_that_was_replaced_is_still_followed(books: Books) -> None:
    tell(books)
    books.ledger.mark_customer_deleted("cus_a")
    books.ledger.link_customer("a", "cus_new")
    assert books.ledger.find_customer_account("cus_a") == "a"
    assert tell(books, status="canceled") == "mirrored"
    books.ledger.open_subscription("subc_2", "a", "pro", "cus_new")
