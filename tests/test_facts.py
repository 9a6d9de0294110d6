"""One fact, one place: what is written down twice is compared here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import errors, queue
from shared.ledger import Ledger
from shared.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SQL = ROOT / "sql"
FUNCTIONS = sorted((SQL / "functions").glob("*.sql"))
PRODUCTION = ("shared", "web", "workers", "local", "client", "bench")
CREATED = re.compile(
    r"create\s+or\s+replace\s+function\s+billing\.(\w+)\s*\((.*?)\)\s*returns", re.IGNORECASE | re.DOTALL
)
# Syntax that PostgreSQL 15 does not know yet, by the version that brought it.
NEWER = {
    16: r"\bany_value\s*\(|\brandom_normal\s*\(|\bdate_add\s*\(|\bdate_subtract\s*\(|\bpg_input_is_valid\s*\("
    r"|\bpg_input_error_info\s*\(|\bis\s+(not\s+)?json\b|\bjson_array(agg)?\s*\(|\bjson_object(agg)?\s*\(|\bsystem_user\b"
    r"|\b0x[0-9a-f]+|\b0o[0-7]+|\b0b[01]+|\b\d+_\d+\b|\bgenerate_series\s*\([^()]*(\([^()]*\)[^()]*)*,\s*'[A-Za-z_/]+'\s*\)",
    17: r"\bjson_table\s*\(|\bjson_(exists|query|value|scalar|serialize)\s*\(|\bjson\s*\(|\bmerge_action\s*\("
    r"|\bwhen\s+not\s+matched\s+by\s+source\b|\buuid_extract_\w+|\bto_bin\s*\(|\bto_oct\s*\(|\bon_error\b"
    r"|\bmerge\b[^;]*\breturning\b|\btransaction_timeout\b|\brandom\s*\(\s*[^)\s]",
    18: r"\breturning\s+(with\s*\(|[^;]*\b(old|new)\.)|\buuidv[47]\s*\(|\bvirtual\b|\bwithout\s+overlaps\b"
    r"|\barray_(sort|reverse)\s*\(|\bcasefold\s*\(|\bcrc32c?\s*\(|\bnot\s+enforced\b|\bjson_strip_nulls\s*\([^()]*,",
}
SAMPLES = {
    16: [
        "select any_value(x)",
        "select generate_series(a, b, '1 day', 'UTC')",
        "select 1_000",
        "x is not json",
    ],
    17: [
        "select * from json_table(x)",
        "merge into t using s on true when matched then delete returning *",
        "random(1, 6)",
    ],
    18: [
        "update t set a = 1 returning old.a",
        "select uuidv7()",
        "insert into t values (1) returning x, new.y",
    ],
}


def code_of(path: Path) -> str:
    """A SQL file without comments."""
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


def functions() -> dict[str, list[str]]:
    """Every function of sql/functions with the names of its parameters."""
    found = {}
    for path in FUNCTIONS:
        for name, parameters in CREATED.findall(code_of(path)):
            found[name] = re.findall(r"(?:^|,)\s*(p_\w+)", parameters)
    return found


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_refusals_of_sql_are_those_of_the_table() -> None:
    files = [*SQL.rglob("*.sql")]
    raised = {state for path in files for state in re.findall(r"errcode\s*=\s*'(RF\d{3})'", path.read_text())}
    named = {state for path in files for state in re.findall(r"\bRF\d{3}\b", path.read_text())}
    assert named <= set(errors.REFUSALS)
    assert raised == set(errors.REFUSALS)


def test_the_refusals_that_a_header_names_are_those_of_errors_py() -> None:
    for path in FUNCTIONS:
        for state, code in re.findall(r"\b(RF\d{3}) ([a-z_]+)", path.read_text()):
            assert errors.REFUSALS[state][0] == code, shown(path)


def test_every_code_of_a_refusal_is_its_own() -> None:
    codes = [code for code, _ in errors.REFUSALS.values()]
    assert len(codes) == len(set(codes))


def test_each_file_defines_the_one_function_that_it_is_named_after() -> None:
    for path in FUNCTIONS:
        created = re.findall(
            r"\bcreate\s+(?:or\s+replace\s+)?function\s+billing\.(\w+)", code_of(path), re.IGNORECASE
        )
        assert created == [path.stem]
        assert len(path.read_text().splitlines()) <= 100, shown(path)
        assert path.read_text().startswith("-- "), f"{shown(path)} does not say what it does"


def test_the_ledger_wraps_every_function_under_its_name_with_its_parameters() -> None:
    called: dict[str, list[str]] = {}
    methods = [node for path in modules("shared/ledger") for node in ast.walk(ast.parse(path.read_text()))]
    for method in methods:
        if not isinstance(method, ast.FunctionDef):
            continue
        for call in ast.walk(method):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "_call"
            ):
                name = ast.literal_eval(call.args[0])
                assert name == method.name
                assert name not in called
                called[name] = [str(keyword.arg) for keyword in call.keywords]
    assert all(hasattr(Ledger, name) for name in called)
    public = {
        name: names
        for name, names in functions().items()
        if not name.startswith("_") and name != "my_accounts"
    }
    assert called == public


def test_names_of_sql_functions_stand_in_the_ledger_only() -> None:
    """Elsewhere they are methods of it, never strings or SQL."""
    found = []
    for path in modules("shared", "web", "workers"):
        if path.parent.name == "ledger" or path.name == "migrate.py":
            continue
        if "billing." in re.sub(r"#[^\n]*", "", path.read_text()) and re.search(
            r"""["'\s](?:from|into|update|select|call)\s+billing\.\w""", path.read_text(), re.IGNORECASE
        ):
            found.append(shown(path))
        found += [
            shown(path)
            for match in re.findall(r"""(?<!redis)\.call\(\s*["'](\w+)""", path.read_text())
            if match
        ]
    assert found == []


def test_only_settings_read_the_environment() -> None:
    reading = re.compile(r"\bos\.environ\b|\bos\.getenv\b|\bgetenv\(|\benviron\[")
    found = [shown(path) for path in modules("shared", "web", "workers") if reading.search(path.read_text())]
    assert [name for name in found if name != "shared/settings.py"] == []


def names_of_settings() -> set[str]:
    return {str(field.validation_alias) for field in Settings.model_fields.values()}


def test_names_of_settings_stand_in_settings_only() -> None:
    """Sentences for people may name a setting; code may not read one by its name."""
    wanted = re.compile(
        r"""(?:get|getenv|environ\[)\s*\(?\s*["']({})["']""".format("|".join(sorted(names_of_settings())))
    )
    found = [shown(path) for path in modules("shared", "web", "workers") if wanted.search(path.read_text())]
    assert [name for name in found if name != "shared/settings.py"] == []


def test_the_example_of_settings_names_every_setting_and_no_other() -> None:
    example = ROOT / ".env.example"
    if not example.exists():
        assert ".env.example" in (ROOT / "shared" / "settings.py").read_text()
        return
    named = set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]+)=", example.read_text(), re.MULTILINE))
    assert named == names_of_settings()


def test_every_actor_is_declared_under_the_name_and_queue_that_the_queue_knows() -> None:
    assert set(queue.ACTORS.values()) <= set(queue.QUEUES)
    constants = {
        name: value for name, value in vars(queue).items() if isinstance(value, str) and name.isupper()
    }
    declared = {}
    for node in ast.walk(ast.parse((ROOT / "workers" / "actors.py").read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "queue":
            declared[node.attr] = constants.get(node.attr)
    assert set(queue.ACTORS) <= {value for value in declared.values() if value}


@pytest.mark.parametrize("folder", [*PRODUCTION, "tests"])
def test_modules_and_functions_stay_short(folder: str) -> None:
    for path in modules(folder):
        text = path.read_text()
        limit = 450 if folder == "tests" else 300
        assert len(text.splitlines()) <= limit, f"{shown(path)} is longer than {limit} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
                assert node.end_lineno - node.lineno < 70, (
                    f"{shown(path)}: {node.name} is longer than 70 lines"
                )


@pytest.mark.parametrize("version", NEWER)
def test_sql_uses_nothing_newer_than_postgresql_15(version: int) -> None:
    newer = re.compile(NEWER[version], re.IGNORECASE | re.DOTALL)
    for path in sorted(SQL.rglob("*.sql")):
        found = newer.search(code_of(path))
        assert found is None, f"{shown(path)}: PostgreSQL {version} or newer only: {found and found[0][:80]}"


@pytest.mark.parametrize(
    ("version", "sample"), [(version, sample) for version in SAMPLES for sample in SAMPLES[version]]
)
def test_the_lint_for_newer_sql_can_fire(version: int, sample: str) -> None:
    assert re.search(NEWER[version], sample, re.IGNORECASE | re.DOTALL)
