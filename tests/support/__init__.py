"""Helpers of the tests: databases, processes, waiting. `tests/conftest.py` makes fixtures of them."""

from local.embedded import free_port
from tests.support.cluster import Cluster, Database
from tests.support.proc import Proc
from tests.support.wait import wait_until

__all__ = ["Cluster", "Database", "Proc", "free_port", "wait_until"]
