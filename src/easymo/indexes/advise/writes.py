"""How each table is written: by the workload's own statements and their triggers, else by the table's counters."""

import re
from collections.abc import Iterable, Sequence

from easymo.indexes.advise import judgement
from easymo.indexes.advise.pricing import Updates, Writes
from easymo.indexes.binding import Bound, Session
from easymo.indexes.conditions import conditions
from easymo.indexes.hotqueries import HotQuery, updates
from easymo.indexes.observed import Connection, quoted
from easymo.indexes.parameters import preparable
from easymo.indexes.parser import Node, SyntaxFault, of_kind, parse
from easymo.indexes.price import written
from easymo.indexes.tables import CopiedTable

# A trigger function sets `new.column := …`; moddatetime and tsvector_update_trigger have the column as an argument.
_TRIGGERS = """
select p.prosrc as body, encode(t.tgargs, 'escape') as arguments
from pg_trigger t join pg_proc p on p.oid = t.tgfoid
where t.tgrelid = $1 and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 19 = 19
"""
_SETS = re.compile(r"\bnew\.\"?(\w+)\"?\s*:?=", re.IGNORECASE)


async def read_writes(
    connection: Connection,
    session: Session,
    workload: Sequence[HotQuery],
    queries: Sequence[Bound],
    tables: Sequence[CopiedTable],
) -> dict[str, Writes]:
    """Writes by table."""
    updated: dict[str, dict[str, tuple[HotQuery, set[str]]]] = {}
    inserted: dict[str, float] = {}
    for query in workload:
        for relation, columns, kind in _written(session, query):
            if kind == "update":
                updated.setdefault(relation, {}).setdefault(query.name, (query, set()))[1].update(columns)
            else:
                inserted[relation] = inserted.get(relation, 0.0) + query.calls_per_minute
    found = {}
    for table in tables:
        rows = await written(connection, table.oid)
        per_minute = 60 / rows.seconds if rows.seconds >= judgement.LEAST_COUNTED_S else 0.0
        more = await _set_by_triggers(connection, table)
        of_table = updated.get(table.place, {}).values()
        by_query = [Updates(frozenset(columns | more), q.calls_per_minute, q.name) for q, columns in of_table]
        if not by_query and rows.updates * per_minute and (guess := _constants(table.place, queries)):
            by_query = [
                Updates(frozenset(guess), rows.updates * per_minute, "the counters of the table; columns guessed")
            ]
        found[table.place] = Writes(inserted.get(table.place) or rows.inserts * per_minute, tuple(by_query))
    return found


def _written(session: Session, query: HotQuery) -> Iterable[tuple[str, list[str], str]]:
    try:
        statement, places = parse(preparable(query.text)).stmts[0].stmt, session.places(preparable(query.text))
    except (SyntaxFault, IndexError):
        return

    def place(relation: Node) -> str:
        schema = relation.schemaname or places.get(relation.relname, "")
        name = f"{quoted(schema)}.{quoted(relation.relname)}" if schema else relation.relname
        return session.tables.roots.get(name, name)

    for relation, columns in updates(statement):
        yield place(relation), columns, "update"
    for node in of_kind(statement, "InsertStmt"):
        yield place(node.relation), [], "insert"


async def _set_by_triggers(connection: Connection, table: CopiedTable) -> set[str]:
    rows = await connection.fetch(_TRIGGERS, table.oid)
    arguments = {word for row in rows for word in row["arguments"].split("\\000") if word}
    return {name for row in rows for name in _SETS.findall(row["body"])} | arguments


def _constants(place: str, queries: Sequence[Bound]) -> set[str]:
    """Columns that are compared with constants: what has states is what is updated."""
    return {
        condition.column
        for query in queries
        for clause in query.asked.clauses
        for condition in conditions(clause)
        if query.asked.tables.get(condition.relation) == place and condition.is_constant and condition.literals
    }
