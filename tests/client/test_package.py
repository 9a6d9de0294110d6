"""The package installs by itself, needs httpx alone, and knows nothing of the service's code, nor that of it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.client.service import ROOT

SOURCE = ROOT / "client" / "src" / "refill"
SERVICE = ("shared", "web", "workers", "local")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_the_client_imports_the_standard_library_and_httpx_alone() -> None:
    allowed = set(sys.stdlib_module_names) | {"refill", "httpx", "typing_extensions"}
    for path in SOURCE.rglob("*.py"):
        assert imported(path) <= allowed, path


def test_typing_extensions_is_needed_by_type_checkers_alone() -> None:
    code = (
        "import sys; sys.modules['typing_extensions'] = None; import refill; refill.Refill('http://x', 'k')"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE.parent)}, check=True)


@pytest.mark.parametrize("folder", SERVICE)
def test_the_service_does_not_import_the_client(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert "refill" not in imported(path), path


@pytest.mark.slow
def test_pip_installs_it_into_a_fresh_environment(tmp_path: Path) -> None:
    source = tmp_path / "client"
    copied = ("pyproject.toml", "README.md", "src")
    source.mkdir()
    subprocess.run(["cp", "-r", *(ROOT / "client" / name for name in copied), source], check=True)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", source]
    subprocess.run(pip, check=True, cwd=tmp_path)
    code = "import refill, pathlib; print(*sorted(f.name for f in pathlib.Path(refill.__file__).parent.glob('[c-p]*.*')))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    found = subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, env=clean
    )
    assert found.stdout.split() == ["client.py", "errors.py", "lease.py", "metering.py", "py.typed"]
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    )
    names = {line.split("==")[0].lower() for line in listed.stdout.splitlines()}
    assert "refill-client" in names
    assert names <= {"refill-client", "httpx", "httpcore", "h11", "anyio", "idna", "certifi", "sniffio",
                     "typing_extensions", "exceptiongroup", "pip", "setuptools"}  # fmt: skip
