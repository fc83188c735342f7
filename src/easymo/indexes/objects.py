"""Types, functions and views of a database, made again in a copy as far as its server takes them.

In which order they depend on each other nobody has to know: what is refused is tried again until nothing more succeeds.
What is then missing is missed only by the queries that use it.
"""

from collections.abc import Iterable

import asyncpg

from easymo.indexes.observed import Connection, quote

_EXTENSIONS = """
select e.extname, n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace
where e.extname <> 'plpgsql'
"""
_OWN = """n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists (select from pg_depend d where d.objid = {oid} and d.deptype = 'e')"""
_SCHEMAS = "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'"
_OBJECTS = (
    f"""select format('create type %I.%I as enum (%s)', n.nspname, t.typname,
        (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) from pg_enum where enumtypid = t.oid))
      from pg_type t join pg_namespace n on n.oid = t.typnamespace
      where t.typtype = 'e' and {_OWN.format(oid="t.oid")}""",
    f"""select format('create domain %I.%I as %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod))
      from pg_type t join pg_namespace n on n.oid = t.typnamespace
      where t.typtype = 'd' and {_OWN.format(oid="t.oid")}""",
    f"""select format('create type %I.%I as (%s)', n.nspname, t.typname, (select string_agg(quote_ident(attname) || ' '
        || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute
        where attrelid = c.oid and attnum > 0 and not attisdropped))
      from pg_type t join pg_class c on c.oid = t.typrelid and c.relkind = 'c'
        join pg_namespace n on n.oid = t.typnamespace where {_OWN.format(oid="t.oid")}""",
    f"""select format('create type %I.%I as range (subtype = %s)', n.nspname, t.typname,
        format_type(r.rngsubtype, null))
      from pg_range r join pg_type t on t.oid = r.rngtypid join pg_namespace n on n.oid = t.typnamespace
      where {_OWN.format(oid="t.oid")}""",
    f"""select pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where p.prokind in ('f', 'p') and {_OWN.format(oid="p.oid")}""",
)
_VIEWS = f"""
select format('create view %I.%I%s as %s', n.nspname, c.relname,
  coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''), pg_get_viewdef(c.oid))
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'v' and {_OWN.format(oid="c.oid")}
"""


async def copy_objects(source: Connection, target: Connection, schemas: Iterable[str]) -> None:
    """Schemas, extensions, types and functions."""
    for name in {row[0] for row in await source.fetch(_SCHEMAS)} | set(schemas):
        await target.execute(f"create schema if not exists {quote(name)}")
    for name, schema in await source.fetch(_EXTENSIONS):
        await _try(target, f"create extension if not exists {quote(name)} schema {quote(schema)} cascade")
    await target.execute("set check_function_bodies = off")
    await _make(target, [row[0] for query in _OBJECTS for row in await source.fetch(query) if row[0]])


async def copy_views(source: Connection, target: Connection) -> None:
    """Views whose tables are there."""
    await _make(target, [row[0].rstrip("; ") for row in await source.fetch(_VIEWS)])


async def _make(target: Connection, statements: list[str]) -> None:
    waiting = statements
    while waiting:
        refused = [statement for statement in waiting if not await _try(target, statement)]
        if len(refused) == len(waiting):
            return
        waiting = refused


async def _try(target: Connection, statement: str) -> bool:
    try:
        await target.execute(statement)
    except asyncpg.PostgresError:
        return False
    return True
