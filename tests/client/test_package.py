"""The package installs by itself, needs httpx alone, and knows nothing of the service's code, nor that of it."""

from __future__ import annotations

import ast
import email
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import refill
from tests.client.service import ROOT

SOURCE = ROOT / "client" / "src" / "refill"
SERVICE = ("shared", "web", "workers", "local")


def copied(folder: Path) -> Path:
    """The client's sources in a folder of their own: building writes beside them."""
    source = folder / "client"
    source.mkdir()
    names = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "src")
    subprocess.run(["cp", "-r", *(ROOT / "client" / name for name in names), source], check=True)
    return source


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
def test_the_package_says_on_pypi_what_it_is_and_where_it_comes_from(tmp_path: Path) -> None:
    """The links are those of the repository whose workflow builds it."""
    source = copied(tmp_path)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", f"--wheel-dir={tmp_path}", source]
    repository = {"GITHUB_SERVER_URL": "https://forge.example", "GITHUB_REPOSITORY": "one/two"}
    subprocess.run(build, check=True, env=os.environ | repository, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        metadata = email.message_from_bytes(
            wheel.read(f"refill_client-{refill.__version__}.dist-info/METADATA")
        )
    assert "refill/py.typed" in names
    assert (metadata["Name"], metadata["Version"]) == ("refill-client", refill.__version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Author"]
    assert metadata["Keywords"]
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    description = metadata.get_payload(decode=True)
    assert isinstance(description, bytes)
    assert description.decode() == (ROOT / "client" / "README.md").read_text()
    links = dict(link.split(", ") for link in metadata.get_all("Project-URL", []))
    assert links["Repository"] == "https://forge.example/one/two"
    for label, path in (("Changelog", "client/CHANGELOG.md"), ("Documentation", "docs/meter-your-agent.md")):
        assert links[label] == f"https://forge.example/one/two/blob/main/{path}"
        assert (ROOT / path).exists()


@pytest.mark.slow
def test_pip_installs_it_into_a_fresh_environment(tmp_path: Path) -> None:
    source = copied(tmp_path)
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
