"""A visit: one page, who looks at it, and what that person does before the picture is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from playwright.sync_api import Browser, Page

from local.embedded import EmbeddedError
from local.scene import Place, Scene
from shared.keys import local_operator_id
from shared.member_models import Role
from supabase import create_client
from web.local_login import login_url, operator_url

PASSWORD = "correct horse"  # noqa: S105 - of people who exist at the local Supabase only

Act = Callable[[Page], None]


@dataclass(frozen=True)
class Visit:
    """`enter` signs in; visits one after the other with the same one share a browser. `act` comes after the page."""

    name: str
    path: str
    enter: Act
    status: int = 200
    act: Act | None = None


def nobody(_page: Page) -> None:
    """Who is not signed in."""


def owner(place: Place) -> Act:
    """The account's owner, by the local link."""
    return _by(login_url(place.world.settings, place.id))


def operator(scene: Scene) -> Act:
    """The local operator."""
    return _by(operator_url(scene.settings, local_operator_id()))


def person(scene: Scene, email: str, roles: dict[str, Role]) -> Act:
    """A new user of Supabase with these roles by account, who signs in with a password."""
    supabase = create_client(scene.stack.settings["SUPABASE_URL"], scene.stack.services.supabase_secret_key)
    user = supabase.auth.admin.create_user({"email": email, "password": PASSWORD}).user
    for account_id, role in roles.items():
        scene.ledger.set_member(account_id, user.id, role, "pictures")

    def enter(page: Page) -> None:
        page.goto(f"{scene.stack.url}/sign-in")
        sign_in(page, email, PASSWORD)
        page.wait_for_url("**/billing")

    return enter


def sign_in(page: Page, email: str, password: str) -> None:
    """Fill in and send the form of the sign-in page."""
    page.get_by_label("Mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def _by(url: str) -> Act:
    def enter(page: Page) -> None:
        page.goto(url)

    return enter


@contextmanager
def entered(
    browser: Browser, scene: Scene, enter: Act, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    """A page of a browser in which somebody is signed in."""
    context = browser.new_context(base_url=scene.stack.url, color_scheme=scheme)
    page = context.new_page()
    enter(page)
    yield page
    context.close()


def open_page(page: Page, visit: Visit) -> None:
    """Show what is visited; EmbeddedError when it answers another status."""
    answer = page.goto(visit.path, wait_until="load")
    if answer is None or answer.status != visit.status:
        raise EmbeddedError(f"{visit.name}: {visit.path} answered {answer and answer.status}")
    if visit.act is not None:
        visit.act(page)
        page.wait_for_load_state()
