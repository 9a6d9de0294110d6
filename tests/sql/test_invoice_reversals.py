"""Refunds and disputes of subscription invoices: credits of each granted line follow the money, as those of payments do."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.sql.books import CREDIT, Books
from tests.sql.test_reversals import dispute, refund
from tests.sql.test_subscriptions import PRO, invoice, line, rolled

PRICE = 1900
DAY = 86_400


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a")
    books.ledger.link_customer("a", "cus_a")
    books.ledger.set_default_payment_method("a", "pm_1", {"brand": "visa"}, "test")


@pytest.fixture
def granted(books: Books, account: None) -> str:
    """500 credits of Starter for 19 dollars."""
    books.ledger.grant_invoice(invoice())
    return "in_1"


def tell(books: Books, invoice_id: str, *refunds: dict[str, Any], disputes: Any = ()) -> dict[str, Any]:
    version = books.ledger.get_reversals(None, invoice_id)["version"]
    facts = {"refunds": list(refunds), "disputes": list(disputes)}
    return dict(books.ledger.reverse_payment(None, version, facts, invoice_id))


def counted(books: Books, line_id: str = "il_0_1") -> tuple[float, float, float]:
    row = books.query("select * from billing.subscription_grants where id = %s", line_id)[0]
    return (
        row["refunded_credits"] / CREDIT,
        row["disputed_credits"] / CREDIT,
        row["forgone_credits"] / CREDIT,
    )


def short(books: Books, cap: float | None = None) -> None:
    """Starter, whose credits end tomorrow."""
    rolled(books, cap, expire=True)
    now = int(books.value("select extract(epoch from now())"))
    books.ledger.grant_invoice(invoice(0, line(period_start=now - DAY, period_end=now + DAY)))


def end(books: Books) -> None:
    books.age("2 days")
    books.ledger.expire_lots(10)


def test_a_full_refund_takes_the_cycles_credits_once(books: Books, granted: str) -> None:
    answers = [tell(books, granted, refund(PRICE))["credits"] for _ in range(3)]
    assert answers == [500 * CREDIT, 0, 0]
    assert (books.balance(), books.lots()) == (0, {"il_0_1": 0})
    entry = books.query("select * from billing.credit_transactions where kind = 'refund'")[0]
    assert (entry["source_kind"], entry["source_id"], entry["counter_account"]) == (
        "invoice_line",
        "il_0_1",
        "refunds",
    )
    assert books.notices("payment.refunded") == 1
    books.assert_sound()


def test_parts_take_their_share_of_each_line_and_never_more_than_it_granted(books: Books) -> None:
    """Tax is in what was paid, and not in the lots' prices: the share of what was paid decides."""
    books.ledger.grant_invoice(invoice(0, line(), line(0, 2, **PRO), amount_due=10_000, amount_paid=10_000))
    for parts in ([2500], [2500], [2500, 2500], [2500, 2500, 5000]):
        tell(books, "in_1", *(refund(amount, number) for number, amount in enumerate(parts)))
        gone = sum(parts) / 10_000
        assert books.balance() == 3000 * (1 - gone)
        assert [counted(books, name)[0] for name in ("il_0_1", "il_0_2")] == [500 * gone, 2500 * gone]
        books.assert_sound()
    tell(books, "in_1", *(refund(amount, number) for number, amount in enumerate([2500, 2500, 5000, 5000])))
    assert books.balance() == 0
    assert books.ledger.get_reversals(None, "in_1")["refunded_credits"] == 3000 * CREDIT


def test_spent_credits_become_a_debt_that_the_next_cycle_pays(books: Books, granted: str) -> None:
    books.spend(400)
    tell(books, granted, refund(PRICE))
    assert books.balance() == -400
    with books.refused("insufficient_credits"):
        books.spend(1)
    books.ledger.grant_invoice(invoice(1))
    assert (books.balance(), books.lots()) == (100, {"il_0_1": 0, "il_1_1": 100})
    books.assert_sound()


def test_a_refund_that_fails_gives_the_credits_back_once(books: Books, granted: str) -> None:
    tell(books, granted, refund(950))
    assert books.balance() == 250
    for _ in range(2):
        tell(books, granted, refund(950, status="failed"))
    assert (books.balance(), books.lots()) == (500, {"il_0_1": 500})
    books.assert_sound()


def test_a_dispute_freezes_takes_and_returns_when_won(books: Books, granted: str) -> None:
    tell(books, granted, disputes=[dispute("warning_needs_response", PRICE)])
    assert (books.balance(), books.ledger.get_account("a")["status"]) == (500, "active")
    tell(books, granted, disputes=[dispute("needs_response", PRICE, withdrawn=True)])
    with books.refused("account_paused"):
        books.spend(1)
    assert (books.balance(), counted(books)) == (0, (0, 500, 0))
    tell(books, granted, disputes=[dispute("won", PRICE, withdrawn=True)])
    assert (books.balance(), books.lots()) == (500, {"il_0_1": 500})
    books.spend(1)
    # Once as an inquiry, once as the dispute that it became.
    assert (books.notices("dispute.opened"), books.notices("dispute.closed")) == (2, 1)
    books.assert_sound()


def test_a_lost_dispute_keeps_the_credits_and_pauses_automatic_charges(books: Books, granted: str) -> None:
    books.enable()
    tell(books, granted, disputes=[dispute("lost", PRICE, withdrawn=True)])
    assert (books.balance(), books.settings()["paused_reason"]) == (0, "dispute_lost")
    books.assert_sound()


def test_a_refund_and_a_dispute_of_one_invoice_take_the_grant_at_most(books: Books, granted: str) -> None:
    tell(books, granted, refund(1140), disputes=[dispute("needs_response", PRICE, withdrawn=True)])
    assert (books.balance(), counted(books)) == (0, (300, 200, 0))
    tell(books, granted, refund(1140), disputes=[dispute("won", PRICE)])
    assert (books.balance(), counted(books)) == (200, (300, 0, 0))
    books.assert_sound()


def test_reversals_that_are_told_before_the_grant_are_taken_with_it(books: Books) -> None:
    books.ledger.mirror_invoice(0, invoice(status="open", amount_paid=0))
    tell(books, "in_1", refund(475))
    assert books.balance() == 0
    books.ledger.grant_invoice(invoice())
    assert (books.balance(), counted(books)) == (375, (125, 0, 0))
    books.assert_sound()


def test_an_invoice_that_granted_nothing_keeps_the_refund_and_takes_nothing(books: Books) -> None:
    books.grant("other", 100)
    books.ledger.grant_invoice(invoice(0, line(0, product="prod_s", price="price_s", amount=700)))
    assert tell(books, "in_1", refund(700))["credits"] == 0
    assert (books.balance(), books.notices("payment.refunded")) == (100, 0)
    assert [row["id"] for row in books.ledger.get_reversals(None, "in_1")["reversals"]] == ["re_1"]
    books.assert_sound()


def test_an_older_reading_changes_nothing(books: Books, granted: str) -> None:
    version = books.ledger.get_reversals(None, granted)["version"]
    tell(books, granted, refund(PRICE))
    with books.nothing_moves():
        facts: dict[str, Any] = {"refunds": [], "disputes": []}
        assert books.ledger.reverse_payment(None, version, facts, granted)["outcome"] == "stale"


def test_readings_and_grants_at_once_take_the_credits_once(books: Books) -> None:
    books.ledger.mirror_invoice(0, invoice(status="open", amount_paid=0))

    def act(number: int) -> Any:
        return tell(books, "in_1", refund(PRICE)) if number % 2 else books.ledger.grant_invoice(invoice())

    books.together(8, act)
    tell(books, "in_1", refund(PRICE))
    assert (books.balance(), counted(books)) == (0, (500, 0, 0))
    books.assert_sound()


# Credits that are gone already


def test_credits_that_expired_are_not_taken_again(books: Books) -> None:
    short(books)
    books.grant("bought", 1000)
    books.use(300)
    end(books)
    assert books.balance() == 1000
    tell(books, "in_1", refund(PRICE))
    assert (books.balance(), counted(books)) == (700, (300, 0, 200))
    books.assert_sound()


@pytest.mark.parametrize("used", [0, 100, 300, 500])
@pytest.mark.parametrize("gone", [475, 950, 1900])
def test_a_refund_before_the_end_and_one_after_it_leave_the_same(books: Books, used: int, gone: int) -> None:
    short(books)
    books.grant("bought", 1000)
    books.use(used)
    with books.connection.transaction():
        # One path is rolled back: both begin with the same books.
        books.query("savepoint path")
        refunded_then_ended = path(books, gone, ("refund", "end"))
        books.query("rollback to savepoint path")
        assert path(books, gone, ("end", "refund")) == refunded_then_ended
    books.assert_sound()


def path(books: Books, gone: int, steps: tuple[str, ...]) -> float:
    """The steps in the test's own transaction."""
    for step in steps:
        if step == "end":
            past = "now() - interval '1 second'"
            books.query(f"update billing.credit_lots set expires_at = {past} where kind = 'subscription'")
            books.query(f"update billing.credit_balances set next_expiry_at = {past} where account_id = 'a'")
            books.query("select billing._expire_account_lots('a')")
        else:
            facts = Jsonb({"refunds": [refund(gone)], "disputes": []})
            books.query("select billing.reverse_payment(null, 0, %s, 'in_1')", facts)
    return books.balance()


def test_what_a_cap_let_expire_is_not_taken_again(books: Books) -> None:
    rolled(books, 100)
    books.ledger.grant_invoice(invoice(0))
    books.ledger.grant_invoice(invoice(1))
    assert books.lots() == {"il_0_1": 100, "il_1_1": 500}
    tell(books, "in_1", refund(PRICE))
    assert (books.lots(), counted(books)) == ({"il_0_1": 0, "il_1_1": 500}, (100, 0, 400))
    tell(books, "in_1", refund(PRICE, status="failed"))
    assert (books.lots(), counted(books)) == ({"il_0_1": 100, "il_1_1": 500}, (0, 0, 0))
    books.assert_sound()


def test_what_comes_back_after_the_lots_end_pays_debt_and_ends_with_it(books: Books) -> None:
    short(books)
    books.use(300)
    end(books)
    tell(books, "in_1", disputes=[dispute("needs_response", PRICE, withdrawn=True)])
    assert (books.balance(), counted(books)) == (-300, (0, 300, 200))
    tell(books, "in_1", disputes=[dispute("won", PRICE)])
    assert (books.balance(), counted(books)) == (0, (0, 0, 0))
    books.ledger.expire_lots(10)
    assert books.balance() == 0
    books.assert_sound()


def test_any_history_of_use_ends_and_reversals_ties_out(books: Books) -> None:
    """120 seeds, an account each."""
    rolled(books, 300, expire=True)
    for seed in range(120):
        random_, account = random.Random(seed), f"acc_{seed}"
        books.open(account, 50)
        books.ledger.link_customer(account, f"cus_{seed}")
        now = int(books.value("select extract(epoch from now())"))
        period = {"period_start": now - DAY, "period_end": now + random_.choice([-1, DAY])}
        own = {"customer": f"cus_{seed}", "account": account}
        for cycle in range(random_.randint(1, 3)):
            only = line(cycle, **period) | {"id": f"il_{seed}_{cycle}"}
            books.ledger.grant_invoice(invoice(cycle, only, **own) | {"id": f"in_{seed}_{cycle}"})
            for _ in range(random_.randint(0, 5)):
                status = random_.choice(["succeeded", "pending", "failed", "canceled"])
                again = refund(random_.randint(1, PRICE), random_.choice([1, 2]), status)
                told = again | {"id": f"{again['id']}_{seed}_{cycle}"}
                tell(books, f"in_{seed}_{cycle}", told)
                if random_.random() < 0.5:
                    books.use(random_.randint(1, 400), account=account)
                if random_.random() < 0.3:
                    books.ledger.expire_lots(10)
    books.assert_sound()
    month = books.value("select date_trunc('month', now())::date")
    statement = books.ledger.get_statement("acc_7", month)
    assert statement["opening"] + statement["net"] == statement["closing"]


# Warnings, refusals, the schema


def test_an_early_fraud_warning_of_an_invoice_pauses_automatic_charges(books: Books, granted: str) -> None:
    books.enable()
    for _ in range(2):
        books.ledger.warn_of_fraud("issfr_1", None, "made_with_stolen_card", granted)
    assert (books.settings()["paused_reason"], books.balance()) == ("fraud_warning", 500)
    assert books.notices("operations.fraud_warning") == 1
    books.assert_sound()


@pytest.mark.parametrize("ids", [(None, None), (None, "in_9"), ("pay_1", "in_1")])
def test_exactly_one_thing_that_exists_must_be_named(books: Books, granted: str, ids: Any) -> None:
    books.settle(books.buy())
    payment_id, invoice_id = ids
    facts: dict[str, Any] = {"refunds": [], "disputes": []}
    for call in (
        lambda: books.ledger.get_reversals(payment_id, invoice_id),
        lambda: books.ledger.reverse_payment(payment_id, 0, facts, invoice_id),
        lambda: books.ledger.warn_of_fraud("w", payment_id, None, invoice_id),
    ):
        with books.refused("not_found"):
            call()


def test_a_reversal_names_a_payment_or_an_invoice_and_not_both(books: Books, granted: str) -> None:
    payment = books.buy()
    insert = (
        "insert into billing.payment_reversals (id, account_id, payment_id, invoice_id, kind, amount, status, is_taken,"
        " is_open, occurred_at) values (%s, 'a', %s, %s, 'refund', 1, 'failed', false, false, now())"
    )
    for number, (one, other) in enumerate([(None, None), (payment, granted)]):
        with pytest.raises(psycopg.errors.CheckViolation):
            books.query(insert, f"re_{number}", one, other)
    books.query(insert, "re_8", payment, None)
    books.query(insert, "re_9", None, granted)


def test_invoices_are_listed_without_the_counters_of_readings(books: Books, granted: str) -> None:
    tell(books, granted, refund(PRICE))
    row = books.ledger.list_invoices("a", 10, None)["data"][0]
    assert (row["id"], "version" in row, "reversals_version" in row) == (granted, False, False)


def test_70_the_version_before_that_names_payments_only_still_works(books: Books) -> None:
    """Both versions run during a release: calls by the former names and number of arguments."""
    payment = books.buy()
    books.settle(payment)
    facts = Jsonb({"refunds": [refund(500)], "disputes": []})
    assert books.value("select billing.get_reversals(p_payment_id => %s)->>'version'", payment) == "0"
    told = "select billing.reverse_payment(p_payment_id => %s, p_version => 0, p_facts => %s)->>'outcome'"
    assert books.value(told, payment, facts) == "reversed"
    books.query(
        "select billing.warn_of_fraud(p_warning_id => 'w', p_payment_id => %s, p_fraud_type => null)", payment
    )
    assert books.balance() == 0
    books.assert_sound()
