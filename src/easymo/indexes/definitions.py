"""What an index is, read from the CREATE INDEX that declares it or from `pg_get_indexdef`."""

import msgspec

from easymo.indexes.parser import Node, Tree, deparse, expression_text, of_kind, parse, words

MAX_NAME_BYTES = 63  # NAMEDATALEN - 1: Postgres cuts longer names without an error

# Values of the parser's enumerations SortByDir and SortByNulls.
_DESCENDING, _NULLS_DEFAULT, _NULLS_FIRST = 3, 1, 2


class Key(msgspec.Struct, frozen=True):
    """One key of an index, most significant first. `text` is a column or an expression as the parser writes it."""

    text: str
    collation: str = ""
    operator_class: str = ""
    descending: bool = False
    nulls_first: bool = False


class Definition(msgspec.Struct, frozen=True):
    """An index. `predicate`, `schema` and `tablespace` are empty where the statement names none."""

    name: str
    schema: str
    table: str
    keys: tuple[Key, ...]
    include: tuple[str, ...] = ()
    predicate: str = ""
    method: str = "btree"
    unique: bool = False
    nulls_not_distinct: bool = False
    options: tuple[str, ...] = ()
    tablespace: str = ""

    @property
    def shape(self) -> "Definition":
        """The definition without its name and place.

        Two shapes are only comparable when both come from `pg_get_indexdef`: Postgres writes `status in ('a', 'b')` as
        `status = ANY (ARRAY['a'::text, 'b'::text])`, and a column's own collation or operator class as nothing.
        """
        return msgspec.structs.replace(self, name="", schema="", table="", tablespace="")

    def covers(self, other: "Definition") -> bool:
        """Whether this index begins with the keys of `other`, has more of them, and finds the same rows."""
        return (
            not other.unique
            and self.method == other.method == "btree"
            and len(other.keys) < len(self.keys)
            and self.keys[: len(other.keys)] == other.keys
            and self.predicate == other.predicate
            and set(other.include) <= {*self.include, *(key.text for key in self.keys)}
        )


def parse_definition(sql: str) -> Definition:
    """The index that one CREATE INDEX statement makes. Raises ValueError for any other statement."""
    return definition_of(_index_statement(parse(sql)), sql)


def definition_of(statement: Node, sql: str) -> Definition:
    """The same for a statement that was parsed already; an index without a name gets the one that Postgres gives."""
    return Definition(
        name=_written_name(sql, statement.idxname) if statement.idxname else _given_name(statement),
        schema=statement.relation.schemaname,
        table=statement.relation.relname,
        keys=tuple(_key(node.index_elem) for node in statement.index_params),
        include=tuple(_element_text(node.index_elem) for node in statement.index_including_params),
        predicate=expression_text(statement.where_clause) if statement.HasField("where_clause") else "",
        method=statement.access_method,
        unique=statement.unique,
        nulls_not_distinct=statement.nulls_not_distinct,
        options=tuple(sorted(_option_text(node) for node in statement.options)),
        tablespace=statement.table_space,
    )


def concurrent_statement(sql: str) -> str:
    """The same CREATE INDEX with CONCURRENTLY and without IF NOT EXISTS, which would hide an invalid leftover."""
    tree = parse(sql)
    statement = _index_statement(tree)
    statement.concurrent, statement.if_not_exists = True, False
    return deparse(tree)


def statement_on(
    sql: str, schema: str, table: str, name: str, *, concurrent: bool = False, only: bool = False, place: bool = False
) -> str:
    """The same index on another table and by another name; without its tablespace unless `place`."""
    tree = parse(sql)
    statement = _index_statement(tree)
    statement.concurrent, statement.if_not_exists = concurrent, False
    statement.relation.schemaname, statement.relation.relname, statement.idxname = schema, table, name
    statement.relation.inh = not only
    if not place:
        statement.table_space = ""
    return deparse(tree)


def cut_name(table: str, columns: str, label: str) -> str:
    """What Postgres calls an index or a constraint that has no name: the longer part is cut until all fits."""
    parts = [table.encode(), columns.encode()]
    while len(b"_".join(filter(None, [*parts, label.encode()]))) > MAX_NAME_BYTES:
        longer = 0 if len(parts[0]) > len(parts[1]) else 1
        parts[longer] = parts[longer][:-1]
    return "_".join(filter(None, [*(part.decode(errors="ignore") for part in parts), label]))


def _given_name(statement: Node) -> str:
    names: list[str] = []
    for node in (*statement.index_params, *statement.index_including_params):
        element = node.index_elem
        name = element.name or next((call.funcname[-1].string.sval for call in of_kind(element, "FuncCall")), "expr")
        again = names.count(name) + sum(other.rstrip("0123456789") == name for other in names if other != name)
        names.append(f"{name}{again}" if again else name)
    return cut_name(statement.relation.relname, "_".join(names), "idx")


def _written_name(sql: str, kept: str) -> str:
    """The name as it is written: the parser has cut it to what Postgres would keep."""
    if len(kept.encode()) < MAX_NAME_BYTES - 3:  # a cut may fall within a letter
        return kept
    tokens = words(sql)
    word = tokens[[token.lower() for token in tokens].index("on") - 1]
    name = word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()
    return name if name.startswith(kept) else kept


def _index_statement(tree: Tree) -> Node:
    if len(tree.stmts) != 1 or tree.stmts[0].stmt.WhichOneof("node") != "index_stmt":
        raise ValueError("expected one CREATE INDEX statement")
    return tree.stmts[0].stmt.index_stmt


def _key(element: Node) -> Key:
    descending = element.ordering == _DESCENDING
    return Key(
        text=_element_text(element),
        collation=".".join(node.string.sval for node in element.collation),
        operator_class=".".join(node.string.sval for node in element.opclass),
        descending=descending,
        nulls_first=(
            descending if element.nulls_ordering == _NULLS_DEFAULT else element.nulls_ordering == _NULLS_FIRST
        ),
    )


def _element_text(element: Node) -> str:
    return str(element.name) or expression_text(element.expr)


def _option_text(node: Node) -> str:
    value = node.def_elem.arg
    match value.WhichOneof("node"):
        case "integer":
            text = str(value.integer.ival)
        case "float":
            text = str(value.float.fval)
        case "type_name":  # on, off, auto: words that are not strings to the parser
            text = ".".join(name.string.sval for name in value.type_name.names)
        case _:
            text = str(value.string.sval)
    return f"{node.def_elem.defname}={text}"
