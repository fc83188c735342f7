"""What a WHERE clause asks of single columns: the parts of it that an index can answer."""

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

import msgspec

from easymo.indexes.parser import Node, enum_name, expression_text, of_kind, parse

_RANGES = {"<", "<=", ">", ">="}
_CONTAINING = {"@>", "&&", "@@", "?", "?|", "?&"}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Operator(StrEnum):
    """How a column is compared.

    JOIN is equality with a column, CONTAINS what a GIN index answers of arrays, JSON and texts, MATCHES a pattern that
    need not begin with anything; OTHER is anything else that is asked.
    """

    EQUAL = "="
    UNEQUAL = "<>"
    IN = "in"
    RANGE = "range"
    LIKE = "like"
    IS_NULL = "is null"
    IS_NOT_NULL = "is not null"
    TRUTH = "is true or false"
    JOIN = "join"
    CONTAINS = "contains"
    MATCHES = "matches"
    OTHER = "other"


class Condition(msgspec.Struct, frozen=True):
    """One comparison that every row has to pass.

    `relation` is the alias or table before the column, empty where there is none. `literals` are the constants that it
    is compared with, `parameters` the numbers of the `$n`. `text` is the comparison without the alias.
    """

    relation: str
    column: str
    operator: Operator
    literals: tuple[str, ...] = ()
    parameters: tuple[int, ...] = ()
    text: str = ""

    @property
    def is_constant(self) -> bool:
        """Whether the statement's text alone says what is asked, so that a predicate may repeat it."""
        return not self.parameters and (
            bool(self.literals) or self.operator in (Operator.IS_NULL, Operator.IS_NOT_NULL, Operator.TRUTH)
        )

    @property
    def pins(self) -> bool:
        """Whether the column has one value, or a few, in all rows that pass."""
        return self.operator in (Operator.EQUAL, Operator.IN, Operator.JOIN, Operator.IS_NULL, Operator.TRUTH)


@lru_cache(maxsize=1024)
def predicate_conditions(predicate: str) -> tuple[Condition, ...]:
    """The conditions of an index predicate, given as text; none for an empty one."""
    if not predicate:
        return ()
    where = parse(f"select 1 where {predicate}").stmts[0].stmt.select_stmt.where_clause
    return tuple(conditions(where))


def conditions(expression: Node) -> Iterator[Condition]:
    """The conditions that an expression joins by AND."""
    kind = expression.WhichOneof("node")
    if kind == "bool_expr" and enum_name(expression.bool_expr, "boolop") == "AND_EXPR":
        for argument in expression.bool_expr.args:
            yield from conditions(argument)
        return
    yield from _comparison(expression, kind)


def alternatives(expression: Node) -> list[list[Node]]:
    """The arms of each OR that a WHERE clause holds at its top."""
    kind = expression.WhichOneof("node")
    if kind != "bool_expr":
        return []
    arguments = list(expression.bool_expr.args)
    match enum_name(expression.bool_expr, "boolop"):
        case "OR_EXPR":
            return [arguments]
        case "AND_EXPR":
            return [arms for argument in arguments for arms in alternatives(argument)]
    return []


def columns_in(expression: Node) -> list[tuple[str, str]]:
    """Relation and column of every column that an expression names."""
    return [_reference(node) for node in of_kind(expression, "ColumnRef") if node.fields[-1].HasField("string")]


def unqualified(expression: Node) -> str:
    """The text of an expression without the aliases before its columns."""
    copy = type(expression)()
    copy.CopyFrom(expression)
    for node in of_kind(copy, "ColumnRef"):
        del node.fields[:-1]
    return expression_text(copy)


def comparison(operation: Node) -> Operator:
    """How the A_Expr compares its left side with its right one."""
    return _operator(enum_name(operation, "kind"), operation.name[-1].string.sval)


def _comparison(expression: Node, kind: str) -> Iterator[Condition]:
    match kind:
        case "null_test" if _is_column(expression.null_test.arg):
            negated = enum_name(expression.null_test, "nulltesttype") == "IS_NOT_NULL"
            operator = Operator.IS_NOT_NULL if negated else Operator.IS_NULL
            yield _condition(expression.null_test.arg, operator, expression)
        case "column_ref":
            yield _condition(expression, Operator.TRUTH, expression)
        case "boolean_test" if _is_column(expression.boolean_test.arg):
            yield _condition(expression.boolean_test.arg, Operator.TRUTH, expression)
        case "bool_expr" if len(expression.bool_expr.args) == 1 and _is_column(expression.bool_expr.args[0]):
            yield _condition(expression.bool_expr.args[0], Operator.TRUTH, expression)
        case "a_expr":
            yield from _operation(expression)
        case _:
            yield from _others(expression)


def _operation(expression: Node) -> Iterator[Condition]:
    node = expression.a_expr
    left, right, name = _bare(node.lexpr), _bare(node.rexpr), node.name[-1].string.sval
    if _is_column(left) and _is_column(right) and name == "=":
        yield _condition(left, Operator.JOIN, expression)
        yield _condition(right, Operator.JOIN, expression)
    elif _is_column(left) and not columns_in(right):
        yield _condition(left, _operator(enum_name(node, "kind"), name), expression, right)
    elif _is_column(right) and not columns_in(left) and enum_name(node, "kind") == "AEXPR_OP":
        yield _condition(right, _operator("AEXPR_OP", _MIRRORED.get(name, name)), expression, left)
    else:
        yield from _others(expression)


def _others(expression: Node) -> list[Condition]:
    text = unqualified(expression)
    return [Condition(relation, column, Operator.OTHER, text=text) for relation, column in columns_in(expression)]


def _operator(kind: str, name: str) -> Operator:
    match kind, name:
        case "AEXPR_OP", "=":
            return Operator.EQUAL
        case "AEXPR_OP", "<>":
            return Operator.UNEQUAL
        case ("AEXPR_OP", _) if name in _RANGES:
            return Operator.RANGE
        case ("AEXPR_BETWEEN", _):
            return Operator.RANGE
        case ("AEXPR_IN" | "AEXPR_OP_ANY", "="):
            return Operator.IN
        case ("AEXPR_LIKE", "~~"):
            return Operator.LIKE
        case ("AEXPR_ILIKE", "~~*") | ("AEXPR_OP", "~" | "~*"):
            return Operator.MATCHES
        case ("AEXPR_OP", _) if name in _CONTAINING:
            return Operator.CONTAINS
    return Operator.OTHER


def _condition(column: Node, operator: Operator, expression: Node, value: Node | None = None) -> Condition:
    relation, name = _reference(column.column_ref)
    literals = () if value is None else tuple(_literal(node) for node in of_kind(value, "A_Const"))
    if value is not None and any(True for _ in of_kind(value, "FuncCall")):
        literals = ()  # now() - interval '1 day' is no constant
    if value is not None and any(True for _ in of_kind(value, "SQLValueFunction")):
        literals = ()
    parameters = () if value is None else tuple(node.number for node in of_kind(value, "ParamRef"))
    return Condition(relation, name, operator, literals, parameters, unqualified(expression))


def _bare(node: Node) -> Node:
    """A column without the cast around it: a text column is compared as varchar without loss."""
    if node.WhichOneof("node") == "type_cast" and _is_column(node.type_cast.arg):
        return node.type_cast.arg if node.type_cast.type_name.names[-1].string.sval == "text" else node
    return node


def _is_column(node: Node) -> bool:
    return bool(node.WhichOneof("node") == "column_ref") and bool(node.column_ref.fields[-1].HasField("string"))


def _reference(column: Node) -> tuple[str, str]:
    names = [field.string.sval for field in column.fields]
    return (names[-2] if len(names) > 1 else ""), names[-1]


def _literal(constant: Node) -> str:
    match constant.WhichOneof("val"):
        case "sval":
            return str(constant.sval.sval)
        case "ival":
            return str(constant.ival.ival)
        case "boolval":
            return str(constant.boolval.boolval).lower()
        case "fval":
            return str(constant.fval.fval)
    return ""
