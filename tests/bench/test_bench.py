"""`python -m bench` writes results.json with the names that others read, whatever the speed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# It loads both cores. Behind the browser's tests it starves nobody, and no browser starves it.
pytestmark = pytest.mark.xdist_group("browser")
ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    "spend_sql.ratio_vs_plain",
    "spend_sql.ratio_vs_lean",
    "spend_sql_hot.ratio_vs_plain",
    "usage_sql.events_per_s",
    "usage_sql.ratio_vs_one_by_one",
    "peers.credit_ledger.spends_per_s",
    "peers.credit_ledger.ratio_ours_vs_credit_ledger",
    "usage_http.events_per_s",
    "webhook.ratio_vs_bare_view",
    "spend_http.ratio_vs_bare_view",
    "debit_to_charge_ms.p50",
    "debit_to_charge_ms.p99",
    "page_overview_ms.p50",
    "page_overview_ms.bare_view_p50",
    "sweep.ms_10k",
    "sweep.ms_1m",
)


def at(document: Any, name: str) -> Any:
    """The figure under a dotted name."""
    for part in name.split("."):
        document = document[part]
    return document


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_results_have_the_names_that_others_read(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    groups = ("spend", "usage", "peers", "http", "sweep", "pages", "charge")
    command = [sys.executable, "-m", "bench", *groups, "--rounds=1", "--seconds=0.5", "--small"]
    done = subprocess.run(
        [*command, f"--output={output}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(output.read_text())
    for name in NAMES:
        assert at(document, name) > 0, name
        spread = document["spread"][name]
        assert spread["min"] <= spread["median"] <= spread["max"], name
    assert {"cores", "postgresql", "python"} <= document["machine"].keys()
    assert document["runs"].keys() == set(groups)


def test_unknown_benchmarks_are_named() -> None:
    command = [sys.executable, "-m", "bench", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such benchmark: nothing" in done.stderr
