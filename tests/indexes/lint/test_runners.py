"""Every tool that runs migrations is recognised, and judged by what it runs in a transaction."""

from pathlib import Path

import pytest

from easymo.indexes.lint import lint
from easymo.indexes.runners import RUNNERS

ONE = "create index concurrently i on t (a);\n"
TWO = ONE + "create index concurrently j on t (b);\n"
CARGO = {"Cargo.toml": 'sqlx = "0.8"\ndiesel = "2"\n'}
# Tool, path, text, files beside it; a concurrent build is refused there.
REFUSED = [
    ("goose", "db/1_i.sql", f"-- +goose Up\n{ONE}-- +goose Down\n", {}),
    ("sql-migrate", "db/1_i.sql", f"-- +migrate Up\n{ONE}", {}),
    ("dbmate", "db/1_i.sql", f"-- migrate:up\n{ONE}", {}),
    ("dbmate", "db/1_i.sql", f"-- migrate:up transaction:false\n{TWO}", {}),
    (
        "Liquibase",
        "db/1_i.sql",
        f"--liquibase formatted sql\n--changeset a:1 runInTransaction:false\n--changeset a:2\n{ONE}",
        {},
    ),
    ("tern", "db/1_i.sql", f"{ONE}---- create above / drop below ----\n", {}),
    ("node-pg-migrate", "db/1_i.sql", f"-- Up Migration\n{ONE}", {}),
    ("Drizzle", "db/1_i.sql", f"select 1;\n--> statement-breakpoint\n{ONE}", {}),
    ("Atlas", "db/1.sql", ONE, {"db/atlas.sum": ""}),
    ("Prisma", "prisma/migrations/1_i/migration.sql", TWO, {}),
    ("Diesel", "migrations/1_i/up.sql", ONE, CARGO),
    ("Diesel", "migrations/1_i/up.sql", TWO, {**CARGO, "migrations/1_i/metadata.toml": "run_in_transaction = false"}),
    ("sqlx", "migrations/1_i.sql", ONE, CARGO),
    ("sqlx", "migrations/1_i.sql", f"-- no-transaction\n{TWO}", {}),
    ("Flyway", "db/V1__i.sql", f"create table t (a int, b int);\n{ONE}", {}),
    ("golang-migrate", "db/1_i.up.sql", TWO, {}),
    ("", "db/i.sql", f"begin;\n{ONE}", {}),
    ("", "supabase/migrations/1_i.sql", f"begin;\n{ONE}commit;\n", {}),
]
ALLOWED = [
    ("db/1_i.sql", f"-- +goose NO TRANSACTION\n-- +goose Up\n{TWO}-- +goose Down\nbegin;\n{TWO}", {}),
    ("db/1_i.sql", f"-- +migrate Up notransaction\n{TWO}", {}),
    ("db/1_i.sql", f"-- migrate:up transaction:false\n{ONE}-- migrate:down\n{TWO}", {}),
    (
        "db/1_i.sql",
        f"--liquibase formatted sql\n--changeset a:1\nselect 1;\n--changeset a:2 runInTransaction:false\n{TWO}",
        {},
    ),
    ("db/1_i.sql", f"---- tern: disable-tx ----\n{TWO}---- create above / drop below ----\n", {}),
    ("db/1.sql", f"-- atlas:txmode none\n{TWO}", {"db/atlas.sum": ""}),
    ("prisma/migrations/1_i/migration.sql", ONE, {}),
    ("supabase/migrations/1_i.sql", f"select 1;\n{TWO}", {}),
    ("db/structure.sql", f"select 1;\n{TWO}", {}),
    ("migrations/1_i/up.sql", ONE, {**CARGO, "migrations/1_i/metadata.toml": "run_in_transaction = false"}),
    ("migrations/1_i.sql", f"-- no-transaction\n{ONE}", CARGO),
    ("db/V1__i.sql", TWO, {}),
    ("db/V1__i.sql", f"select 1;\n{ONE}", {"db/V1__i.sql.conf": "executeInTransaction=false"}),
    ("db/1_i.up.sql", ONE, {}),
    ("db/i.sql", f"begin;\nsavepoint s;\ncommit;\n{TWO}", {}),
]


def refusals(folder: Path, path: str, text: str, beside: dict[str, str]) -> list[str]:
    for name, content in {**beside, path: text}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    found = [finding for finding in lint([folder / path]) if finding.rule == "concurrently-in-transaction"]
    return [f"{finding.message} {finding.help}" for finding in found]


@pytest.mark.parametrize(("tool", "path", "text", "beside"), REFUSED)
def test_concurrent_build_in_the_transaction_of_a_tool_is_an_error_that_names_the_tool(
    tool: str, path: str, text: str, beside: dict[str, str], tmp_path: Path
) -> None:
    found = refusals(tmp_path, path, text, beside)
    assert found
    assert all(tool in message for message in found)


@pytest.mark.parametrize(("path", "text", "beside"), ALLOWED)
def test_concurrent_build_that_the_tool_sends_outside_a_transaction_is_none(
    path: str, text: str, beside: dict[str, str], tmp_path: Path
) -> None:
    assert refusals(tmp_path, path, text, beside) == []


def test_every_tool_is_tried() -> None:
    always_alone = {"Supabase", "Rails"}
    assert {tool for tool, *_ in REFUSED} - {""} == {runner.tool for runner in RUNNERS} - always_alone
