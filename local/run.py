"""`python -m local.run`: all of Refill on this machine, with a demo account and live traffic, until Ctrl-C.

Data, ports and keys stay in `.local/run`, so that the next start goes on where this one ended.
"""

import argparse
import datetime as dt
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import NoReturn

from local import buyer
from local.api import Api, await_value
from local.embedded import EmbeddedError, listening
from local.services import ROOT
from local.stack import Stack
from local.story import Story
from local.traffic import Traffic
from shared import keys
from shared.settings import Settings
from supabase import create_client
from web.api.auto_topup import CONSENT_TEXT_VERSION
from web.local_login import login_url, operator_url

ACCOUNT = "demo"
PEOPLE = {"owner": "owner@example.com", "admin": "admin@example.com", "member": "member@example.com"}
PASSWORD = "local-password"  # noqa: S105  # of people who exist on this machine alone
SIGNUP_CREDITS = "50"
SCOPES = "accounts,spend,usage,read,admin"
PACKAGE = "credits_100"
THRESHOLD = "50"
TOPUP = "100"
CAPS = {
    "day": {"amount": 100_000, "currency": "usd"},
    "month": {"amount": 1_000_000, "currency": "usd"},
    "per_hour": 10,
}
PORT_PATIENCE_SECONDS = 3.0
PORT_MAX = 65535


def main() -> int:
    """Run until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.run", description=main.__doc__)
    parser.add_argument(
        "--directory", type=Path, default=ROOT / ".local" / "run", help="where data and logs are kept"
    )
    directory = parser.parse_args().directory.absolute()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        port = chosen_port()
        with only_one(directory):
            run(directory, port)
    except EmbeddedError as error:
        sys.stderr.write(f"refill: {error}\n")
        return 1
    except KeyboardInterrupt:
        pass
    print("Stopped.")
    return 0


def run(directory: Path, port: int) -> None:
    """Start, prepare the demo account, tell its story, stop."""
    started = time.monotonic()
    wait_for_free_port(port)
    print("Starting PostgreSQL, Redis, local Stripe, Supabase, web, payments, worker, scheduler", flush=True)
    settings = {"SIGNUP_CREDITS": SIGNUP_CREDITS, "OPERATORS": keys.local_operator_id()}
    with Stack(directory, port, settings=settings, report=tell) as stack:
        api = prepare(stack)
        threads = (Story(api, tell), Traffic(api))
        for thread in threads:
            thread.start()
        print(welcome(stack, api_key(stack), time.monotonic() - started), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            print("\nStopping", flush=True)
        finally:
            for thread in threads:
                thread.stop()


def prepare(stack: Stack) -> Api:
    """Once: the account, a saved card by way of Checkout, auto top-up with consent."""
    api = Api(stack.url, api_key(stack), ACCOUNT)
    add_people(stack, api)
    done = stack.directory / "demo-account-is-ready"
    if done.exists():
        return api
    before = api.available()
    session = api.post("/api/billing/checkout-sessions", package_id=PACKAGE)
    buyer.pay(session["url"])
    bought = before + Decimal(session["credits"])
    await_value(lambda: api.available() >= bought, "the first purchase to be granted")
    api.put(
        "/api/billing/auto-topup",
        enabled=True,
        threshold=THRESHOLD,
        amount=TOPUP,
        caps=CAPS,
        consent={"text_version": CONSENT_TEXT_VERSION},
    )
    done.touch()
    return api


def add_people(stack: Stack, api: Api) -> None:
    """The account and, at the local Supabase, people of each role in it; those who are there already stay."""
    api.open_account("Demo Ltd", PEOPLE["owner"])
    services = stack.services
    client = create_client(services.settings["SUPABASE_URL"], services.supabase_secret_key)
    known = {user.email: user.id for user in client.auth.admin.list_users()}
    for role, email in PEOPLE.items():
        user_id = known.get(email)
        if user_id is None:
            person = client.auth.admin.create_user(
                {"email": email, "password": PASSWORD, "email_confirm": True}
            )
            user_id = person.user.id
        api.set_member(user_id, role)


def api_key(stack: Stack) -> str:
    """The demo's API key, made at the first start; only its hash is in the database."""
    path = stack.directory / "api-key.json"
    if not path.exists():
        key = stack.flask("api-keys", "create", "--name", "demo", "--scopes", SCOPES).split()[-1]
        path.touch(mode=0o600)
        path.write_text(json.dumps({"api_key": key}))
    return str(json.loads(path.read_text())["api_key"])


def welcome(stack: Stack, key: str, seconds: float) -> str:
    """What to look at and to try."""
    settings = Settings.model_validate(stack.settings)
    login, operations = login_url(settings, ACCOUNT), operator_url(settings, keys.local_operator_id())
    stripe = stack.settings["STRIPE_API_BASE"]
    logs = stack.logs
    shown = logs.relative_to(Path.cwd()) if logs.is_relative_to(Path.cwd()) else logs
    return f"""
Refill runs, after {seconds:.0f} s.

  Billing page   {login}
                 (the link signs you in as the demo account)
  Operations     {operations}
                 (the link signs you in as an operator, in the same browser instead of the demo account)
  Sign in        {stack.url}/sign-in
                 ({PEOPLE["owner"]}, {PEOPLE["admin"]} or {PEOPLE["member"]}, password {PASSWORD})
  Mails          {stack.settings["SUPABASE_URL"]}/_local/mails
                 (sign-in links that a real project would mail)
  API docs       {stack.url}/docs
  Local Stripe   {stripe}/_local/charges
                 (pay with test card 4242 4242 4242 4242, any future date, any CVC)
  API key        {key}
  Logs           {shown}/

Spend a credit yourself:

  curl -s {stack.url}/api/credits/use -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' -d '{{"account_id": "{ACCOUNT}", "action": "message"}}'; echo

Ctrl-C stops everything; the next start goes on from here. Three agents are at work:
"""


def tell(line: str) -> None:
    """A line with the time."""
    print(f"{dt.datetime.now().astimezone():%H:%M:%S}  {line}", flush=True)


def chosen_port() -> int:
    """PORT, or 8000."""
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) <= PORT_MAX:
        raise EmbeddedError(f"PORT is {text!r}; it must be a number from 1 to {PORT_MAX}")
    return int(text)


def wait_for_free_port(port: int) -> None:
    """A predecessor that was killed may need a moment to let go of the port."""
    deadline = time.monotonic() + PORT_PATIENCE_SECONDS
    while listening(port):
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"port {port} is taken by another program; stop it, or choose one: PORT={port + 1} make run"
            )
        time.sleep(0.1)


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; EmbeddedError when another run has it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EmbeddedError(
                f"`make run` already runs with the data in {directory}; stop it first"
            ) from None
        yield


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
