"""A predicate on a column that updates change."""

from collections.abc import Iterator

from easymo.indexes.conditions import Operator, predicate_conditions
from easymo.indexes.hotqueries import updated_columns
from easymo.indexes.lint.migrations import Migrations, Report, Rule, Severity

# Without hot queries the predicate must tell: a column compared with constants has states that rows pass through.
_STATES = (Operator.EQUAL, Operator.UNEQUAL, Operator.IN, Operator.TRUTH)


def check(migrations: Migrations) -> Iterator[Report]:
    updated = updated_columns(migrations.hot_queries)
    for index in migrations.indexes:
        definition = index.definition
        for condition in predicate_conditions(definition.predicate):
            by = updated.get((definition.table.rpartition(".")[2], condition.column), [])
            guessed = not migrations.hot_queries and not definition.unique and condition.operator in _STATES
            if by or guessed:
                who = f" ({', '.join(query.name for query in by)})" if by else ""
                yield Report(
                    index.path,
                    index.statement,
                    f"Every update of {condition.column}{who} in {definition.table} stops being HOT, because the "
                    f"predicate of {index.name} names it: each writes to all indexes of the row and "
                    "leaves more to vacuum.",
                    f"Keep {condition.column} out of predicates and keys where updates are many, "
                    "or accept the price and say so.",
                )
                break


RULE = Rule("predicate-ends-hot", Severity.WARNING, check)
