"""PostgreSQL, Redis and PostgREST from wheels and npm, as child processes that never outlive their owner.

Used by `local.run`, `local.demo`, `local.services`, the tests and the benchmarks::

    with Postgres() as postgres, Redis() as redis:
        print(postgres.url, redis.url)
"""

from local.embedded.errors import EmbeddedError
from local.embedded.gateway import SupabaseGateway
from local.embedded.guarded import Guarded
from local.embedded.postgres import Postgres
from local.embedded.postgrest import PostgREST
from local.embedded.redis import Redis
from local.embedded.server import Server, free_port, listening

__all__ = [
    "EmbeddedError",
    "Guarded",
    "PostgREST",
    "Postgres",
    "Redis",
    "Server",
    "SupabaseGateway",
    "free_port",
    "listening",
]
