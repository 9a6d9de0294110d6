"""Where the browser of the browser tests is. As a program: installs it if that is possible, else says how."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("chromium-headless-shell", "chromium")
"""The first, which Debian has, draws no window of its own and is a fifth faster; not every system has it."""
NAMES = (*PACKAGES, "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/usr/lib/chromium/chromium",
    "/snap/bin/chromium",
    "/opt/google/chrome/chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PLAYWRIGHT = (".cache/ms-playwright", "Library/Caches/ms-playwright")
ADVICE = (
    "no Chromium found: browser tests need it. Install it with your package manager (Debian: apt-get install"
    " chromium; macOS: brew install --cask chromium) or with: .venv/bin/python -m playwright install chromium"
)


def find() -> Path | None:
    """An installed Chromium or Chrome."""
    on_path = (shutil.which(name) for name in NAMES)
    downloaded = (
        str(path)
        for folder in PLAYWRIGHT
        for pattern in ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*")
        for path in sorted((Path.home() / folder).glob(pattern))
    )
    candidates = (Path(path) for path in (*on_path, *PLACES, *downloaded) if path)
    return next((path for path in candidates if path.exists()), None)


def main() -> int:
    """Make sure there is one; without, only a build machine (CI=true) has to fail."""
    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-q"], check=False)
        for package in PACKAGES:
            if find() is None:
                subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends", package], check=False)
    if find() is None:
        print(ADVICE, file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
