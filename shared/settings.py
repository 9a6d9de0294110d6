"""The settings of Refill: the only module that reads the environment.

`load()` gives one frozen Settings, or raises SettingsError with one sentence that names the setting to change.
"""

from __future__ import annotations

import functools
import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared import credits
from shared.errors import SettingsError

Environment = Literal["local", "test", "production"]


class Settings(BaseSettings):
    """Everything that may be set, by the names in .env.example. Secrets have no default."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True)

    environment: Environment = Field(validation_alias="REFILL_ENV")
    port: int = Field(8000, ge=1, le=65535, validation_alias="PORT")
    base_url: str = Field("http://localhost:8000", validation_alias="BASE_URL")
    origins_listed: str = Field("", validation_alias="ALLOWED_ORIGINS")
    trusted_proxies: int = Field(0, ge=0, le=10, validation_alias="TRUSTED_PROXIES")
    secret_key: SecretStr = Field(min_length=16, validation_alias="SECRET_KEY")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="LOG_LEVEL")

    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    supabase_url: str | None = Field(None, validation_alias="SUPABASE_URL")
    supabase_publishable_key: SecretStr | None = Field(None, validation_alias="SUPABASE_PUBLISHABLE_KEY")
    supabase_secret_key: SecretStr | None = Field(None, validation_alias="SUPABASE_SECRET_KEY")
    supabase_oauth_providers: str = Field("", validation_alias="SUPABASE_OAUTH_PROVIDERS")
    supabase_jwt_secret: SecretStr | None = Field(None, min_length=32, validation_alias="SUPABASE_JWT_SECRET")

    redis_url: SecretStr = Field(validation_alias="REDIS_URL")
    broker_url: SecretStr | None = Field(None, validation_alias="BROKER_URL")

    stripe_secret_key: SecretStr | None = Field(None, validation_alias="STRIPE_SECRET_KEY")
    stripe_publishable_key: str | None = Field(None, validation_alias="STRIPE_PUBLISHABLE_KEY")
    stripe_webhook_secret: SecretStr | None = Field(None, validation_alias="STRIPE_WEBHOOK_SECRET")
    stripe_api_base: str | None = Field(None, validation_alias="STRIPE_API_BASE")

    signup_credits: str = Field("0", validation_alias="SIGNUP_CREDITS")
    adjustment_approval_credits: str = Field("10000", validation_alias="ADJUSTMENT_APPROVAL_CREDITS")
    retention_days: int = Field(90, ge=30, le=3650, validation_alias="RETENTION_DAYS")
    lot_expiry_notice_days: int = Field(7, ge=1, le=365, validation_alias="LOT_EXPIRY_NOTICE_DAYS")

    grace_hours: int | None = Field(None, ge=1, le=8760, validation_alias="GRACE_HOURS")
    grace_credits: str = Field("0", validation_alias="GRACE_CREDITS")

    freeze_on: Literal["dispute", "inquiry", "never"] = Field("dispute", validation_alias="FREEZE_ON")

    sentry_dsn: SecretStr | None = Field(None, validation_alias="SENTRY_DSN")
    smtp_url: SecretStr | None = Field(None, validation_alias="SMTP_URL")
    mail_from: str = Field("Refill <billing@localhost>", validation_alias="MAIL_FROM")
    operators_listed: str = Field("", validation_alias="OPERATORS")
    operator_email: str | None = Field(None, validation_alias="OPERATOR_EMAIL")
    slack_webhook_url: SecretStr | None = Field(None, validation_alias="SLACK_WEBHOOK_URL")

    @field_validator("signup_credits", "adjustment_approval_credits", "grace_credits")
    @classmethod
    def _credits(cls, value: str) -> str:
        credits.from_json(value)
        return value

    @field_validator("operator_email")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
            raise ValueError("must be a mail address, such as operations@example.com")
        return value

    @field_validator("operators_listed")
    @classmethod
    def _user_ids(cls, value: str) -> str:
        one = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
        if not re.fullmatch(rf"({one}( *, *{one})*)?", value):
            raise ValueError("must be user ids of Supabase with commas between them")
        return value

    @field_validator("supabase_oauth_providers")
    @classmethod
    def _providers(cls, value: str) -> str:
        if not re.fullmatch(r"([a-z0-9_]+( *, *[a-z0-9_]+)*)?", value):
            raise ValueError("must be names of providers with commas between them, such as google,github")
        return value

    @field_validator("origins_listed")
    @classmethod
    def _origins(cls, value: str, info: ValidationInfo) -> str:
        """As browsers write them, since they are compared as text."""
        for origin in _parts(value):
            found = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?", origin)
            if found is None or (found[1], found[3]) in (("http", ":80"), ("https", ":443")):
                raise ValueError(
                    "must be origins as browsers write them, with commas between them, such as https://app.example.com"
                )
            if found[1] == "http" and info.data.get("environment") == "production":
                raise ValueError("must be origins that start with https:// in production")
        return value

    @field_validator("base_url", "supabase_url", "stripe_api_base")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and (
            urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc
        ):
            raise ValueError("must be a URL that starts with http:// or https://")
        return value.rstrip("/") if value else value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for complaint in (self._database_complaint(), self._stripe_complaint()):
            if complaint:
                raise ValueError(complaint)
        return self

    def _database_complaint(self) -> str | None:
        if self.database_url or (self.supabase_url and self.supabase_secret_key):
            return None
        return "set DATABASE_URL, or SUPABASE_URL together with SUPABASE_SECRET_KEY"

    def _stripe_complaint(self) -> str | None:
        key = self.stripe_secret_key.get_secret_value() if self.stripe_secret_key else ""
        if not key:
            return "set STRIPE_SECRET_KEY: Refill never runs without Stripe; `make run` starts a local one"
        if not self.webhook_secrets:
            return "set STRIPE_WEBHOOK_SECRET to the signing secret of the webhook endpoint (whsec_…)"
        if not all(secret.startswith("whsec_") for secret in self.webhook_secrets):
            return "STRIPE_WEBHOOK_SECRET must start with whsec_"
        if not key.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
            return "STRIPE_SECRET_KEY must start with sk_test_, sk_live_, rk_test_ or rk_live_"
        return self._mode_complaint(live="_live_" in key)

    def _mode_complaint(self, *, live: bool) -> str | None:
        publishable = self.stripe_publishable_key or ""
        if publishable and ("_live_" in publishable) != live:
            return "STRIPE_PUBLISHABLE_KEY and STRIPE_SECRET_KEY are of different modes: use two live or two test keys"
        if any(("_live_" in s and not live) or ("_test_" in s and live) for s in self.webhook_secrets):
            return "STRIPE_WEBHOOK_SECRET and STRIPE_SECRET_KEY are of different modes: use two live or two test ones"
        if self.environment == "production" and self.stripe_api_base:
            return "STRIPE_API_BASE is refused in production: unset it, so that Refill talks to Stripe itself"
        if self.environment != "production" and live and self.stripe_api_base:
            return (
                "STRIPE_API_BASE with a live STRIPE_SECRET_KEY would send the key elsewhere: use a test key"
            )
        return None

    @functools.cached_property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The signing secrets that are valid now; several while one is rolled."""
        joined = self.stripe_webhook_secret.get_secret_value() if self.stripe_webhook_secret else ""
        return _parts(joined)

    @functools.cached_property
    def allowed_origins(self) -> frozenset[str]:
        """The origins whose pages may call the API from a browser; none: only our own."""
        return frozenset(_parts(self.origins_listed))

    @functools.cached_property
    def oauth_providers(self) -> tuple[str, ...]:
        """The providers that the sign-in page offers, in this order."""
        return _parts(self.supabase_oauth_providers)

    @functools.cached_property
    def operators(self) -> frozenset[str]:
        """The users of Supabase who may open /ops; none: there is no /ops."""
        return frozenset(_parts(self.operators_listed.lower()))

    @property
    def signs_in(self) -> bool:
        """Whether people can sign in to the pages: there is a Supabase project, and a key for its Auth."""
        return self.supabase_url is not None and self.supabase_publishable_key is not None

    @property
    def live(self) -> bool:
        """Whether the Stripe key moves real money."""
        return self.stripe_secret_key is not None and "_live_" in self.stripe_secret_key.get_secret_value()

    @property
    def signup_micro_credits(self) -> int:
        """SIGNUP_CREDITS in micro-credits."""
        return credits.from_json(self.signup_credits)

    @property
    def adjustment_approval_micro_credits(self) -> int:
        """ADJUSTMENT_APPROVAL_CREDITS in micro-credits."""
        return credits.from_json(self.adjustment_approval_credits)

    @property
    def grace_micro_credits(self) -> int:
        """GRACE_CREDITS in micro-credits."""
        return credits.from_json(self.grace_credits)


def load() -> Settings:
    """The settings from the environment; raises SettingsError naming what to set."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None


def _parts(listed: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part for text in listed.split(",") if (part := text.strip()))


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing":
        return f"{name} is not set: see .env.example"
    message = first["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
