"""The states that come of who looks: roles, invitations, the doors, and errors that a person may meet."""

from __future__ import annotations

from playwright.sync_api import Page

from local.scene import Scene
from local.screenshots.accounts import bought, unique
from local.screenshots.visits import Visit, nobody, owner, person, sign_in
from shared import invite_links


def roles(scene: Scene) -> list[Visit]:
    """A member who may read; a person with two accounts; one with none."""
    place, other = bought(scene, "roles"), bought(scene, "second")
    suffix = unique("person") + "@example.com"
    reader = person(scene, f"reader-{suffix}", {place.id: "member"})
    admin = person(scene, f"admin-{suffix}", {place.id: "admin", other.id: "owner"})
    paths = ("", "/buy", "/payment-methods", "/auto-topup", "/limits", "/plans", "/notices")
    return [
        *(Visit(f"member{path.replace('/', '-')}", f"/billing{path}", reader) for path in paths),
        Visit("member-members", "/billing/members", reader, 403),
        Visit("two-accounts", "/billing", admin),
        Visit("no-account", "/billing", person(scene, f"nobody-{suffix}", {}), 403),
    ]


def doors(scene: Scene) -> list[Visit]:
    """Signing in, and errors that a person may meet."""
    place = bought(scene, "doors")
    return [
        Visit("signed-out", "/billing/usage", nobody, 401),
        Visit("sign-in-wrong", "/sign-in", nobody, act=lambda page: sign_in(page, "a@example.com", "wrong")),
        Visit("sign-in-link", "/sign-in", nobody, act=_ask_for_link),
        Visit("stale-form", "/billing/limits", owner(place), act=_send_stale_form),
        Visit("not-found", "/billing/nothing-here", owner(place), 404),
        Visit("wrong-month", "/billing/statement?month=soon", owner(place), 422),
    ]


def invitations(scene: Scene) -> list[Visit]:
    """An invitation as its owner, whoever is invited, and whoever has half a link see it."""
    place = bought(scene, "inviting")
    invited = scene.ledger.invite_member(unique("inv"), place.id, "new@example.com", "admin", "pictures")
    url = invite_links.invite_url(scene.settings, place.id, invited["id"])
    link = url.removeprefix(scene.settings.base_url)
    guest = person(scene, unique("guest") + "@example.com", {bought(scene, "home").id: "owner"})
    return [
        Visit("invitations", "/billing/members", owner(place)),
        Visit("invitation", link, guest),
        Visit("invitation-wrong", f"{link}x", guest, 403),
        Visit("invitation-signed-out", link, nobody, 401),
    ]


STATES = (roles, invitations, doors)


def _ask_for_link(page: Page) -> None:
    page.get_by_label("Mail address").fill("a@example.com")
    page.get_by_role("button", name="Mail me a link instead").click()


def _send_stale_form(page: Page) -> None:
    """As a form that stayed open overnight: its token is worth nothing."""
    page.evaluate("document.querySelector('main [name=csrf_token]').value = 'old'")
    with page.expect_navigation():
        page.evaluate("document.querySelector('main [name=csrf_token]').form.submit()")
