"""A function of the clock, the session or chance in an index predicate or expression, or a subquery."""

import re
from collections.abc import Iterator

from easymo.indexes.lint.model import History, Reports, Rule, Severity
from easymo.indexes.parser import Node, of_kind

# Functions that Postgres marks STABLE or VOLATILE whatever their arguments. Those that are immutable for some types
# only, such as date_trunc, need the catalogue: `easymo indexes plan` asks it.
_MUTABLE = re.compile(
    r"array_to_string|clock_timestamp|concat|concat_ws|current_database|current_schema|current_setting|format|"
    r"gen_random_uuid|localtimestamp|nextval|now|quote_literal|random|statement_timestamp|timeofday|to_char|"
    r"to_date|transaction_timestamp|txid_current|unaccent|uuid_generate_v1|uuid_generate_v4|uuidv7"
)
_MUTABLE_WITH_ONE = {"age", "plainto_tsquery", "to_tsquery", "to_tsvector"}  # what is left out is the session's


def check(history: History) -> Reports:
    for index in history.indexes:
        node = index.at.statement.node
        for part, where in (("predicate", [node.where_clause]), ("key", list(node.index_params))):
            for name in sorted({name for tree in where for name in _mutable(tree, history.functions)}):
                yield (
                    index.at,
                    f"Postgres refuses {index.name}: {name} in its {part} is not IMMUTABLE; its value can change while "
                    "the index keeps what it was.",
                    "Leave the condition to the query and put the column that it compares into the key."
                    if part == "predicate"
                    else "Index the column itself, or an expression of columns alone.",
                )


def _mutable(tree: Node, defined: set[str]) -> Iterator[str]:
    for call in of_kind(tree, "FuncCall"):
        name = call.funcname[-1].string.sval
        if name not in defined and (_MUTABLE.fullmatch(name) or (name in _MUTABLE_WITH_ONE and len(call.args) == 1)):
            yield f"{name}()"
    if any(True for _ in of_kind(tree, "SQLValueFunction")):
        yield "a value such as CURRENT_TIMESTAMP or CURRENT_USER"
    if any(True for _ in of_kind(tree, "SubLink")):
        yield "a subquery"


RULE = Rule("non-immutable-predicate", Severity.ERROR, check)
