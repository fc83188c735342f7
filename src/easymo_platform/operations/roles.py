"""What `migrate --roles` applies: the group role of each service and its rights, from supabase/roles.sql."""

from pathlib import Path

import asyncpg

from easymo.indexes.sqlfile import read_statements
from easymo_platform.operations.errors import OperationError

ROLES = Path(__file__).parents[3] / "supabase" / "roles.sql"

_OURS = "select rolname from pg_roles where rolname like 'easymo\\_%' order by rolname"


async def apply_roles(database_url: str, path: Path = ROLES) -> list[str]:
    """Give every service its rights in this database, in one transaction; returns the names of roles that are new.

    Roles that are there stay, with their members; rights that the file does not name are taken away. Raises
    OperationError when the migrations are not applied, or when the user may not make roles.
    """
    statements = read_statements(path)
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            before = {row["rolname"] for row in await connection.fetch(_OURS)}
            for statement in statements:
                try:
                    await connection.execute(statement.text)
                except asyncpg.PostgresError as error:
                    raise OperationError(
                        f"{path.name}:{statement.line}: Postgres says: {error}; no right was changed. {_advice(error)}"
                    ) from error
            return [row["rolname"] for row in await connection.fetch(_OURS) if row["rolname"] not in before]
    finally:
        await connection.close()


def _advice(error: asyncpg.PostgresError) -> str:
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return "Connect as the owner of the tables, who must be allowed to make roles (CREATEROLE)."
    return "Apply the migrations first: roles are about the tables that they make."
