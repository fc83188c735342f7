"""A predicate on a column that updates change, where no other index names the column."""

from easymo.indexes.conditions import Operator, predicate_conditions
from easymo.indexes.hotqueries import updated_columns
from easymo.indexes.lint.model import History, Reports, Rule, Severity

# Without hot queries the predicate must tell: a column compared with constants has states that rows pass through.
_STATES = (Operator.EQUAL, Operator.UNEQUAL, Operator.IN, Operator.TRUTH)


def check(history: History) -> Reports:
    updated = updated_columns(history.hot_queries)
    for table, indexes in history.by_table().items():
        named: set[str] = set().union(*(index.words for index in indexes if not index.definition.predicate))
        for index in indexes:
            for condition in predicate_conditions(index.definition.predicate):
                by = updated.get((table.rpartition(".")[2], condition.column), [])
                guessed = not history.hot_queries and not index.definition.unique and condition.operator in _STATES
                if (by or guessed) and condition.column not in named:
                    who = f" ({', '.join(query.name for query in by)})" if by else ""
                    yield (
                        index.at,
                        f"An update that changes {condition.column}{who} in {table} cannot be HOT, because the "
                        f"predicate of {index.name} names it and no other index does: it writes to all indexes of the "
                        "row and leaves more to vacuum.",
                        f"Keep {condition.column} out of predicates and keys where updates are many, "
                        "or accept the price and say so.",
                    )
                    break
            named |= index.words


RULE = Rule("predicate-ends-hot", Severity.WARNING, check)
