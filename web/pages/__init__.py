"""Pages for people, rendered here. Every action works as a plain form; htmx only refreshes what is shown."""

from __future__ import annotations

import functools

from flask import Flask, redirect

from shared import pay_links
from shared.settings import Settings
from web import formats
from web.pages import (
    auto_topup,
    billing,
    buy,
    cards,
    errors,
    history,
    invitations,
    limits,
    members,
    notices,
    ops,
    outcomes,
    pay,
    payments,
    people,
    plans,
    returns,
    sign_in,
    usage,
)
from web.pages.forms import csrf


def register(app: Flask, settings: Settings) -> None:
    """Adds the pages; those of operators where there are any.

    Their forms are checked for a token; the API has no cookies and needs none.
    """
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    csrf.init_app(app)
    formats.register(app)
    app.jinja_env.filters["actor"] = people.actor
    app.jinja_env.globals["pay_link"] = functools.partial(pay_links.pay_url, settings)
    pages = (
        billing,
        buy,
        outcomes,
        usage,
        history,
        payments,
        cards,
        auto_topup,
        limits,
        plans,
        notices,
        members,
        invitations,
        pay,
        returns,
        sign_in,
    )
    for module in pages:
        app.register_blueprint(module.blueprint)
    if settings.operators:
        for blueprint in ops.BLUEPRINTS:
            app.register_blueprint(blueprint)
    errors.register_unrouted(app)
    app.add_url_rule("/", "home", lambda: redirect("/billing"))
