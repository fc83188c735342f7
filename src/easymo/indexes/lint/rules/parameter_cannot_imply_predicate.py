"""A hot query that binds what a predicate names."""

from easymo.indexes.conditions import predicate_conditions
from easymo.indexes.hotqueries import HotQuery, table_conditions
from easymo.indexes.lint.model import History, Reports, Rule, Severity


def check(history: History) -> Reports:
    for index in history.indexes:
        table = index.definition.table.rpartition(".")[2]
        named = {condition.column for condition in predicate_conditions(index.definition.predicate)}
        for query in filter(is_select, history.hot_queries):
            asked = [condition for name, condition in table_conditions(query.statement) if name == table]
            literal = {condition.column for condition in asked if not condition.parameters}
            bound = [c for c in asked if c.parameters and c.column in named - literal]
            if bound:
                yield (
                    index.at,
                    f"{query.name} ({query.path.name}:{query.line}) binds {bound[0].column}: a generic plan cannot "
                    f"know that the value is in the predicate of {index.name}, and does not use the index.",
                    f"Write the value of {bound[0].column} into the text of {query.name}, one statement for each.",
                )


def is_select(query: HotQuery) -> bool:
    """A write finds its rows by their key as a rule, and needs no predicate for that."""
    return query.is_select


RULE = Rule("parameter-cannot-imply-predicate", Severity.WARNING, check)
