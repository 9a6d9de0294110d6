"""The check of PL/pgSQL bodies: found where the extension is, said where it is not."""

from pathlib import Path

import psycopg
import pytest

from local import plpgsql
from local.embedded import Postgres
from shared import migrate

BROKEN = """
create function billing.broken(p_unused text, p_id text) returns void language plpgsql as $$
begin
  if p_id = 'never' then
    update billing.accounts set no_such_column = 1 where id = p_id;
  end if;
end $$
"""


def extension(root: Path, version: int) -> None:
    folder = root / str(version) / "lib"
    folder.mkdir(parents=True)
    (folder / "plpgsql_check.so").touch()


def test_the_newest_version_that_the_wheel_lacks_is_used(tmp_path: Path) -> None:
    for version in (14, 15, 16, 17, 18):
        extension(tmp_path, version)
    (tmp_path / "19" / "lib").mkdir(parents=True)
    assert plpgsql.installed(tmp_path) == 17


def test_without_the_extension_only_required_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plpgsql, "installed", lambda: None)
    assert plpgsql.main([]) == 0
    assert plpgsql.main(["--required"]) == 1
    assert capsys.readouterr().err.count("apt-get install postgresql-15-plpgsql-check") == 2


def test_a_name_in_a_branch_that_never_runs_is_found() -> None:
    """On a machine with the extension; elsewhere there is nothing to run."""
    version = plpgsql.installed()
    if version is None:
        assert plpgsql.main(["--required"]) == 1
        return
    with Postgres(version=version, durable=False) as server:
        migrate.apply(server.url, report=lambda _line: None)
        with psycopg.connect(server.url, autocommit=True) as connection:
            assert list(plpgsql.findings(connection)) == []
            connection.execute(BROKEN)
            found = list(plpgsql.findings(connection))
    assert len(found) == 2
    assert any("broken, line 4" in line and "no_such_column" in line for line in found)
    assert any("unused parameter" in line for line in found)
