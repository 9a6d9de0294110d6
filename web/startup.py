"""Settings at the start of a process: one sentence and a non-zero status when they do not allow it."""

from __future__ import annotations

import sys

from shared.errors import SettingsError
from shared.settings import Settings, load

EXIT_STATUS = 3  # gunicorn takes this status as "do not start again"


def settings_or_exit() -> Settings:
    """The settings of the environment, or the end of the process."""
    try:
        return load()
    except SettingsError as error:
        sys.stderr.write(f"refill: {error.detail}\n")
        raise SystemExit(EXIT_STATUS) from None
