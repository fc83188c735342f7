-- Stand-in for uuid-ossp where the server's binaries come without it. Same names, arguments and results; version 1 has a
-- random node, as this code cannot read the machine's network address. RFC 9562 has the layouts, RFC 3174 has SHA-1.

create function uuid_nil() returns uuid language sql immutable strict parallel safe
as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;
create function uuid_ns_dns() returns uuid language sql immutable strict parallel safe
as $$ select '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_url() returns uuid language sql immutable strict parallel safe
as $$ select '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_oid() returns uuid language sql immutable strict parallel safe
as $$ select '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_x500() returns uuid language sql immutable strict parallel safe
as $$ select '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid $$;

create function uuid_generate_v4() returns uuid language sql volatile strict parallel safe
as $$ select pg_catalog.gen_random_uuid() $$;

create function uuid_generate_v1mc() returns uuid language sql volatile strict parallel safe
as $$
    select encode(
        substring(t from 5 for 4) || substring(t from 3 for 2)
        || set_byte(substring(t from 1 for 2), 0, get_byte(t, 0) & 15 | 16)
        || substring(r from 9 for 2) || set_byte(substring(r from 11 for 6), 0, get_byte(r, 10) | 1), 'hex')::uuid
    from (
        select
            int8send((extract(epoch from clock_timestamp()) * 10000000)::bigint + 122192928000000000) as t,
            uuid_send(pg_catalog.gen_random_uuid()) as r
    ) parts
$$;

create function uuid_generate_v1() returns uuid language plpgsql volatile strict parallel safe
as $$ begin return @extschema@.uuid_generate_v1mc(); end $$;

create function uuid_generate_v3(namespace uuid, name text) returns uuid language sql immutable strict parallel safe
as $$
    select encode(set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 48), 8, get_byte(h, 8) & 63 | 128), 'hex')::uuid
    from (select decode(md5(uuid_send(namespace) || convert_to(name, 'UTF8')), 'hex') as h) hashed
$$;

create function uuid_generate_v5(namespace uuid, name text) returns uuid language plpgsql immutable strict parallel safe
as $$
declare
    mask constant bigint := 4294967295;
    message bytea := uuid_send(namespace) || convert_to(name, 'UTF8');
    bits constant bigint := length(message) * 8;
    h bigint[] := array[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    w bigint[];
    a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; x bigint;
    id bytea;
begin
    message := message || '\x80'::bytea;
    message := message || decode(repeat('00', (120 - length(message) % 64) % 64), 'hex') || int8send(bits);
    for block in 0 .. length(message) / 64 - 1 loop
        for i in 0 .. 79 loop
            if i < 16 then
                x := 0;
                for j in 0 .. 3 loop
                    x := (x << 8) | get_byte(message, block * 64 + i * 4 + j);
                end loop;
            else
                x := w[i - 3] # w[i - 8] # w[i - 14] # w[i - 16];
                x := ((x << 1) | (x >> 31)) & mask;
            end if;
            w[i] := x;
        end loop;
        a := h[1]; b := h[2]; c := h[3]; d := h[4]; e := h[5];
        for i in 0 .. 79 loop
            if i < 20 then f := (b & c) | ((mask # b) & d); k := 1518500249;
            elsif i < 40 then f := b # c # d; k := 1859775393;
            elsif i < 60 then f := (b & c) | (b & d) | (c & d); k := 2400959708;
            else f := b # c # d; k := 3395469782;
            end if;
            x := ((((a << 5) | (a >> 27)) & mask) + f + e + k + w[i]) & mask;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & mask; b := a; a := x;
        end loop;
        h := array[(h[1] + a) & mask, (h[2] + b) & mask, (h[3] + c) & mask, (h[4] + d) & mask, (h[5] + e) & mask];
    end loop;
    id := substring(int8send(h[1]) from 5) || substring(int8send(h[2]) from 5)
        || substring(int8send(h[3]) from 5) || substring(int8send(h[4]) from 5);
    id := set_byte(set_byte(id, 6, get_byte(id, 6) & 15 | 80), 8, get_byte(id, 8) & 63 | 128);
    return encode(id, 'hex')::uuid;
end $$;
