"""flask accounts, flask api-keys."""

from __future__ import annotations

import click

from shared import keys, queue
from web.cli.support import Credits, actor, guarded, ledger, show
from web.services import services

SCOPES = ("accounts", "spend", "usage", "price", "read", "admin")


@click.group()
def accounts() -> None:
    """Accounts and their credits."""


@accounts.command("create")
@click.option("--name", required=True)
@click.option("--email", help="where notices about the balance go")
@click.option("--id", "account_id", help="an id of your own; otherwise one is made")
@guarded
def create_account(name: str, email: str | None, account_id: str | None) -> None:
    """Opens an account with its sign-up credits and prints its id."""
    signup = services().settings.signup_micro_credits
    account = ledger().open_account(account_id or keys.new_id("acc"), name, email, None, signup, actor())
    if not account["created"]:
        click.echo("This account is already open.")
    click.echo(account["account_id"])


@accounts.command("show")
@click.argument("account_id")
@guarded
def show_account(account_id: str) -> None:
    """Prints an account, its balance, its auto top-up and what freezes it."""
    freezes = ledger().list_freezes(account_id)
    show({**ledger().get_account(account_id), **ledger().get_balance(account_id), "freezes": freezes})


@accounts.command("edit")
@click.argument("account_id")
@click.option("--name", help="what it is called from now on")
@click.option("--email", help="where its notices go from now on; the old address is told")
@guarded
def edit(account_id: str, name: str | None, email: str | None) -> None:
    """Changes an account's name or mail address."""
    if name is None and email is None:
        raise click.ClickException("say --name, --email or both")
    account = ledger().edit_account(account_id, name, email, actor())
    show({field: account[field] for field in ("account_id", "name", "email")})


@accounts.command("erase")
@click.argument("account_id")
@guarded
def erase(account_id: str) -> None:
    """Replaces name, address and members of an account by a tombstone, for good. Every entry of its books stays."""
    account = ledger().erase_account(account_id, actor())
    show({name: account[name] for name in ("account_id", "name", "email", "status")})
    click.echo("Its customer at Stripe is left alone: delete it in the Dashboard, if that is wanted as well.")


@accounts.command("unfreeze")
@click.argument("account_id")
@click.option("--reason", required=True, help="why; kept in the audit log")
@click.option("--dispute", "disputes", multiple=True, help="only this one (dp_…), or grace; may be repeated")
@guarded
def unfreeze(account_id: str, reason: str, disputes: tuple[str, ...]) -> None:
    """Lets an account spend that a dispute, an inquiry or the end of its grace has frozen; automatic charges stay paused."""
    done = ledger().unfreeze_account(account_id, list(disputes) or None, reason, actor())
    show({name: done[name] for name in ("account_id", "status", "lifted", "freezes")})


@accounts.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("account_id")
@click.argument("amount", type=Credits(signed=True))
@click.option("--reason", required=True, help="why; kept in the audit log")
@click.option("--id", "adjustment_id", help="repeating with the same id changes nothing more")
@guarded
def adjust(account_id: str, amount: int, reason: str, adjustment_id: str | None) -> None:
    """Adds AMOUNT credits to an account, or takes them away when it is negative."""
    booked = ledger().adjust_credits(adjustment_id or keys.new_id("adj"), account_id, amount, reason, actor())
    if booked["topup_due"]:
        services().queue.hint(queue.CHECK_THRESHOLD, account_id)
    show({name: booked[name] for name in ("adjustment_id", "credits", "balance")})


@click.group("api-keys")
def api_keys() -> None:
    """Keys of platforms."""


@api_keys.command("create")
@click.option("--name", required=True)
@click.option("--scopes", required=True, help=f"some of {','.join(SCOPES)}")
@click.option("--account", "account_id", help="binds the key to one account")
@guarded
def create_key(name: str, scopes: str, account_id: str | None) -> None:
    """Makes a key and prints it. It is shown this once; only its hash is kept."""
    wanted = list(dict.fromkeys(scope.strip() for scope in scopes.split(",") if scope.strip()))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise click.ClickException(f"scopes are some of {', '.join(SCOPES)}")
    key, prefix = keys.new_api_key()
    ledger().create_api_key(keys.new_id("key"), name, prefix, keys.api_key_hash(key), wanted, account_id)
    click.echo(key)


@api_keys.command("revoke")
@click.argument("name_or_prefix")
@guarded
def revoke_key(name_or_prefix: str) -> None:
    """Revokes the keys of this name, or the key with this prefix. It stops working within five seconds."""
    for key in ledger().revoke_api_key(name_or_prefix):
        click.echo(f"revoked {key['prefix']}… ({key['name']})")


@api_keys.command("list")
@guarded
def list_keys() -> None:
    """Lists all keys, by prefix."""
    for key in ledger().list_api_keys():
        state = "revoked" if key["revoked_at"] else "live"
        account, scopes = key["account_id"] or "any account", ",".join(key["scopes"])
        click.echo(f"{key['prefix']}…  {state:8} {account}  {scopes}  {key['name']}")
