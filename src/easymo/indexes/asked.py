"""What a statement asks of each table, as Postgres understands it: read from the plan of the statement for any values.

Postgres resolves names, rewrites views, applies row-level security, inlines functions and infers what follows from an
equality. A plan without index scans shows all of that: each condition stands at a scan or a join, each order in a Sort.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from easymo.indexes.conditions import columns_in
from easymo.indexes.explain import prepare_as
from easymo.indexes.observed import Connection, quote, quoted
from easymo.indexes.parser import Node, SyntaxFault, enum_name, expression_text, of_kind, parse
from easymo.indexes.tables import Tables

_PLAIN = """
set local enable_indexscan = off; set local enable_indexonlyscan = off; set local enable_bitmapscan = off;
set local enable_mergejoin = off; set local enable_seqscan = on; set local plan_cache_mode = force_generic_plan;
set local max_parallel_workers_per_gather = 0; set local jit = off; set local enable_incremental_sort = off;
set local enable_partition_pruning = off
"""
_NAME = "easymo_asked"
_CONDITIONS = ("Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "TID Cond")
_PROJECTING = ("Aggregate", "Group", "WindowAgg", "Hash Join", "Merge Join", "Nested Loop", "Result", "ProjectSet")
# What stands for the result of a subquery is an unknown value to its surroundings.
_SUBPLAN = re.compile(r"\((?:hashed )?(?:SubPlan|InitPlan) \d+\)(?:\.col\d+)?|\b(?:EXISTS)?\(SubPlan \d+\)")
_PLANNED = re.compile(r"\b(ANY|ALL) \((?=\()|\((ANY|ALL) \(")
_NUMBERED = re.compile(r"_\d+$")


class Asked(msgspec.Struct, frozen=True):
    """The questions of one statement. `tables` are qualified names by alias; `orders` are lists of sort items, groups
    among them. `reads` are the columns by alias that the statement needs. `foreign` are tables of other servers,
    `functions` those whose statements nobody sees; `rows` are expected.
    """

    tables: dict[str, str]
    clauses: list[Node]
    orders: list[list[Node]]
    groups: list[list[Node]]
    reads: dict[str, set[str]]
    rows: float
    foreign: list[str]
    functions: list[str]


async def read_asked(connection: Connection, text: str, types: Sequence[str], tables: Tables) -> Asked:
    """Plan a statement with parameters of these types.

    Raises PostgresError.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(_PLAIN)
        await prepare_as(connection, _NAME, text, types)
        arguments = f"({', '.join('null' for _ in types)})" if types else ""
        plan = await connection.fetchval(f"explain (verbose, format json) execute {_NAME}{arguments}")
    finally:
        await transaction.rollback()
        await connection.execute("deallocate all")
    return _Reader(tables).read(json.loads(plan)[0]["Plan"])


class _Reader:
    def __init__(self, tables: Tables) -> None:
        self._known = tables
        self._tables: dict[str, str] = {}
        self._calls: dict[str, Node] = {}
        self._reads: dict[str, set[str]] = {}
        self._foreign: list[str] = []
        self._functions: list[str] = []

    def read(self, plan: dict[str, Any]) -> Asked:
        nodes = list(_nodes(plan))
        for node in nodes:
            self._scan(node)
        for node in nodes:
            # A scan below these may pass on all columns, which costs it nothing; they say themselves what they need.
            if "Relation Name" not in node or node["Above"] not in _PROJECTING:
                for tree in self._outputs(node):
                    self._count(tree)
        clauses = [c for node in nodes for what in _CONDITIONS if (c := self._clause(node.get(what, ""))) is not None]
        orders = [self._items(node["Sort Key"]) for node in nodes if "Sort Key" in node]
        orders += [[item] for node in nodes if "Group Key" not in node for item in self._extremes(node)]
        groups = [self._items(node["Group Key"]) for node in nodes if "Group Key" in node]
        for tree in [*clauses, *(item for items in (*orders, *groups) for item in items)]:
            self._count(tree)
        return Asked(
            self._tables, clauses, orders, groups, self._reads, plan["Plan Rows"], self._foreign, self._functions
        )

    def _scan(self, node: dict[str, Any]) -> None:
        kind, alias = node["Node Type"], node.get("Alias", "")
        if "Relation Name" in node:
            place = f"{quoted(node['Schema'])}.{quoted(node['Relation Name'])}"
            root = self._known.roots.get(place, place)
            self._tables[alias] = root
            if root != place:  # above its scans a partitioned table has the name without the number
                self._tables.setdefault(_NUMBERED.sub("", alias), root)
            if kind == "Foreign Scan":
                self._foreign.append(place)
        elif kind == "Function Scan":
            if node.get("Schema") != "pg_catalog":
                self._functions.append(node.get("Function Name", alias))
            if (call := self._parsed(node.get("Function Call", ""))) is not None:
                self._calls[alias] = call

    def _outputs(self, node: dict[str, Any]) -> Iterator[Node]:
        """What a node passes on. Postgres leaves out the name of the table there where the plan has only one."""
        only = next(iter(self._tables)) if len(self._tables) == 1 else ""
        for text in node.get("Output", ()):
            if (tree := self._parsed(text)) is not None:
                for reference in of_kind(tree, "ColumnRef") if only else ():
                    if len(reference.fields) == 1 and reference.fields[0].HasField("string"):
                        reference.CopyFrom(
                            _expression(f"{quote(only)}.{quote(reference.fields[0].string.sval)}").column_ref
                        )
                yield tree

    def _count(self, tree: Node) -> None:
        for alias, column in columns_in(tree):
            self._reads.setdefault(alias, set()).add(column)

    def _clause(self, text: str) -> Node | None:
        clause = self._parsed(text)
        if clause is not None:
            self._put_calls(clause)
            for node in of_kind(clause, "A_Expr"):
                self._simplify(node)
        return clause

    @staticmethod
    def _parsed(text: str) -> Node | None:
        """An expression of a plan as a tree; None for what is no SQL, such as a mark of Postgres' own."""
        text = _PLANNED.sub(lambda match: "((" if match[2] else "(", _SUBPLAN.sub("$0", text))
        try:
            return parse(f"select {text}").stmts[0].stmt.select_stmt.target_list[0].res_target.val if text else None
        except (SyntaxFault, IndexError):
            return None

    def _items(self, texts: Sequence[str]) -> list[Node]:
        items = []
        for text in texts:
            try:
                tree = parse(f"select 1 order by {_SUBPLAN.sub('$0', text)}")
            except SyntaxFault:
                break
            item = tree.stmts[0].stmt.select_stmt.sort_clause[0]
            items.append(item)
        return items

    def _extremes(self, node: dict[str, Any]) -> Iterator[Node]:
        """min(x) and max(x) of all rows are the ends of an order."""
        for tree in self._outputs(node) if node["Node Type"] == "Aggregate" else ():
            for call in of_kind(tree, "FuncCall"):
                if call.funcname[-1].string.sval in ("min", "max") and len(call.args) == 1:
                    yield from self._items([expression_text(call.args[0])])

    def _put_calls(self, clause: Node) -> None:
        """Put the function in the place of its column: `tsv @@ q` of FROM to_tsquery(…) q is `tsv @@ to_tsquery(…)`."""
        for operation in of_kind(clause, "A_Expr"):
            for side in (operation.lexpr, operation.rexpr):
                references = columns_in(side) if side.WhichOneof("node") == "column_ref" else []
                if references and references[0][0] in self._calls:
                    side.CopyFrom(self._calls[references[0][0]])

    def _type_of(self, side: Node) -> str:
        if side.WhichOneof("node") != "column_ref" or not (references := columns_in(side)):
            return ""
        alias, column = references[0]
        return self._known.types.get((self._tables.get(alias, ""), column), "")

    def _simplify(self, node: Node) -> None:
        """Leave out casts that change nothing, and write a list as IN."""
        for side in (node.lexpr, node.rexpr):
            if side.WhichOneof("node") == "type_cast" and self._type_of(side.type_cast.arg).startswith("character"):
                side.CopyFrom(side.type_cast.arg)
        for side, other in ((node.rexpr, node.lexpr), (node.lexpr, node.rexpr)):
            if side.WhichOneof("node") != "type_cast" or side.type_cast.arg.WhichOneof("node") != "a_const":
                continue
            kind, own = expression_text(side).rpartition("::")[2], _spelled(self._type_of(other))
            is_list = enum_name(node, "kind") == "AEXPR_OP_ANY" and kind.endswith("[]")
            kind = kind.removesuffix("[]") if is_list else kind
            bare = kind == "text" or own.partition("(")[0] in (kind, kind.partition("(")[0])
            if is_list and node.name[-1].string.sval == "=":
                values = _elements(side.type_cast.arg.a_const.sval.sval)
                literals = ["'" + value.replace("'", "''") + "'" + ("" if bare else f"::{kind}") for value in values]
                node.CopyFrom(_expression(f"{expression_text(other)} in ({', '.join(literals)})").a_expr)
            elif not is_list and bare:
                side.CopyFrom(side.type_cast.arg)


@lru_cache
def _spelled(kind: str) -> str:
    """A type as the parser writes it."""
    return expression_text(_expression(f"null::{kind}")).rpartition("::")[2] if kind else ""


def _elements(array: str) -> list[str]:
    """The values of an array of literals, such as {open,"on hold"}."""
    return next(csv.reader([array[1:-1]], escapechar="\\", doublequote=False), []) if array[1:-1] else []


def _expression(text: str) -> Node:
    return parse(f"select {text}").stmts[0].stmt.select_stmt.target_list[0].res_target.val


def _nodes(plan: dict[str, Any], above: str = "") -> Iterator[dict[str, Any]]:
    yield plan | {"Above": above}
    for child in plan.get("Plans", ()):
        yield from _nodes(child, plan["Node Type"])
