"""Response headers that every answer carries, and cookie flags."""

from __future__ import annotations

from flask import Flask, Response

from shared.settings import Settings

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self' https://checkout.stripe.com{stripe}; frame-ancestors 'none'"
)


def register(app: Flask, settings: Settings) -> None:
    """Headers on every answer; secure cookies outside local mode."""
    # A form that is answered by a redirect to Checkout needs Checkout's origin in form-action.
    local_stripe = f" {settings.stripe_api_base}" if settings.stripe_api_base else ""
    headers = [
        ("Content-Security-Policy", POLICY.format(stripe=local_stripe)),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cache-Control", "no-store"),
    ]
    https = settings.environment == "production"
    if https:
        headers.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
    app.config.update(
        SESSION_COOKIE_NAME="__Host-refill" if https else "refill",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )

    @app.after_request
    def _add_headers(response: Response) -> Response:
        for name, value in headers:
            if name not in response.headers:
                response.headers[name] = value
        return response
