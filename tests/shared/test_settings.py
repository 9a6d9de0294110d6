"""Settings: what stops the start, and with which sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "REFILL_ENV": "production",
    "SECRET_KEY": "0123456789abcdef",
    "DATABASE_URL": "postgresql://u:p@h/d",
    "REDIS_URL": "redis://h",
    "STRIPE_SECRET_KEY": "sk_live_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
}
NAMES = {str(item.validation_alias) for item in Settings.model_fields.values()}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def complaint() -> str:
    with pytest.raises(SettingsError) as caught:
        load()
    return caught.value.detail


def test_complete_settings_load() -> None:
    """And the mode is that of the key."""
    settings = load()
    assert settings.live
    assert settings.webhook_secrets == ("whsec_x",)


@pytest.mark.parametrize("name", ["REFILL_ENV", "SECRET_KEY", "REDIS_URL"])
def test_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    assert complaint().startswith(f"{name} is not set")


@pytest.mark.parametrize("name", ["STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"])
@pytest.mark.parametrize("environment_name", ["local", "test", "production"])
def test_92_without_stripe_key_or_webhook_secret_nothing_starts(
    monkeypatch: pytest.MonkeyPatch, name: str, environment_name: str
) -> None:
    """There is no silent mock mode, whatever the environment."""
    monkeypatch.setenv("REFILL_ENV", environment_name)
    for value in ("", None):
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
        assert name in complaint()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": "whsec_live_x"},
            "STRIPE_WEBHOOK_SECRET",
        ),
        ({"STRIPE_WEBHOOK_SECRET": "whsec_test_x"}, "STRIPE_WEBHOOK_SECRET"),
        ({"STRIPE_WEBHOOK_SECRET": "whsec_live_x,whsec_test_y"}, "STRIPE_WEBHOOK_SECRET"),
        ({"STRIPE_PUBLISHABLE_KEY": "pk_test_x"}, "STRIPE_PUBLISHABLE_KEY"),
        ({"STRIPE_API_BASE": "http://localhost:9"}, "STRIPE_API_BASE"),
        ({"REFILL_ENV": "local", "STRIPE_API_BASE": "http://localhost:9"}, "STRIPE_API_BASE"),
        ({"STRIPE_SECRET_KEY": "pk_live_x"}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_WEBHOOK_SECRET": "secret"}, "STRIPE_WEBHOOK_SECRET"),
        ({"REFILL_ENV": "staging"}, "REFILL_ENV"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"PORT": "0"}, "PORT"),
        ({"PORT": "http"}, "PORT"),
        ({"BASE_URL": "example.org"}, "BASE_URL"),
        *(
            ({"ALLOWED_ORIGINS": value}, "ALLOWED_ORIGINS")
            for value in (
                "*",
                "null",
                "app.example.com",
                "https://app.example.com/",
                "https://*.example.com",
                "https://App.example.com",
                "https://app.example.com:443",
                "https://u@app.example.com",
                "https://app.example.com https://b.example.com",
                "https://app.example.com,http://app.example.com",
                "file://app.example.com",
            )
        ),
        ({"SIGNUP_CREDITS": "1e3"}, "SIGNUP_CREDITS"),
        ({"SIGNUP_CREDITS": "-1"}, "SIGNUP_CREDITS"),
        ({"ADJUSTMENT_APPROVAL_CREDITS": "NaN"}, "ADJUSTMENT_APPROVAL_CREDITS"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
        ({"OPERATOR_EMAIL": "operations"}, "OPERATOR_EMAIL"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
    ],
)
def test_93_wrong_or_contradictory_settings_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: str
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    sentence = complaint()
    assert named in sentence
    assert "\n" not in sentence


def test_origins_are_listed_with_commas_and_only_local_ones_go_without_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load().allowed_origins == frozenset()
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://app.example.com, https://b.example.com:8443,")
    assert load().allowed_origins == {"https://app.example.com", "https://b.example.com:8443"}
    monkeypatch.setenv("REFILL_ENV", "local")
    monkeypatch.setenv("ALLOWED_ORIGINS", "http://localhost:5173,http://[::1]:5173")
    assert load().allowed_origins == {"http://localhost:5173", "http://[::1]:5173"}


def test_secrets_do_not_show() -> None:
    text = repr(load())
    assert not [value for value in GOOD.values() if value in text and value != "production"]


def test_example_file_names_every_setting_and_nothing_else() -> None:
    text = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#? ?([A-Z_]+)=", text, re.MULTILINE)) == NAMES
