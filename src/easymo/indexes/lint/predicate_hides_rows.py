"""A predicate that leaves out rows which somebody looks for, or all rows."""

from collections.abc import Iterator

from easymo.indexes.conditions import Condition, Operator, predicate_conditions
from easymo.indexes.hotqueries import HotQuery, table_conditions
from easymo.indexes.lint.migrations import Index, Migrations, Report, Rule, Severity, Table


def check(migrations: Migrations) -> Iterator[Report]:
    for index in migrations.indexes:
        wanted = predicate_conditions(index.definition.predicate)
        reason = next(filter(None, (_empty(migrations, index, wanted), _one_value(index, wanted))), None)
        if reason is None:
            reason = next(filter(None, (_missed(migrations, index, wanted, q) for q in migrations.hot_queries)), None)
        if reason:
            yield Report(index.path, index.statement, *reason)


def _empty(migrations: Migrations, index: Index, wanted: list[Condition]) -> tuple[str, str] | None:
    table = migrations.tables.get(index.definition.table, Table())
    for condition in wanted:
        allowed = table.allowed.get(condition.column)
        if allowed is None or condition.operator not in (Operator.EQUAL, Operator.IN):
            continue
        if not allowed.intersection(condition.literals):
            return (
                f"The predicate of {index.name} holds for no row: the CHECK of {index.definition.table} leaves "
                f"{condition.column} only {', '.join(sorted(allowed))}.",
                "Write the values that rows have into the predicate.",
            )
    return None


def _one_value(index: Index, wanted: list[Condition]) -> tuple[str, str] | None:
    keys = [key.text for key in index.definition.keys]
    for condition in wanted:
        if condition.column in keys and condition.operator == Operator.EQUAL and len(condition.literals) == 1:
            return (
                f"{condition.column} is a key of {index.name} and has the one value {condition.literals[0]!r} in all "
                "its rows: the key orders nothing, and whoever looks for another value reads the whole table.",
                f"Drop the predicate to find every row, or drop {condition.column} from the keys.",
            )
    return None


def _missed(migrations: Migrations, index: Index, wanted: list[Condition], query: HotQuery) -> tuple[str, str] | None:
    table, keys = index.definition.table.rpartition(".")[2], index.definition.keys
    asked = [condition for name, condition in table_conditions(query.statement) if name == table]
    by_first_key = any(c.column == keys[0].text and c.operator in (Operator.EQUAL, Operator.IN) for c in asked)
    if not wanted or not by_first_key or all(c.column in {a.column for a in asked} for c in wanted):
        return None
    if any(
        other.definition.table == index.definition.table
        and not other.definition.predicate
        and other.definition.keys[0].text == keys[0].text
        for other in migrations.standing.values()
    ) or any(
        unique.columns[0] == keys[0].text for unique in migrations.tables.get(index.definition.table, Table()).uniques
    ):
        return None
    return (
        f"{query.name} looks {keys[0].text} up without {wanted[0].text}, and no other index holds the rows that "
        f"{index.name} leaves out: it reads the whole table.",
        "Drop the predicate, or ask for it in the query.",
    )


RULE = Rule("predicate-hides-rows", Severity.WARNING, check)
