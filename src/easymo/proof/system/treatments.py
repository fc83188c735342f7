"""Applies the treatments' SQL to an arm's database and takes it back, leaving the schema as it was."""

from pathlib import Path

import asyncpg

from easymo import indexes
from easymo.indexes.sqlfile import read_statements
from easymo.proof.errors import RunVoid
from easymo.proof.system.acceptance import Treatment
from easymo.proof.system.commands import missing_extension
from easymo.proof.verdict.file import AppliedIndex


def needs_index_engine(treatment: Treatment, root: Path) -> bool:
    """Whether the files hold only CREATE INDEX statements; raises :class:`RunVoid` for other SQL without a rollback."""
    for file in treatment.files:
        for statement in read_statements(root / file):
            if statement.kind != "index_stmt" and not treatment.rollback:
                raise RunVoid(
                    f"{file}, line {statement.line}: only CREATE INDEX can be taken back without being told how."
                    " Name files that undo this treatment: rollback = [FILE] in acceptance.toml."
                )
    return bool(treatment.files) and not treatment.rollback


async def apply_files(treatment: Treatment, root: Path, url: str) -> list[AppliedIndex]:
    """Apply the treatment's SQL to the database at ``url``; returns the indexes built, in order."""
    if not treatment.files:
        return []
    if needs_index_engine(treatment, root):
        # No journal: it would tell a second run what a killed one began, and the scratch database dies with the run.
        built = await indexes.apply(url, _declared(treatment, root))
        return [AppliedIndex(name=index.index, seconds=index.seconds, bytes=index.size_bytes) for index in built]
    await _run_files(treatment.files, root, url)
    return []


async def take_back(treatment: Treatment, root: Path, url: str) -> None:
    """Undo :func:`apply_files`."""
    if not treatment.files:
        return
    if needs_index_engine(treatment, root):
        await indexes.rollback(url, _declared(treatment, root))
    else:
        await _run_files(treatment.rollback, root, url)


def _declared(treatment: Treatment, root: Path) -> list[indexes.Declared]:
    return indexes.read_declared(*(root / file for file in treatment.files))


async def schema_of(url: str) -> indexes.Schema:
    """Canonical description of the schema, for comparing before and after."""
    connection = await asyncpg.connect(url)
    try:
        return await indexes.snapshot(connection)
    finally:
        await connection.close()


async def index_definitions(url: str) -> list[str]:
    """Every index of the database outside the system schemas, as Postgres writes it."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "select indexdef from pg_indexes where schemaname not in ('pg_catalog', 'information_schema', 'pg_toast')"
            " order by schemaname, tablename, indexname"
        )
        return [row["indexdef"] for row in rows]
    finally:
        await connection.close()


async def _run_files(files: list[str], root: Path, url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for file in files:
            await run_sql(connection, root / file, root)
    finally:
        await connection.close()


async def run_sql(connection: asyncpg.Connection, file: Path, root: Path) -> None:
    """Execute a SQL file statement by statement; raises :class:`RunVoid` naming file and line."""
    for statement in read_statements(file):
        try:
            await connection.execute(statement.text)
        except asyncpg.PostgresError as error:
            name = file.resolve().relative_to(root.resolve())
            problem = f"{name}, line {statement.line}: Postgres refused the statement: {error}."
            raise RunVoid(problem + missing_extension(str(error))) from error
