"""What the documents say agrees with the code: names, lists, promises, links. One fact, one place, compared here."""

import ast
import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from flask import Flask
from pydantic import BaseModel

import web
import workers
from shared import errors, notices, queue, stripe_client, usage_events
from shared.settings import Settings
from web import cli, openapi, problems
from web.cli.accounts import SCOPES
from web.endpoints import REGISTRY
from web.pages.frame import SECTIONS
from workers import events, scheduler

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("README.md", "DECISIONS.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "sql/CONVENTIONS.md")
DOCS = {name: (ROOT / name).read_text() for name in NAMES} | {
    str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))
}
README, OPERATIONS, ERRORS = (DOCS[name] for name in ("README.md", "docs/operations.md", "docs/errors.md"))
EVERY_DOC = pytest.mark.parametrize("name", DOCS)
# Names in the form of settings that belong to others.
FOREIGN = {"CI", "REFILL_FOREIGN_EVENTS"}
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def section(text: str, title: str) -> str:
    """What stands below a heading, until the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[2]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their heads."""
    lines = [line.strip() for line in text.splitlines()]
    cells = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    table = [[cell.strip() for cell in row] for row in cells]
    heads = {index - 1 for index, row in enumerate(table) if set("".join(row)) <= set("-: ")}
    return [row for index, row in enumerate(table) if index not in heads and index - 1 not in heads]


def coded(text: str) -> list[str]:
    """What stands between backticks in a line."""
    return re.findall(r"`([^`\n]+)`", text)


def first_cells(text: str) -> set[str]:
    """What stands between backticks in the first cells of the tables of a text."""
    return {name for row in rows(text) for name in coded(row[0])}


def commands() -> Iterator[str]:
    """The command line, as a person types it."""
    app = Flask("documented")
    built_in = set(app.cli.commands)
    cli.register(app)

    def walk(command: click.Command, path: str) -> Iterator[str]:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                yield from walk(inner, f"{path} {name}")
        else:
            yield path.strip()

    for name in set(app.cli.commands) - built_in:
        yield from walk(app.cli.commands[name], name)


@functools.cache
def slugs(path: Path) -> set[str]:
    """The anchors that a page of Markdown has on GitHub."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@EVERY_DOC
def test_links_lead_somewhere(name: str) -> None:
    for target in LINK.findall(DOCS[name]):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name} links to {target}"
        assert not anchor or anchor in slugs(path), f"{name} links to {target}"


@EVERY_DOC
def test_tests_that_are_named_exist(name: str) -> None:
    for file, test in TEST.findall(DOCS[name]):
        assert (ROOT / file).exists(), f"{name} names {file}"
        functions = {node.name for node in ast.walk(ast.parse((ROOT / file).read_text()))
                     if isinstance(node, ast.FunctionDef)}  # fmt: skip
        assert test in functions, f"{name} names {file}::{test}"


def test_every_promise_names_its_tests() -> None:
    table = rows(section(README, "What can go wrong, and what then happens"))
    promises = {number[1]: row for row in table if (number := re.match(r"\*\*(\d)\.", row[0]))}
    assert set(promises) == set("1234567")
    for row in table:
        assert TEST.search(row[2]), f"no test proves: {row[0]}"


@EVERY_DOC
def test_settings_that_are_named_exist(name: str) -> None:
    known = {str(field.validation_alias) for field in Settings.model_fields.values()} | FOREIGN
    named = set(re.findall(r"`([A-Z][A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", DOCS[name]))
    named |= set(re.findall(r"^([A-Z]+(?:_[A-Z]+)+)=", DOCS[name], re.MULTILINE))
    assert named <= known, f"{name} names settings that do not exist"


def test_settings_without_which_nothing_starts_are_in_the_readme() -> None:
    named = first_cells(section(README, "Settings"))
    required = {str(f.validation_alias) for f in Settings.model_fields.values() if f.is_required()}
    assert required <= named


def test_every_make_target_is_in_the_readme() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help"}
    assert first_cells(section(README, "Commands")) == {f"make {target}" for target in targets}


@EVERY_DOC
def test_make_targets_that_are_named_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^|\$ )make ([a-z]+)", DOCS[name], re.MULTILINE)) <= targets


def test_every_command_is_in_operations() -> None:
    # A command is its words before the first option or argument.
    listed = {re.split(r" (?=[A-Z-])", cell)[0] for cell in first_cells(section(OPERATIONS, "Commands"))}
    assert listed == set(commands())


@EVERY_DOC
def test_commands_that_are_named_exist(name: str) -> None:
    known = set(commands())
    for words in re.findall(r"flask --app web ([a-z][a-z-]+(?: [a-z]+)?)", DOCS[name]):
        assert words in known or words.split()[0] in known, f"{name} names flask --app web {words}"


def test_every_process_is_listed_with_its_command() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    processes = {name.strip(): command.strip() for name, command in (line.split(":", 1) for line in lines)}
    assert first_cells(section(README, "Processes")) == set(processes)
    listed = {(row[0].strip("`"), row[1].strip("`")) for row in rows(section(OPERATIONS, "What runs"))}
    assert set(processes.items()) <= listed


def test_every_queue_and_job_is_in_operations() -> None:
    table = rows(section(OPERATIONS, "What runs"))
    listed = {row[0].strip("`"): set(coded(row[1])) for row in table if row[0].strip("`") in queue.QUEUES
              and set(coded(row[1])) & set(queue.ACTORS)}  # fmt: skip
    actors = {name: {a for a, q in queue.ACTORS.items() if q == name} for name in queue.QUEUES}
    assert listed == actors
    assert scheduler.PERIODS == {
        queue.SWEEP: 30,
        queue.RUN_CHECKS: 3600,
        queue.RECONCILE: 3600,
        queue.PRUNE: 86_400,
        queue.ROLL_UP_USAGE: 3600,
    }, "then change the documents"


def test_every_sqlstate_is_listed_with_its_code_and_status() -> None:
    expected = {(state, f"`{code}`", str(status)) for state, (code, status) in errors.REFUSALS.items()}
    for name in ("docs/errors.md", "sql/CONVENTIONS.md"):
        listed = {tuple(row[:3]) for row in rows(DOCS[name]) if re.fullmatch(r"RF\d{3}", row[0])}
        assert listed == expected, name


def test_reserved_sqlstates_are_those_that_nothing_raises() -> None:
    sql = "".join(path.read_text() for path in (ROOT / "sql").rglob("*.sql"))
    unused = {state for state in errors.REFUSALS if f"errcode = '{state}'" not in sql}
    listed = {row[0] for row in rows(ERRORS) if "Reserved:" in " ".join(row)}
    assert listed == unused


def test_every_error_code_is_explained() -> None:
    listed = first_cells(ERRORS) | {
        code for row in rows(ERRORS) for code in coded(row[1])[:1] if row[0][:2] == "RF"
    }
    assert listed == _codes_of_the_api() | _codes_of_usage_events()


def _codes_of_the_api() -> set[str]:
    for package in (web, workers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "wsgi", "conf")):
                importlib.import_module(module.name)
    classes = [errors.RefillError]
    for found in classes:
        classes += found.__subclasses__()
    sources = [path.read_text() for folder in ("web", "shared") for path in (ROOT / folder).rglob("*.py")]
    given = {code for text in sources for code in re.findall(r'\bcode="(\w+)"', text)}
    ours = {found.code for found in classes if found.__module__.split(".")[0] in ("shared", "web", "workers")}
    assert stripe_client.StripeBusy.code in ours
    return given | ours | set(openapi.CODES) | set(problems._HTTP_CODES.values()) | {"http_error"}


def _codes_of_usage_events() -> set[str]:
    source = (ROOT / "shared" / "usage_events.py").read_text()
    literal = set(re.findall(r'_BadEventError\("(\w+)"\)', source))
    named = {"id", *usage_events._TEXTS, *usage_events._OBJECTS}
    return literal | {f"invalid_{name}" for name in named}


def test_every_invariant_is_in_operations() -> None:
    views = {path.stem for path in (ROOT / "sql" / "views").glob("check_*.sql")}
    assert first_cells(section(OPERATIONS, "Invariants")) == views
    assert f"{len(views)} invariants" in DOCS["CHANGELOG.md"]


def test_every_metric_is_in_operations() -> None:
    source = (ROOT / "web" / "metrics.py").read_text()
    names = set(re.findall(r'"(refill_[a-z_]+[a-z])"', source))
    names |= {f"refill_queue_{measure}" for measure in ("waiting", "delayed", "dead", "retried")}
    summary = (ROOT / "sql" / "functions" / "operations_summary.sql").read_text()
    names |= {f"refill_{key}" for key in re.findall(r"^ +'(\w+)', \(", summary, re.MULTILINE)}
    assert first_cells(section(OPERATIONS, "Metrics")) == names


def test_every_notice_is_in_operations() -> None:
    topics = {path.stem for path in (ROOT / "workers" / "notices").glob("*.txt")}
    named = {word for word in coded(section(OPERATIONS, "Notices")) if re.fullmatch(r"[a-z]+\.[a-z_]+", word)}
    named = {word for word in named if not word.startswith("billing.")}
    assert named == topics


def test_every_reason_to_park_a_payment_is_in_operations() -> None:
    complaint = (ROOT / "sql" / "functions" / "_settlement_complaint.sql").read_text()
    reasons = set(re.findall(r"then '(\w+)'", complaint))
    assert reasons <= set(coded(section(OPERATIONS, "Parked payments")))


def test_every_reason_to_pause_is_in_operations() -> None:
    govern = (ROOT / "sql" / "functions" / "_govern.sql").read_text()
    reasons = set(re.findall(r"then '(\w+)'", govern)) - {"failed", "canceled"}
    listed = re.search(r"p_topup\.reason in \(([^;]*?)\) then", govern)
    assert listed
    reasons |= set(re.findall(r"'(\w+)'", listed[1]))
    assert reasons <= first_cells(OPERATIONS)


def test_every_scope_is_in_operations() -> None:
    assert set(SCOPES) <= set(coded(section(OPERATIONS, "Commands")))


def test_log_messages_in_operations_are_logged() -> None:
    sources = "".join(
        path.read_text() for folder in ("workers", "shared") for path in (ROOT / folder).rglob("*.py")
    )
    for message in first_cells(section(OPERATIONS, "Logs")):
        assert message in sources or message == "event parked", message


def test_every_event_type_is_in_the_stripe_guide() -> None:
    listed = re.findall(r"^- `([a-z_.]+)`$", DOCS["docs/stripe.md"], re.MULTILINE)
    assert set(listed) == set(events.HANDLERS)


def test_the_version_of_stripes_api_is_the_sdks() -> None:
    from stripe._api_version import _ApiVersion  # noqa: PLC0415

    assert set(re.findall(r"20\d\d-\d\d-\d\d\.[a-z]+", DOCS["docs/stripe.md"])) == {_ApiVersion.CURRENT}


@EVERY_DOC
def test_files_that_are_named_exist(name: str) -> None:
    pattern = r"`((?:sql|shared|web|workers|local|tests|bench|docs|supabase)/[\w/.-]+\.(?:py|sql|md|toml))`"
    for path in re.findall(pattern, DOCS[name]):
        assert "NNNN" in path or (ROOT / path).exists(), f"{name} names {path}"


def test_names_in_the_picture_exist() -> None:
    picture = re.search(r"```mermaid\n(.*?)```", README, re.DOTALL)
    assert picture
    migrations = "".join(path.read_text() for path in (ROOT / "sql" / "migrations").glob("*.sql"))
    known = {path.stem for path in (ROOT / "sql" / "functions").glob("*.sql")} | set(queue.ACTORS)
    known |= set(re.findall(r"create table billing\.(\w+)", migrations))
    named = set(re.findall(r"[a-z]+_[a-z_]+", picture[1]))
    assert named <= known


def test_every_topic_is_in_the_guide_with_its_fields() -> None:
    listed = {
        coded(row[0])[0]: set(coded(row[2])) for row in rows(section(DOCS["docs/notices.md"], "Topics"))
    }
    assert set(listed) == {*notices.ACCOUNT_TOPICS, notices.TEST}
    for topic in notices.ACCOUNT_TOPICS:
        assert set(notices.TOPICS[topic].fields) <= listed[topic], topic


def test_every_figure_of_the_pages_is_a_field_of_the_api() -> None:
    answers = {f"{declared.method} {declared.path}": declared.answer for declared in REGISTRY}
    table = rows(section(DOCS["docs/embed.md"], "Every figure"))
    for _, figure, call, named in table:
        answer = answers[call.strip("`")]
        assert answer is not None, call
        for path in coded(named):
            assert any(_has(answer, form) for form in (path, f"data.{path}")), (
                f"{figure}: {call} has no {path}"
            )
    assert {name for row in table for name in row[0].split(", ")} == {"header", *(s.label for s in SECTIONS)}


def _has(model: type[BaseModel], path: str) -> bool:
    name, _, rest = path.partition(".")
    kind = {field.alias or key: field.annotation for key, field in model.model_fields.items()}.get(name)
    return kind is not None and (not rest or any(_has(inner, rest) for inner in _models(kind)))


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in get_args(kind):
        yield from _models(inner)
