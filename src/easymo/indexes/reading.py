"""What a statement reads, as a SELECT that can be planned and run again and again without changing anything.

An UPDATE, a DELETE and a MERGE first find their rows, and that is all an index can help: `delete from t using u where
…` reads as `select from t, u where …`. What they then write is a matter of prices.
"""

from easymo.indexes.parser import Node, Tree, deparse, enum_name, of_kind, parse


def reading(sql: str) -> str:
    """The reading part of one statement; empty when it reads nothing. Parameters keep their numbers."""
    tree = parse(sql)
    statement = tree.stmts[0].stmt
    for holder in [statement, *(cte.ctequery for cte in of_kind(statement, "CommonTableExpr"))]:
        kind = holder.WhichOneof("node")
        if kind in ("update_stmt", "delete_stmt", "merge_stmt", "insert_stmt"):
            holder.select_stmt.CopyFrom(_select(kind, getattr(holder, kind), is_cte=holder is not statement))
    if statement.WhichOneof("node") != "select_stmt":
        return ""
    reads = any(True for kind in ("RangeVar", "RangeFunction") for _ in of_kind(statement, kind))
    return deparse(tree) if reads else ""


def _select(kind: str, write: Node, *, is_cte: bool) -> Node:
    select = parse("select").stmts[0].stmt.select_stmt
    if kind == "insert_stmt":
        select.CopyFrom(write.select_stmt.select_stmt)
    elif kind == "merge_stmt":
        outer = any(True for clause in of_kind(write, "MergeWhenClause") if _is_unmatched(clause))
        select = parse(f"select from a {'left ' if outer else ''}join b on true").stmts[0].stmt.select_stmt
        join = select.from_clause[0].join_expr
        join.larg.CopyFrom(write.source_relation)
        join.rarg.range_var.CopyFrom(write.relation)
        join.quals.CopyFrom(write.join_condition)
        name = write.relation.alias.aliasname or write.relation.relname
        _add(select, parse(f'select "{name}".ctid').stmts[0].stmt.select_stmt.target_list[0].res_target.val)
    else:
        select.from_clause.add().range_var.CopyFrom(write.relation)
        select.from_clause.extend(write.from_clause if kind == "update_stmt" else write.using_clause)
        if write.HasField("where_clause"):
            select.where_clause.CopyFrom(write.where_clause)
        for target in write.target_list if kind == "update_stmt" else ():
            _set(select, target.res_target.val)
    if write.HasField("with_clause"):
        select.with_clause.CopyFrom(write.with_clause)
    if is_cte and write.HasField("returning_clause"):
        del select.target_list[:]
        select.target_list.extend(write.returning_clause.exprs)
    return select


def _set(select: Node, value: Node) -> None:
    """What SET reads for one column, or, once, for a list of columns."""
    source = value.multi_assign_ref.source if value.WhichOneof("node") == "multi_assign_ref" else value
    if source.WhichOneof("node") == "sub_link" and source is not value:
        if value.multi_assign_ref.colno == 1:
            tree = parse("select from lateral (select 1) easymo_set").stmts[0].stmt.select_stmt.from_clause[0]
            tree.range_subselect.subquery.CopyFrom(source.sub_link.subselect)
            select.from_clause.add().CopyFrom(tree)
            # Named, or the planner would leave it out.
            _add(select, parse("select easymo_set").stmts[0].stmt.select_stmt.target_list[0].res_target.val)
    elif source.WhichOneof("node") not in ("set_to_default", "row_expr"):
        _add(select, source)


def _is_unmatched(clause: Node) -> bool:
    return enum_name(clause, "match_kind") != "MERGE_WHEN_MATCHED"


def _add(select: Node, value: Node) -> None:
    select.target_list.add().res_target.val.CopyFrom(value)


def qualified(tree: Tree, places: dict[str, str]) -> str:
    """The text with schemas before the tables that `places` names, where none is written."""
    hidden = {cte.ctename for cte in of_kind(tree, "CommonTableExpr")}
    for node in of_kind(tree, "RangeVar"):
        if not node.schemaname and node.relname in places and node.relname not in hidden:
            node.schemaname = places[node.relname]
    for clause in of_kind(tree, "LockingClause"):
        for locked in clause.locked_rels:  # these are names of FROM, which have no schema
            locked.range_var.schemaname = ""
    return deparse(tree)
