"""Liveness, readiness, metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response
from redis import RedisError

from shared.db_errors import READ_ONLY, is_missing
from shared.errors import DatabaseUnavailable, RefillError
from shared.ledger import needed_functions
from web import metrics
from web.endpoints import Call, Endpoint
from web.fields import Answer
from web.problems import problem
from web.services import Services

SCHEDULER_SILENCE_SECONDS_MAX = 180
MIGRATE = "run `flask --app web migrate`"
NAMED_MAX = 5


class Alive(Answer):
    """The process answers."""

    status: str


class Ready(Answer):
    """Every part answers."""

    status: str
    parts: dict[str, str]


@Endpoint("GET", "/healthz", summary="The process is alive", tag="health", answer=Alive)
def healthz(_call: Call) -> Any:
    """Asks nothing of anybody: a process whose database is away must not be killed for it."""
    return {"status": "ok"}


@Endpoint(
    "GET",
    "/readyz",
    summary="Everything that is needed answers",
    tag="health",
    answer=Ready,
    errors=("not_ready",),
)
def readyz(call: Call) -> Any:
    """PostgreSQL and that it takes changes, its schema with every function of this version, Redis, a scheduler that fired
    lately; 503 names the parts that are missing.
    """
    checks: dict[str, Callable[[Services], str]] = {"postgres": _postgres, "schema": _schema, "redis": _redis}
    parts = {name: check(call.services) for name, check in checks.items()}
    parts["scheduler"] = _scheduler(call.services) if parts["schema"] == "ok" else "unknown"
    missing = [name for name, state in parts.items() if state != "ok"]
    if missing:
        return problem("not_ready", 503, f"Not ready: {', '.join(missing)}.", parts=parts)
    return {"status": "ok", "parts": parts}


def _postgres(services: Services) -> str:
    try:
        services.ledger.database.ping()
    except DatabaseUnavailable as error:
        if error.sqlstate == READ_ONLY:
            return "read-only"
        # Over PostgREST a ping asks a function: that one is missing means that the database is there.
        return "ok" if is_missing(error) else "away"
    return "ok"


def _schema(services: Services) -> str:
    try:
        missing = services.ledger.missing_functions(needed_functions())
        services.ledger.operations_summary()
    except DatabaseUnavailable as error:
        return f"missing: {MIGRATE}" if is_missing(error) else "unknown"
    if missing:
        return f"missing: {', '.join(missing[:NAMED_MAX])}: {MIGRATE}"
    return "ok"


def _redis(services: Services) -> str:
    try:
        metrics.ping_queue(services.queue)
    except (RedisError, OSError):
        return "away"
    return "ok"


def _scheduler(services: Services) -> str:
    try:
        jobs = services.ledger.job_status()
    except RefillError:
        return "unknown"
    ages = [job["age_seconds"] for job in jobs if job["age_seconds"] is not None]
    if not ages:
        return "has not fired yet"
    return "ok" if min(ages) <= SCHEDULER_SILENCE_SECONDS_MAX else f"silent for {min(ages):.0f} s"


@Endpoint("GET", "/metrics", summary="Prometheus metrics", tag="health", raw=True)
def show_metrics(call: Call) -> Response:
    """Counts and ages of what is under way, read from the tables and Redis when asked."""
    return Response(metrics.render(call.services), content_type=metrics.CONTENT_TYPE)
