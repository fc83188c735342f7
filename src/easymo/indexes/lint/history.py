"""What migration files have made of tables and indexes when the last one has run.

The files are read in their order and each statement changes what stands: renames and drops of tables, columns,
constraints and indexes are followed, so that a rule sees the indexes that the database has in the end. A constraint
that builds an index is an index here. Names are kept with their schema where that is not public.
"""

from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import msgspec

from easymo.indexes.conditions import Operator, conditions
from easymo.indexes.definitions import Definition, Key, cut_name, definition_of
from easymo.indexes.hotqueries import HotQuery
from easymo.indexes.lint.model import WORDS, ForeignKey, History, Index, Locking, Placed, Table
from easymo.indexes.parser import Node, enum_name
from easymo.indexes.runners import Mode, mode_at
from easymo.indexes.sqlfile import Script, Statement, read_script

_CONSTRAINT_KINDS = {"CONSTR_PRIMARY": ("PRIMARY KEY", "pkey"), "CONSTR_UNIQUE": ("UNIQUE", "key")}
_LEAVES_BLOCK = {"TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE"}


def read_history(paths: Iterable[Path], hot_queries: list[HotQuery]) -> History:
    """Read the files in the order given; what cannot be read is one of `faults`."""
    history = History(hot_queries)
    for path in paths:
        script = read_script(path)
        history.faults += script.faults[:1]
        _File(history, script).read()
    return history


class _File:
    """One file, and what it has made and dropped itself."""

    def __init__(self, history: History, script: Script) -> None:
        self._history, self._script = history, script
        self._created, self._dropped = set[str](), set[str]()
        self._schema = ""
        self._in_block: bool | None = None  # BEGIN and COMMIT of the file itself, None before either
        self._mode = mode_at(script.runner, script.path, script.text, 0)

    def read(self) -> None:
        for statement in self._script.statements:
            self._at = Placed(self._script.path, statement, self._script.runner, self._in_transaction(statement))
            self._history.statements.append(self._at)
            follow = getattr(self, f"_{statement.kind}", None)
            if follow:
                follow(statement.node)

    def _in_transaction(self, statement: Statement) -> str:
        runner, statements = self._script.runner, self._script.statements
        if runner.unit:
            self._mode = mode_at(runner, self._script.path, self._script.text, statement.line)
        if self._in_block:
            return "it stands between BEGIN and COMMIT"
        if self._mode is Mode.STRING and len(statements) > 1:
            return f"{runner.tool} sends a file as one query, and Postgres runs its statements in one transaction"
        if self._mode is Mode.SPLIT and not all(other.concurrent for other in statements):
            return f"{runner.tool} does not mix it with statements that run in a transaction"
        if self._mode is Mode.BLOCK and self._in_block is None:
            return f"{runner.tool} runs this file in a transaction"
        return ""

    def _key(self, schema: str, name: str) -> str:
        schema = schema or self._schema
        return f"{schema}.{name}" if schema not in ("", "public") else name

    def _key_of(self, relation: Node) -> str:
        return self._key(relation.schemaname, relation.relname)

    def _transaction_stmt(self, node: Node) -> None:
        kind = enum_name(node, "kind")
        if kind in ("TRANS_STMT_BEGIN", "TRANS_STMT_START"):
            self._in_block = True
        elif kind in _LEAVES_BLOCK:
            self._in_block = False

    def _variable_set_stmt(self, node: Node) -> None:
        if node.name == "search_path":
            named = [schema.a_const.sval.sval for schema in node.args]
            self._schema = next((schema for schema in named if schema != "$user"), "")

    def _create_function_stmt(self, node: Node) -> None:
        self._history.functions.add(node.funcname[-1].string.sval)

    def _create_stmt(self, node: Node) -> None:
        key = self._key_of(node.relation)
        if key in self._history.tables:
            if node.if_not_exists:
                return
            self._forget(lambda table: table == key)  # a schema dump beside its migrations: the table begins anew
        self._created.add(key)
        self._history.tables[key] = Table(partitioned=node.HasField("partspec"))
        for element in node.table_elts:
            if element.HasField("column_def"):
                self._column(key, element.column_def)
            elif element.HasField("constraint"):
                self._constraint(key, element.constraint)

    def _create_table_as_stmt(self, node: Node) -> None:
        self._created.add(self._key_of(node.into.rel))

    def _column(self, key: str, column: Node) -> None:
        for constraint in column.constraints:
            self._constraint(key, constraint.constraint, column.colname)

    def _alter_table_stmt(self, node: Node) -> None:
        key = self._key_of(node.relation)
        for item in node.cmds:
            command = item.alter_table_cmd
            change = getattr(command, "def")
            match enum_name(command, "subtype"):
                case "AT_AddConstraint":
                    self._constraint(key, change.constraint)
                case "AT_AddColumn":
                    self._column(key, change.column_def)
                case "AT_DropColumn":
                    self._drop_column(key, command.name)
                case "AT_DropConstraint":
                    self._drop_constraint(key, command.name)
                case "AT_ReplicaIdentity":
                    self._history.tables.setdefault(key, Table()).replica_identity = change.replica_identity_stmt.name

    def _constraint(self, key: str, node: Node, column: str = "") -> None:
        kind = enum_name(node, "contype")
        table = self._history.tables.setdefault(key, Table())
        bare = key.rpartition(".")[2]
        if kind in _CONSTRAINT_KINDS:
            columns = tuple(item.string.sval for item in node.keys) or ((column,) if column else ())
            words, label = _CONSTRAINT_KINDS[kind]
            name = node.conname or cut_name(bare, "" if label == "pkey" else "_".join(columns), label)
            if node.indexname:
                self._adopt(key, node.indexname, name, words)
                return
            include = tuple(item.string.sval for item in node.including)
            definition = Definition(
                name, "", key, tuple(map(Key, columns)), include, "", "btree", True, node.nulls_not_distinct
            )
            self._add(Index(definition, self._at, words, on_new_table=key in self._created))
        elif kind == "CONSTR_FOREIGN":
            columns = tuple(item.string.sval for item in node.fk_attrs) or (column,)
            name = node.conname or cut_name(bare, "_".join(columns), "fkey")
            parent_columns = tuple(item.string.sval for item in node.pk_attrs)
            self._history.foreign_keys.append(
                ForeignKey(name, key, columns, self._key_of(node.pktable), parent_columns, self._at)
            )
        elif kind == "CONSTR_CHECK":
            for condition in conditions(node.raw_expr):
                if condition.operator in (Operator.EQUAL, Operator.IN) and condition.literals:
                    name = node.conname or cut_name(bare, condition.column, "check")
                    table.checks[name] = (condition.column, frozenset(condition.literals))

    def _adopt(self, key: str, index: str, name: str, constraint: str) -> None:
        """A constraint takes an index over, with a name of its own."""
        old = self._find(self._key(key.rpartition(".")[0], index))
        if old:
            found = self._history.standing.pop(old)
            found.constraint = constraint
            self._add(found, name)

    def _index_stmt(self, node: Node) -> None:
        key, statement = self._key_of(node.relation), self._at.statement
        definition = msgspec.structs.replace(definition_of(node, statement.text), table=key)
        index = Index(
            definition,
            self._at,
            concurrent=node.concurrent,
            if_not_exists=node.if_not_exists,
            only=not node.relation.inh,
            on_new_table=key in self._created,
            after_drop=definition.name in self._dropped,
        )
        schema = key.rpartition(".")[0]
        again = count(1)
        while not node.idxname and self._key(schema, index.name) in self._history.standing:
            name = f"{definition.name}{next(again)}"  # as Postgres does
            index.definition = msgspec.structs.replace(definition, name=name)
        standing = self._history.standing.get(self._key(schema, index.name))
        if index.if_not_exists and standing:
            index.hides = standing.definition
            self._history.created.append(index)
        else:
            self._add(index)

    def _add(self, index: Index, name: str = "") -> None:
        if name:
            index.definition = msgspec.structs.replace(index.definition, name=name)
        else:
            self._history.created.append(index)
        self._history.standing[self._key(index.definition.table.rpartition(".")[0], index.name)] = index

    def _reindex_stmt(self, node: Node) -> None:
        if not self._at.statement.concurrent and enum_name(node, "kind") != "REINDEX_OBJECT_SYSTEM":
            name = self._key_of(node.relation) if node.HasField("relation") else node.name
            index = self._history.standing.get(name)
            table = index.definition.table if index else name
            if table not in self._created:
                self._history.reindexes.append(Locking(self._at, name, table))

    def _drop_stmt(self, node: Node) -> None:
        names = [[item.string.sval for item in entry.list.items] for entry in node.objects if entry.HasField("list")]
        keys = [self._key(parts[-2] if len(parts) > 1 else "", parts[-1]) for parts in names]
        match enum_name(node, "remove_type"):
            case "OBJECT_INDEX":
                for key in keys:
                    self._drop_index(key, node)
            case "OBJECT_TABLE" | "OBJECT_MATVIEW":
                self._forget(lambda table: table in keys)
            case "OBJECT_SCHEMA":
                schemas = {"" if entry.string.sval == "public" else entry.string.sval for entry in node.objects}
                self._forget(lambda table: table.rpartition(".")[0] in schemas)

    def _drop_index(self, key: str, node: Node) -> None:
        standing = self._find(key)
        index = self._history.standing.pop(standing) if standing else None
        table = index.definition.table if index else ""
        self._dropped.add(key.rpartition(".")[2])
        made_again = any(
            other.kind == "index_stmt" and other.node.idxname == key.rpartition(".")[2]
            for other in self._script.statements
        )
        guard = index is None and node.missing_ok and made_again
        if not (node.concurrent or guard or table in self._created or self._history.table(table).partitioned):
            self._history.drops.append(Locking(self._at, key, table))

    def _keep(self, index: Callable[[Index], bool], foreign_key: Callable[[ForeignKey], bool]) -> None:
        """Take away the indexes and foreign keys of which these are false."""
        history = self._history
        for gone in [name for name, standing in history.standing.items() if not index(standing)]:
            del history.standing[gone]
        history.foreign_keys = [standing for standing in history.foreign_keys if foreign_key(standing)]

    def _forget(self, gone: Callable[[str], bool]) -> None:
        """Take away tables, and the foreign keys that refer to them."""
        self._history.tables = {key: table for key, table in self._history.tables.items() if not gone(key)}
        self._keep(lambda index: not gone(index.definition.table), lambda fk: not (gone(fk.table) or gone(fk.parent)))

    def _drop_column(self, key: str, column: str) -> None:
        self._keep(
            lambda index: index.definition.table != key or column not in index.words,
            lambda fk: (
                (fk.table != key or column not in fk.columns) and (fk.parent != key or column not in fk.parent_columns)
            ),
        )
        table = self._history.table(key)
        table.checks = {name: check for name, check in table.checks.items() if check[0] != column}

    def _drop_constraint(self, key: str, name: str) -> None:
        self._history.table(key).checks.pop(name, None)
        self._keep(
            lambda index: (index.definition.table, index.name) != (key, name),
            lambda fk: (fk.table, fk.name) != (key, name),
        )

    def _rename_stmt(self, node: Node) -> None:
        key, name = self._key_of(node.relation), node.newname
        schema = key.rpartition(".")[0]
        kind = enum_name(node, "rename_type")
        if kind == "OBJECT_COLUMN":
            self._rename_column(key, node.subname, name)
        elif kind in ("OBJECT_TABLE", "OBJECT_MATVIEW") and key in self._history.tables:
            self._rename_table(key, self._key(schema, name))
        elif kind in ("OBJECT_INDEX", "OBJECT_TABLE", "OBJECT_TABCONSTRAINT"):
            for foreign_key in self._history.foreign_keys:
                if (foreign_key.table, foreign_key.name) == (key, node.subname):
                    foreign_key.name = name
            old = self._find(self._key(schema, node.subname) if node.subname else key)
            if old:
                self._add(self._history.standing.pop(old), name)

    def _alter_object_schema_stmt(self, node: Node) -> None:
        if enum_name(node, "object_type") == "OBJECT_TABLE":
            self._rename_table(self._key_of(node.relation), self._key(node.newschema, node.relation.relname))

    def _rename_table(self, old: str, new: str) -> None:
        history = self._history
        history.tables[new] = history.tables.pop(old, Table())
        if old in self._created:
            self._created.add(new)
        for foreign_key in history.foreign_keys:
            foreign_key.table = new if foreign_key.table == old else foreign_key.table
            foreign_key.parent = new if foreign_key.parent == old else foreign_key.parent
        moved = [index for index in history.standing.values() if index.definition.table == old]
        self._keep(lambda index: index not in moved, lambda _: True)
        for index in moved:
            index.definition = msgspec.structs.replace(index.definition, table=new)
            self._add(index, index.name)

    def _rename_column(self, key: str, old: str, new: str) -> None:
        def renamed(text: str) -> str:
            return WORDS.sub(lambda word: new if word[0] == old else word[0], text) if old in text else text

        for index in self._history.standing.values():
            if index.definition.table == key:
                index.definition = msgspec.structs.replace(
                    index.definition,
                    keys=tuple(msgspec.structs.replace(k, text=renamed(k.text)) for k in index.definition.keys),
                    include=tuple(map(renamed, index.definition.include)),
                    predicate=renamed(index.definition.predicate),
                )
        for foreign_key in self._history.foreign_keys:
            if foreign_key.table == key:
                foreign_key.columns = tuple(map(renamed, foreign_key.columns))
            if foreign_key.parent == key:
                foreign_key.parent_columns = tuple(map(renamed, foreign_key.parent_columns))

    def _find(self, key: str) -> str | None:
        """The standing index of that name; where a schema is named on one side only, by the name alone."""
        standing = self._history.standing
        if key in standing:
            return key
        bare = key.rpartition(".")[2]
        return next((k for k in standing if k.rpartition(".")[2] == bare and ("." in k) != ("." in key)), None)
