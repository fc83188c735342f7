"""A database's schema as text that can be compared: what was there before has to be there after, and nothing else."""

import msgspec

from easymo.indexes.observed import Connection

# Every query gives (object, description). Postgres writes the descriptions itself, so that equal means equal to it.
_OWN = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_NAME = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
_QUERIES = (
    f"""
    select case c.relkind when 'v' then 'view ' when 'm' then 'materialized view ' when 'S' then 'sequence '
             when 'f' then 'foreign table ' else 'table ' end || {_NAME},
           concat_ws(' ', 'persistence=' || c.relpersistence::text, case when c.relrowsecurity then 'row security' end,
             case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
             case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end,
             array_to_string(c.reloptions, ','), case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and {_OWN}
    """,
    f"""
    select 'column ' || {_NAME} || '.' || quote_ident(a.attname),
           concat_ws(' ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
             nullif(a.attidentity::text, ''), nullif(a.attgenerated::text, ''), pg_get_expr(d.adbin, d.adrelid))
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relkind in ('r', 'p', 'f') and a.attnum > 0 and not a.attisdropped and {_OWN}
    """,
    f"""
    select 'constraint ' || {_NAME} || '.' || quote_ident(k.conname), pg_get_constraintdef(k.oid)
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where {_OWN}
    """,
    f"""
    select 'index ' || {_NAME}, case when not i.indisvalid then 'invalid ' else '' end || pg_get_indexdef(c.oid)
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    where {_OWN}
    """,
    f"""
    select 'trigger ' || {_NAME} || '.' || quote_ident(t.tgname), pg_get_triggerdef(t.oid)
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where not t.tgisinternal and {_OWN}
    """,
    f"""
    select 'function ' || p.oid::regprocedure::text, md5(p.prosrc)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where {_OWN} and not exists (select from pg_depend e where e.objid = p.oid and e.deptype = 'e')
    """,
    f"""
    select 'comment on ' || {_NAME} || coalesce('.' || quote_ident(a.attname), ''), o.description
    from pg_description o
    join pg_class c on c.oid = o.objoid and o.classoid = 'pg_class'::regclass
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = o.objsubid and o.objsubid > 0
    where {_OWN}
    """,
)


class Schema(msgspec.Struct, frozen=True):
    """Objects by name (`index public.a`), each with its description."""

    objects: dict[str, str]


async def snapshot(connection: Connection) -> Schema:
    """Tables, views, sequences, columns, constraints, indexes with validity, triggers, functions and comments.

    Objects of Postgres itself, temporary ones and those of extensions' functions are left out; so is all data.
    """
    objects: dict[str, str] = {}
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for query in _QUERIES:
            objects.update({row[0]: row[1] for row in await connection.fetch(query)})
    return Schema(dict(sorted(objects.items())))


def difference(before: Schema, after: Schema) -> list[str]:
    """One line for each object that appeared (+), is gone (-) or was changed (~); empty when the schemas are equal."""
    lines = []
    for name in sorted(before.objects.keys() | after.objects.keys()):
        old, new = before.objects.get(name), after.objects.get(name)
        if old is None:
            lines.append(f"+ {name}: {new}")
        elif new is None:
            lines.append(f"- {name}: {old}")
        elif old != new:
            lines.append(f"~ {name}: {old} -> {new}")
    return lines
