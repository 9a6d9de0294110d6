"""`make demo` ends well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import Proc

# What the local Stripe has read of Stripe's description, kept for its next start.
CACHE = "refill-stripe-spec"


@pytest.mark.xdist_group("flow-money")
def test_demo_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    env = {"TMPDIR": str(tmp_path)} | ({"CI": os.environ["CI"]} if "CI" in os.environ else {})
    with Proc("local.demo", env=env, log=tmp_path / "demo.log") as demo:
        assert demo.wait(60) == 0, demo.output
    assert "Every check holds" in demo.output
    assert "VIOLATED" not in demo.output
    assert "Traceback" not in demo.output
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(CACHE)}
    assert left == {"demo.log"}
