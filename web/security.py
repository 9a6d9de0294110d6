"""Response headers that every answer carries, and cookie flags."""

from __future__ import annotations

import stripe
from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix

from shared.settings import Settings

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self' {stripe}; frame-ancestors 'none'"
)

# Chrome and Safari hold a form's redirects to form-action as well (github.com/w3c/webappsec-csp/issues/8), and forms lead
# to Checkout and to the Billing Portal.
STRIPE_PAGES = "https://checkout.stripe.com https://billing.stripe.com"

# By docs.stripe.com/security/guide#content-security-policy; only pages with Stripe's forms have it.
STRIPE_SCRIPT = "https://js.stripe.com"
STRIPE_SCRIPTS = f"{STRIPE_SCRIPT} https://*.js.stripe.com"
STRIPE_FRAMES = f"{STRIPE_SCRIPTS} https://hooks.stripe.com"
STRIPE_API = "https://api.stripe.com"
# Stripe.js is published under the name of its API release; never in a bundle (docs.stripe.com/js/including).
STRIPE_JS = f"{stripe.api_version.rpartition('.')[2]}/stripe.js"


def stripe_js(settings: Settings) -> str:
    """Where the browser loads Stripe.js from: Stripe, or the local Stripe, which has a stand-in."""
    return f"{settings.stripe_api_base or STRIPE_SCRIPT}/{STRIPE_JS}"


def policy(settings: Settings) -> str:
    """The policy of every page: this server alone, and forms that lead to Stripe."""
    return POLICY.format(stripe=settings.stripe_api_base or STRIPE_PAGES)


def payment_policy(settings: Settings) -> str:
    """The policy of the pages with Stripe.js: the strict one, and Stripe's origins."""
    local = settings.stripe_api_base
    return (
        policy(settings).replace("script-src 'self'", f"script-src 'self' {local or STRIPE_SCRIPTS}")
        + f"; frame-src {local or STRIPE_FRAMES}; connect-src 'self' {local or STRIPE_API}"
    )


def register(app: Flask, settings: Settings) -> None:
    """Headers on every answer; secure cookies in production; whose address counts behind proxies."""
    headers = [
        ("Content-Security-Policy", policy(settings)),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=0)  # type: ignore[method-assign]
    https = settings.environment == "production"
    if https:
        headers.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
    app.config.update(
        SESSION_COOKIE_NAME="__Host-refill" if https else "refill",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )

    app.session_interface = _Sessions()

    @app.after_request
    def _add_headers(response: Response) -> Response:
        for name, value in headers:
            response.headers.setdefault(name, value)
        if "Cache-Control" not in response.headers:
            response.headers.add("Cache-Control", "no-store")
        return response


class _Sessions(SecureCookieSessionInterface):
    """Sessions for pages. A request without cookies, as API calls are, is spared the signing machinery."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)
