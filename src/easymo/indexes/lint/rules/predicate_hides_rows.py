"""A predicate that leaves out rows which somebody looks for, or all rows."""

from easymo.indexes.conditions import Condition, Operator, predicate_conditions
from easymo.indexes.hotqueries import HotQuery, table_conditions
from easymo.indexes.lint.model import History, Index, Reports, Rule, Severity


def check(history: History) -> Reports:
    by_table = history.by_table()
    for index in history.indexes:
        predicate = predicate_conditions(index.definition.predicate)
        beside = [other for other in by_table.get(index.definition.table, ()) if other is not index]
        missed = (_missed(index, beside, predicate, query) for query in history.hot_queries)
        for reason in filter(None, (_empty(history, index, predicate), _one_value(index, predicate), *missed)):
            yield (index.at, *reason)
            break


def _empty(history: History, index: Index, predicate: tuple[Condition, ...]) -> tuple[str, str] | None:
    table = index.definition.table
    for condition in predicate:
        if condition.operator not in (Operator.EQUAL, Operator.IN) or not condition.literals:
            continue
        for column, allowed in history.table(table).checks.values():
            if column == condition.column and not allowed.intersection(condition.literals):
                return (
                    f"The predicate of {index.name} holds for no row: a CHECK of {table} leaves {column} only "
                    f"{', '.join(sorted(allowed))}.",
                    "Write the values that rows have into the predicate.",
                )
    return None


def _one_value(index: Index, predicate: tuple[Condition, ...]) -> tuple[str, str] | None:
    keys = [key.text for key in index.definition.keys]
    for condition in predicate:
        if condition.column in keys and condition.operator == Operator.EQUAL and len(condition.literals) == 1:
            return (
                f"{condition.column} is a key of {index.name} and has the one value {condition.literals[0]!r} in all "
                "its rows: the key orders nothing, and a query for another value cannot use the index.",
                f"Drop the predicate to find every row, or drop {condition.column} from the keys.",
            )
    return None


def _missed(
    index: Index, beside: list[Index], predicate: tuple[Condition, ...], query: HotQuery
) -> tuple[str, str] | None:
    first = index.definition.keys[0].text
    table = index.definition.table.rpartition(".")[2]
    asked = [condition for name, condition in table_conditions(query.statement) if name == table]
    by_first_key = any(c.column == first and c.operator in (Operator.EQUAL, Operator.IN) for c in asked)
    if not predicate or not by_first_key or all(c.column in {a.column for a in asked} for c in predicate):
        return None
    if any(other.definition.keys[0].text == first and not other.definition.predicate for other in beside):
        return None
    return (
        f"{query.name} looks {first} up without {predicate[0].text}, so {index.name} cannot serve it, and no other "
        f"index of these files begins with {first}.",
        "Drop the predicate, or ask for it in the query.",
    )


RULE = Rule("predicate-hides-rows", Severity.WARNING, check)
