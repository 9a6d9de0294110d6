"""The command line: what it prints, how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.support import Database, free_port
from tests.web.conftest import event, make_settings, signature
from web import create_app

ROOT = Path(__file__).resolve().parents[2]


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=words)


def test_account_and_key_that_were_made_work(app: Flask, client: FlaskClient) -> None:
    made = run(app, "accounts", "create", "--name", "Acme", "--email", "a@b.example")
    account_id = made.output.splitlines()[-1]
    key = run(app, "api-keys", "create", "--name", "k", "--scopes", "read,spend", "--account", account_id)
    token = {"Authorization": f"Bearer {key.output.splitlines()[-1]}"}
    balance = client.get("/api/credits/balance", headers=token)
    assert (balance.json["account_id"], balance.json["available"]) == (account_id, "100")


def test_account_with_an_id_of_its_own_is_opened_once(app: Flask) -> None:
    for _ in range(2):
        made = run(app, "accounts", "create", "--name", "Acme", "--id", "acme")
        assert (made.exit_code, made.output.splitlines()[-1]) == (0, "acme")


def test_show_and_adjust(app: Flask, acme: str, ledger: Ledger) -> None:
    assert '"available": "100"' in run(app, "accounts", "show", acme).output
    adjusted = run(app, "accounts", "adjust", acme, "-2.5", "--reason", "test")
    assert (adjusted.exit_code, ledger.get_balance(acme)["balance"]) == (0, 97_500_000)


def test_name_and_address_of_an_account_are_edited(app: Flask, acme: str, ledger: Ledger) -> None:
    edited = run(app, "accounts", "edit", acme, "--name", "Acme Ltd", "--email", "new@acme.example")
    assert (edited.exit_code, '"email": "new@acme.example"' in edited.output) == (0, True)
    assert ledger.get_account(acme)["name"] == "Acme Ltd"
    assert run(app, "accounts", "edit", acme).exit_code == 1


def test_an_erased_account_keeps_its_balance_and_says_what_stays_at_stripe(
    app: Flask, acme: str, ledger: Ledger
) -> None:
    erased = run(app, "accounts", "erase", acme)
    assert (erased.exit_code, "Stripe is left alone" in erased.output) == (0, True)
    assert (ledger.get_account(acme)["name"], ledger.get_balance(acme)["balance"]) == (
        "Erased account",
        100_000_000,
    )
    assert run(app, "accounts", "erase", "nobody").exit_code == 1


def test_revoked_key_is_found_by_name_or_prefix(app: Flask) -> None:
    key = run(app, "api-keys", "create", "--name", "k", "--scopes", "read").output.splitlines()[-1]
    assert key[:11] in run(app, "api-keys", "list").output
    assert run(app, "api-keys", "revoke", key[:11]).exit_code == 0
    assert "revoked" in run(app, "api-keys", "list").output
    assert run(app, "api-keys", "revoke", "k").exit_code == 1


def test_events_are_listed_and_replayed(app: Flask, client: FlaskClient) -> None:
    body = event(livemode=True)
    client.post("/api/webhooks/stripe", data=body, headers={"Stripe-Signature": signature(body)})
    assert "evt_1" in run(app, "events", "list", "--state", "parked").output
    assert run(app, "events", "replay", "evt_1").exit_code == 0
    assert "evt_1" in run(app, "events", "list", "--state", "received").output


def test_parked_payment_is_listed_looked_at_and_closed(app: Flask, acme: str, ledger: Ledger) -> None:
    ledger.link_customer(acme, "cus_acme")
    payment = ledger.open_purchase("pay_1", acme, "credits_100", 1, "cus_acme")
    ledger.settle_payment("pay_1", {"payment_intent": "pi_1", "customer": "cus_acme", "currency": "usd"})
    assert "amount_mismatch" in run(app, "payments", "list", "--state", "parked").output
    assert run(app, "payments", "check", "pay_1").exit_code == 0
    assert ledger.due_work(9)["payments"] == ["pay_1"]
    words = ("accounts", "adjust", acme, "100", "--reason", "payment pay_1", "--id", "pay_1")
    assert "closed first" in run(app, *words).output
    assert run(app, "payments", "close", "pay_1", "--note", "kept").exit_code == 0
    assert run(app, "payments", "list", "--state", "parked").output == ""
    assert payment["id"] in run(app, "payments", "list", "--state", "closed").output
    for _ in range(2):
        assert run(app, *words).exit_code == 0
    assert ledger.get_balance(acme)["balance"] == 200_000_000
    assert run(app, "payments", "check", "pay_1").exit_code == 1
    assert run(app, "payments", "close", "pay_2", "--note", "n").exit_code == 1


def test_action_gets_a_price(app: Flask, ledger: Ledger) -> None:
    assert run(app, "actions", "set", "dance", "2.5").exit_code == 0
    assert {"dance": 2_500_000}.items() <= {
        row["action"]: row["credits"] for row in ledger.list_actions()
    }.items()
    assert "dance" in run(app, "actions", "list").output


def test_rate_card_by_model_and_dimension(app: Flask, ledger: Ledger) -> None:
    rates = (
        "--rate",
        "input_tokens=3/1000000",
        "--rate",
        "calls=0.5",
        "--model",
        "small-1",
        "--unit",
        "token",
    )
    made = run(app, "actions", "set", "llm", *rates)
    assert made.exit_code == 0, made.output
    card = next(row for row in ledger.list_actions() if row["action"] == "llm")
    assert (card["model"], card["credits"], card["unit"]) == ("small-1", None, "token")
    assert card["rates"] == {
        "input_tokens": {"credits": 3_000_000, "per": 1_000_000},
        "calls": {"credits": 500_000, "per": 1},
    }
    assert '"credits": "3"' in run(app, "actions", "list").output


def test_price_that_looks_like_a_slip_wants_confirm(app: Flask, ledger: Ledger) -> None:
    run(app, "actions", "set", "dance", "2")
    slip = run(app, "actions", "set", "dance", "20")
    assert slip.exit_code == 1
    assert "price_change_too_large" in slip.output
    assert run(app, "actions", "set", "dance", "20", "--confirm").exit_code == 0


def test_cards_of_an_account_and_of_later_are_listed_when_asked_for(app: Flask, acme: str) -> None:
    run(app, "actions", "set", "dance", "2", "--account", acme)
    run(app, "actions", "set", "sing", "2", "--from", "2199-01-01T00:00:00Z")
    plain = run(app, "actions", "list").output
    assert '"dance"' not in plain
    assert '"sing"' not in plain
    assert '"dance"' in run(app, "actions", "list", "--account", acme).output
    assert '"sing"' in run(app, "actions", "list", "--upcoming").output


def test_retired_action_has_no_price(app: Flask) -> None:
    run(app, "actions", "set", "dance", "2")
    assert run(app, "actions", "retire", "dance").exit_code == 0
    assert '"dance"' not in run(app, "actions", "list").output


def test_holds_are_listed_and_released(app: Flask, acme: str, ledger: Ledger) -> None:
    ledger.place_hold(acme, {"id": "run/1", "amount": 12_500_000})
    assert "run/1  12.5 of 12.5" in run(app, "holds", "list", acme, "--state", "open").output
    released = run(app, "holds", "release", acme, "run/1")
    assert (released.exit_code, '"available": "100"' in released.output) == (0, True)
    assert "run/1" not in run(app, "holds", "list", acme, "--state", "open").output


def test_limits_are_set_listed_and_removed(app: Flask, acme: str, ledger: Ledger) -> None:
    words = ("limits", "set", acme, "agent", "writer", "day")
    assert run(app, *words, "12.5", "--soft").exit_code == 0
    listed = run(app, "limits", "list", acme).output
    assert '"credits": "12.5"' in listed
    assert '"hard": false' in listed
    assert '"left": "12.5"' in listed
    assert run(app, *words, "--remove").exit_code == 0
    assert ledger.list_limits(acme) == []


def test_parked_usage_is_listed_and_discarded(app: Flask, acme: str, ledger: Ledger) -> None:
    ledger.record_usage([{"id": "e1", "action": "paint", "quantity": 1}], acme)
    parked = run(app, "usage", "parked").output
    assert "unknown_action  acme  e1  paint" in parked
    number = parked.split()[0]
    assert run(app, "usage", "discard", number, "--reason", "a test").exit_code == 0
    assert run(app, "usage", "parked").output == ""
    assert run(app, "usage", "discard", number, "--reason", "again").exit_code == 1


def test_check_ends_with_1_when_the_books_are_wrong(app: Flask, acme: str, database: Database) -> None:
    assert run(app, "check").exit_code == 0
    with database.connect() as connection:
        connection.execute("update billing.credit_balances set balance = balance + 1")
    broken = run(app, "check")
    assert broken.exit_code == 1
    assert "VIOLATED" in broken.output


@pytest.mark.parametrize(
    "words",
    [
        ("accounts", "show", "nobody"),
        ("accounts", "adjust", "nobody", "5", "--reason", "r"),
        ("accounts", "create", "--name", ""),
        ("api-keys", "create", "--name", "k", "--scopes", "everything"),
        ("api-keys", "create", "--name", "k", "--scopes", "read", "--account", "nobody"),
        ("api-keys", "revoke", "nobody"),
        ("events", "replay", "evt_none"),
        ("topups", "cancel", "top_none"),
        ("topups", "resume", "nobody"),
        ("actions", "set", "x", "-1"),
        ("actions", "set", "x", "1e3"),
        ("actions", "set", "x"),
        ("actions", "set", "x", "--rate", "tokens"),
        ("actions", "set", "x", "--rate", "tokens=3/0"),
        ("actions", "set", "x", "--rate", "=3/1"),
        ("actions", "set", "x", "--rate", "a=1/1", "--rate", "a=2/1"),
        ("actions", "set", "x", "1", "--from", "2199-01-01"),
        ("actions", "set", "x", "1", "--account", "nobody"),
        ("actions", "retire", "x"),
        ("holds", "list", "nobody"),
        ("holds", "release", "nobody", "h"),
        ("limits", "list", "nobody"),
        ("limits", "set", "nobody", "agent", "a", "day", "1"),
        ("limits", "set", "nobody", "agent", "a", "day"),
        ("limits", "set", "nobody", "agent", "a", "day", "1", "--remove"),
        ("usage", "discard", "1", "--reason", "r"),
    ],
)
def test_expected_errors_are_a_message_and_a_status(app: Flask, words: tuple[str, ...]) -> None:
    result = run(app, *words)
    assert result.exit_code in (1, 2)
    assert result.output.startswith(("Error: ", "Usage: "))
    assert "Traceback" not in result.output


def test_works_without_redis(dsn: str, ledger: Ledger, acme: str) -> None:
    app = create_app(make_settings(dsn, f"redis://127.0.0.1:{free_port()}"), ledger=ledger)
    assert run(app, "accounts", "adjust", acme, "1", "--reason", "r").exit_code == 0


def test_real_command_migrates_an_empty_database(empty_database: Database, redis_url: str) -> None:
    settings = {
        "REFILL_ENV": "test",
        "SECRET_KEY": "a-secret-for-tests-only",
        "DATABASE_URL": empty_database.dsn,
        "REDIS_URL": redis_url,
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_x",
    }
    done = _flask(settings, "migrate")
    assert done.returncode == 0, done.stderr
    made = _flask(settings, "accounts", "create", "--name", "Acme")
    assert made.stdout.splitlines()[-1].startswith("acc_")


def test_92_wrong_settings_end_the_command_with_one_sentence() -> None:
    done = _flask({"REFILL_ENV": "test"}, "check")
    assert done.returncode != 0
    assert done.stderr.startswith("refill: ")
    assert len(done.stderr.splitlines()) == 1


def _flask(settings: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"]} | settings
    command = [sys.executable, "-m", "flask", "--app", "web", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
