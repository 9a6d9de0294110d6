"""Pages for people, rendered here. Every action works as a plain form; htmx only refreshes what is shown."""

from __future__ import annotations

from flask import Flask
from flask_wtf.csrf import CSRFProtect  # type: ignore[import-untyped]  # it has no types

from web import formats
from web.pages import billing, errors

csrf = CSRFProtect()


def register(app: Flask) -> None:
    """Adds the pages. Their forms are checked for a token; the API has no cookies and needs none."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    csrf.init_app(app)
    formats.register(app)
    errors.register(billing.blueprint)
    billing.blueprint.before_request(csrf.protect)
    app.register_blueprint(billing.blueprint)
