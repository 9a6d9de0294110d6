"""Response headers that every answer carries, and cookie flags."""

from __future__ import annotations

import stripe
from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix

from shared.settings import Settings

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self' https://checkout.stripe.com{stripe}; frame-ancestors 'none'"
)

# By docs.stripe.com/security/guide#content-security-policy; only the page that confirms a payment has it.
STRIPE_SCRIPT, STRIPE_FRAMES, STRIPE_API = (
    "https://js.stripe.com",
    "https://js.stripe.com https://hooks.stripe.com",
    "https://api.stripe.com",
)
# Stripe.js is published under the name of its API release; never in a bundle (docs.stripe.com/js/including).
STRIPE_JS = f"{stripe.api_version.rpartition('.')[2]}/stripe.js"


def stripe_js(settings: Settings) -> str:
    """Where the browser loads Stripe.js from: Stripe, or the local Stripe, which has a stand-in."""
    return f"{settings.stripe_api_base or STRIPE_SCRIPT}/{STRIPE_JS}"


def payment_policy(settings: Settings) -> str:
    """The policy of the page with Stripe.js: the strict one, and Stripe's origins."""
    local = settings.stripe_api_base
    policy = POLICY.format(stripe=f" {local}" if local else "")
    return (
        policy.replace("script-src 'self'", f"script-src 'self' {local or STRIPE_SCRIPT}")
        + f"; frame-src {local or STRIPE_FRAMES}; connect-src 'self' {local or STRIPE_API}"
    )


def register(app: Flask, settings: Settings) -> None:
    """Headers on every answer; secure cookies in production; whose address counts behind proxies."""
    # A form that is answered by a redirect to Checkout needs Checkout's origin in form-action.
    local_stripe = f" {settings.stripe_api_base}" if settings.stripe_api_base else ""
    headers = [
        ("Content-Security-Policy", POLICY.format(stripe=local_stripe)),
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
