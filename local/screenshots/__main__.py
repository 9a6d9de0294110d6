"""`python -m local.screenshots`: pictures of every page and state, at the width of a desk and of a phone.

Real processes on free ports in a temporary directory. The pictures of `KEPT` go to docs/images, all others to
.local/screenshots. With words, only visits whose names begin with one of them are taken; `--dark` takes them in the dark.
"""

import argparse
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from local import chromium
from local.scene import Scene
from local.screenshots import month, operators, states
from local.screenshots.visits import Visit, entered, nobody, open_page, owner
from local.services import ROOT
from local.stack import Stack
from shared.keys import local_operator_id

WIDTHS = {1280: 900, 390: 844}
KEPT = ("overview-1280", "overview-390", "usage-1280", "auto-topup-1280")
IMAGES = ROOT / "docs" / "images"
REST = ROOT / ".local" / "screenshots"


def target(name: str, width: int, scheme: str = "light") -> Path:
    """Where the picture of a page goes."""
    picture = f"{name}-{width}" + ("" if scheme == "light" else f"-{scheme}")
    return (IMAGES if picture in KEPT else REST) / f"{picture}.png"


def visits(scene: Scene) -> list[Visit]:
    """Everything that there is to see; lives a month and every state on the way."""
    lived = month.Month(scene)
    lived.live()
    # Not before: its sweep would lock rows that become older.
    scene.stack.launch("scheduler")
    seen = states.everything(scene)
    return [
        Visit("sign-in", "/sign-in", nobody),
        Visit("docs", "/docs", nobody),
        *month.pages(owner(lived.place)),
        *seen,
        *operators.pages(scene, lived.place),
    ]


def take(browser: Browser, scene: Scene, wanted: Iterable[Visit], scheme: Literal["light", "dark"]) -> int:
    """Every visit at every width; answers how many pictures that were."""
    taken = 0
    for enter, group in groupby(wanted, key=lambda visit: visit.enter):
        with entered(browser, scene, enter, scheme) as page:
            for visit in group:
                for width, height in WIDTHS.items():
                    page.set_viewport_size({"width": width, "height": height})
                    open_page(page, visit)
                    page.screenshot(path=target(visit.name, width, scheme), full_page=True)
                    taken += 1
    return taken


def main() -> int:
    """Live through everything, take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m local.screenshots", description=__doc__)
    parser.add_argument("--dark", action="store_true", help="for people who prefer dark pages")
    parser.add_argument("names", nargs="*", help="how the names begin; nothing takes all")
    options = parser.parse_args()
    executable = chromium.find()
    if executable is None:
        sys.stderr.write(f"{chromium.ADVICE}\n")
        return 1
    for folder in (IMAGES, REST):
        folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "SIGNUP_CREDITS": "50",
        "OPERATORS": local_operator_id(),
        "GRACE_HOURS": str(states.GRACE_HOURS),
    }
    with Stack(settings=settings, programs=("web", "payments", "worker"), report=print) as stack:
        scene = Scene(stack, "pictures")
        wanted = [one for one in visits(scene) if one.name.startswith(tuple(options.names) or "")]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            taken = take(browser, scene, wanted, "dark" if options.dark else "light")
            browser.close()
        scene.close()
    print(f"{taken} pictures: {', '.join(KEPT)} in {IMAGES}, the others in {REST}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
