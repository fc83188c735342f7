"""Row-level security as the role of a workload meets it: its policies, with values in the place of the session's own.

A policy compares a column with what the session says, such as `tenant_id = current_setting('app.tenant')::uuid`, and a
session of ours says nothing. So that comparison gets a value that rows have. On the copy the policies then do to plans
what they do in the database: a condition that is not leakproof never reaches an index before them.
"""

from collections.abc import Sequence

import asyncpg
import msgspec

from easymo.indexes.conditions import columns_in
from easymo.indexes.observed import Connection, quote, quoted
from easymo.indexes.parser import Node, expression_text, of_kind, parse
from easymo.indexes.tables import CopiedTable, Tables

_POLICIES = """
select polname as name, polpermissive as permissive, pg_get_expr(polqual, polrelid) as predicate
from pg_policy where polrelid = $1 and polcmd in ('*', 'r') and polqual is not null and (polroles = '{0}'
  or exists (select from unnest(polroles) as r(oid) where r.oid <> 0 and pg_has_role($2, r.oid, 'member')))
"""
_VALUE = """
select v from (select {column}::text as v, row_number() over (order by count(*) desc, 1) as place, count(*) over () as n
  from (select {column} from {table} where {column} is not null limit 50000) s group by {column}) f
order by abs(place - (n + 3) / 4) limit 1
"""
_BYPASSES = "select rolsuper or rolbypassrls from pg_roles where rolname = $1"


COPY_ROLE = "easymo_scratch"
"""Stands for the workload's role on a scratch server, which drops it with the last copy."""


class Policy(msgspec.Struct, frozen=True):
    """A policy for reading, with the values in it."""

    name: str
    permissive: bool
    predicate: str


async def read_policies(connection: Connection, tables: Tables, role: str | None) -> dict[str, list[Policy]]:
    """The policies that apply to the role, by table; none where row-level security is off for it."""
    if role is None or await connection.fetchval(_BYPASSES, role):
        return {}
    found = {}
    for place, table in tables.by_place.items():
        if table.row_security:
            rows = await connection.fetch(_POLICIES, table.oid, role)
            found[place] = [
                Policy(row["name"], row["permissive"], await _with_values(connection, tables, place, row["predicate"]))
                for row in rows
            ]
    return found


def passes(policies: Sequence[Policy]) -> str:
    """The condition of all policies of a table together."""
    allowed = " or ".join(f"({policy.predicate})" for policy in policies if policy.permissive) or "false"
    return " and ".join([f"({allowed})", *(f"({policy.predicate})" for policy in policies if not policy.permissive)])


async def copy_policies(target: Connection, tables: Sequence[CopiedTable], policies: dict[str, list[Policy]]) -> None:
    """Let COPY_ROLE read everything on the copy, and hold it to the policies."""
    if not await target.fetchval("select exists (select from pg_roles where rolname = $1)", COPY_ROLE):
        await target.execute(f"create role {COPY_ROLE}")
    for (schema,) in await target.fetch("select nspname from pg_namespace where nspname !~ '^pg_'"):
        await target.execute(
            f"grant usage on schema {quote(schema)} to {COPY_ROLE}; "
            f"grant select, update on all tables in schema {quote(schema)} to {COPY_ROLE}"
        )
    for table in tables:
        if table.place in policies:
            await target.execute(f"alter table {table.qualified} enable row level security")
            for policy in policies[table.place]:
                kind = "permissive" if policy.permissive else "restrictive"
                await target.execute(
                    f"create policy {quote(policy.name)} on {table.qualified} as {kind} using ({policy.predicate})"
                )


async def _with_values(connection: Connection, tables: Tables, place: str, predicate: str) -> str:
    tree = parse(f"select {predicate}").stmts[0].stmt.select_stmt.target_list[0].res_target.val
    for node in list(of_kind(tree, "A_Expr")):
        for side, other in ((node.lexpr, node.rexpr), (node.rexpr, node.lexpr)):
            columns = columns_in(side)
            if len(columns) == 1 and not columns_in(other) and _is_of_session(other):
                table = _table_of(tables, place, *columns[0])
                if table and (value := await _value(connection, table, columns[0][1])) is not None:
                    kind = tables.types[table, columns[0][1]]
                    for call in of_kind(other, "FuncCall"):
                        if (
                            call.funcname[-1].string.sval == "current_setting"
                        ):  # planning our statements asks for it, too
                            name = next(of_kind(call.args[0], "A_Const")).sval.sval
                            await connection.execute("select set_config($1, $2, false)", name, value)
                    literal = f"select '{value.replace(chr(39), chr(39) * 2)}'::{kind}"
                    other.CopyFrom(parse(literal).stmts[0].stmt.select_stmt.target_list[0].res_target.val)
    return expression_text(tree)


def _is_of_session(node: Node) -> bool:
    return any(True for kind in ("FuncCall", "SQLValueFunction", "SubLink") for _ in of_kind(node, kind))


def _table_of(tables: Tables, place: str, relation: str, column: str) -> str:
    """The table of a column in a policy: in a subquery Postgres writes the name of the table before it."""
    own = tables.by_place[place]
    if relation in ("", own.name) and (place, column) in tables.types:
        return place
    found = [
        other for other, table in tables.by_place.items() if table.name == relation and (other, column) in tables.types
    ]
    return found[0] if len(found) == 1 else ""


async def _value(connection: Connection, table: str, column: str) -> str | None:
    try:
        value = await connection.fetchval(_VALUE.format(column=quoted(column), table=table))
    except asyncpg.PostgresError:
        return None
    return None if value is None else str(value)
