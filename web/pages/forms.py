"""The check of forms against requests forged by other sites."""

from __future__ import annotations

from flask_wtf.csrf import CSRFProtect  # type: ignore[import-untyped]  # it has no types

csrf = CSRFProtect()
