"""A statement as it can be tried: what it reads, of which tables, with real values for its parameters."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from easymo.indexes.asked import Asked, read_asked
from easymo.indexes.errors import AdviceError
from easymo.indexes.explain import Values, prepare
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.observed import Connection, quote, quoted
from easymo.indexes.parameters import Sample, UnboundError, example_values, preparable
from easymo.indexes.parser import SyntaxFault, of_kind, parse
from easymo.indexes.reading import qualified, reading
from easymo.indexes.security import Policy, passes, read_policies
from easymo.indexes.tables import CopiedTable, Tables

_RELATIONS = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm', 'v', 'f') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
"""
# What a connection of the role would begin with: its own setting for this database, that of the role, of the database.
_PATHS = """
select coalesce(r.rolname, '') as role, substr(item, length('search_path=') + 1) as path
from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole, unnest(setconfig) item
where item like 'search_path=%' and setdatabase in (0, (select oid from pg_database where datname = current_database()))
order by setdatabase desc, setrole desc
"""
_CHILDREN = """
select n.nspname as schema, c.relname as name, c.relkind = 'p' as partitioned, k.conname,
  k.confdeltype = 'c' as cascades,
  array(select attname from unnest(k.conkey) with ordinality u(n, i) join pg_attribute a
    on a.attrelid = k.conrelid and a.attnum = u.n order by i)::text[] as columns
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f' and k.confrelid = $1 and k.conparentid = 0
"""
_QUERY_KINDS = ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")


class Untried(Exception):
    """No index can be looked for, for this reason."""


class Bound(msgspec.Struct, frozen=True):
    """One reading of a statement: itself, or the search for the rows of a foreign key that its DELETE begins.

    `text` only reads; `weight` is how often a minute. `notes` say what its values are not.
    """

    hot: HotQuery
    name: str
    text: str
    types: list[str]
    values: list[Values]
    asked: Asked
    weight: float
    notes: list[str]

    @property
    def tables(self) -> set[str]:
        """Places of the tables that it reads."""
        return set(self.asked.tables.values())


class Session(msgspec.Struct, frozen=True):
    """What names mean: the search paths, the first of them this connection's, and the relations that there are."""

    tables: Tables
    paths: list[list[str]]
    relations: set[tuple[str, str]]
    role: str | None
    policies: dict[str, list[Policy]]

    def places(self, text: str) -> dict[str, str]:
        """The schemas of the tables named without one: by the first path that has all of them, else the only one."""
        names = {node.relname for node in of_kind(parse(text), "RangeVar") if not node.schemaname}
        for path in self.paths:
            found = {name: next((s for s in path if (s, name) in self.relations), "") for name in names}
            if all(found.values()):
                return found
        everywhere = {name: [s for s, other in self.relations if other == name] for name in names}
        first = {name: next((s for s in self.paths[0] if (s, name) in self.relations), "") for name in names}
        only = {name: schemas[0] for name, schemas in everywhere.items() if len(schemas) == 1}
        return {name: first[name] or only[name] for name in names if first[name] or name in only}

    def notes(self, tables: Sequence[CopiedTable]) -> list[str]:
        """What is to be known of row-level security."""
        hidden = [table.place for table in tables if table.row_security]
        if not hidden or self.role:
            return []
        return [
            f"{', '.join(hidden)}: row-level security is on, and plans here are those of a role without it. Name the "
            "role of the workload with --role."
        ]


async def session_of(connection: Connection, tables: Tables, role: str | None) -> Session:
    """Find out what names mean, and let this connection find functions and types of all paths. Raises AdviceError."""
    own = [list(await connection.fetchval("select current_schemas(false)"))]
    rows = await connection.fetch(_PATHS)
    chosen = [row for row in rows if role and row["role"] in (role, "")]
    others = [_schemas(row["path"], row["role"]) for row in [*chosen, *rows]]
    paths = others[: len(chosen)] + own + others[len(chosen) :]
    every = dict.fromkeys(schema for path in paths for schema in path)
    await connection.execute("select set_config('search_path', $1, false)", ", ".join(map(quote, every)))
    relations = {(row[0], row[1]) for row in await connection.fetch(_RELATIONS)}
    if role and not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
        raise AdviceError(f"the database has no role {role}; --role names the one that runs the workload")
    return Session(tables, paths, relations, role, await read_policies(connection, tables, role))


@asynccontextmanager
async def acting(connection: Connection, role: str | None) -> AsyncIterator[None]:
    """Be another role within the block, if one is named. Raises AdviceError where we may not."""
    if role is None:
        yield
        return
    try:
        await connection.execute(f"set role {quote(role)}")
    except asyncpg.PostgresError as error:
        raise AdviceError(f"this login may not act as {role} ({error}): grant {role} to it, or use another") from error
    try:
        yield
    finally:
        await connection.execute("reset role")


async def bind(connection: Connection, session: Session, hot: HotQuery) -> list[Bound]:
    """The readings of a statement with values. Raises Untried with the reason where there is none."""
    text = preparable(hot.text)
    try:
        kind = hot.statement.WhichOneof("node")
        if kind not in _QUERY_KINDS:
            raise Untried(f"no query but {(kind or 'nothing').removesuffix('_stmt').replace('_', ' ')}")
        text = qualified(parse(text), session.places(text))
        named = {f"{quoted(node.schemaname)}.{quoted(node.relname)}" for node in of_kind(parse(text), "RangeVar")}
        await _whole(connection, session, named & session.tables.by_place.keys())
        types, reads = await prepare(connection, text), reading(text)
        found = [await _bound(connection, session, hot, reads, types, session.role)] if reads else []
        found += await _children(connection, session, hot, text, found[0].asked.rows if found else 1.0)
    except SyntaxFault as error:
        raise Untried(f"it cannot be parsed: {error}") from error
    except asyncpg.PostgresError as error:
        raise Untried(f"Postgres says: {error.args[0]}") from error
    except UnboundError as error:
        raise Untried(str(error)) from error
    if not found:
        raise Untried("it reads no table" + ("" if hot.is_select else "; as a write it counts in the prices"))
    return found


async def _bound(
    connection: Connection,
    session: Session,
    hot: HotQuery,
    text: str,
    types: list[str],
    role: str | None,
    name: str = "",
    rows: float = 1.0,
) -> Bound:
    async with acting(connection, role):
        asked = await read_asked(connection, text, types, session.tables)
    tables = {place for place in asked.tables.values() if place in session.tables.by_place}
    if asked.foreign:
        raise Untried(f"it reads the foreign table {', '.join(asked.foreign)}, whose own server has to index it")
    if not tables and asked.functions:
        names = ", ".join(asked.functions)
        raise Untried(f"it reads through the function {names}, whose statements are not seen here: name them, too")
    if not tables:
        raise Untried("it reads no table of this database")
    await _whole(connection, session, tables)
    allowed = {place: passes(session.policies[place]) for place in tables if role and place in session.policies}
    for place, condition in allowed.items():
        if not await connection.fetchval(f"select exists (select from {place} where {condition})"):
            raise Untried(f"no row of {place} passes its row-level security for a value of the session that is known")
    values, notes = await example_values(connection, asked, types, Sample(session.tables, allowed), text)
    notes = [f"{hot.name}: {note}." for note in notes]
    return Bound(hot, name or hot.name, text, types, values, asked, hot.calls_per_minute * rows, notes)


async def _whole(connection: Connection, session: Session, places: set[str]) -> None:
    """A copy of a part of the rows would show nothing of the whole."""
    for place in sorted(places):
        table = session.tables.by_place[place]
        if table.row_security and await connection.fetchval("select row_security_active($1::oid)", table.oid):
            user = await connection.fetchval("select current_user")
            raise AdviceError(
                f"row-level security hides rows of {place} from the role {user}, so no copy would be whole. Connect as "
                "a role that sees all rows (a superuser, BYPASSRLS), and name the workload's own with --role"
            )


async def _children(connection: Connection, session: Session, hot: HotQuery, text: str, rows: float) -> list[Bound]:
    """What a DELETE begins: for each row the search for rows that point at it, and theirs where it cascades."""
    found: dict[str, Bound] = {}
    deletes = [node.relation for node in of_kind(parse(text), "DeleteStmt")]
    todo = [f"{quoted(relation.schemaname)}.{quoted(relation.relname)}" for relation in deletes]
    seen = set[str]()
    while todo:
        place = todo.pop()
        if place in seen or place not in session.tables.by_place:
            continue
        seen.add(place)
        for child in await connection.fetch(_CHILDREN, session.tables.by_place[place].oid):
            where = " and ".join(f"{quoted(name)} = ${number}" for number, name in enumerate(child["columns"], 1))
            name = f"{quoted(child['schema'])}.{quoted(child['name'])}"
            query = f"select 1 from {'' if child['partitioned'] else 'only '}{name} where {where}"
            key = f"{hot.name} (foreign key {child['conname']} of {name})"
            types = await prepare(connection, query)
            found[key] = await _bound(connection, session, hot, query, types, None, key, max(1.0, rows))
            todo += [name] if child["cascades"] else []
    return list(found.values())


def _schemas(path: str, role: str) -> list[str]:
    return [part.strip().strip('"').replace("$user", role) for part in path.split(",") if part.strip()]
