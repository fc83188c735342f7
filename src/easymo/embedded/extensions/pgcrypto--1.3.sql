-- Stand-in for the part of pgcrypto that PostgreSQL's own functions can serve, where the server's binaries come without
-- it. What it cannot do fails in a sentence; a password hash that costs nothing would make a measurement wrong.

create function gen_random_uuid() returns uuid language sql volatile strict parallel safe
as $$ select pg_catalog.gen_random_uuid() $$;

create function gen_random_bytes(count integer) returns bytea language sql volatile strict parallel safe
as $$
    select substring(string_agg(sha256(uuid_send(pg_catalog.gen_random_uuid())
        || uuid_send(pg_catalog.gen_random_uuid()) || int4send(n)), ''::bytea) from 1 for count)
    from generate_series(0, (count - 1) / 32) n
$$;

create function digest(data bytea, type text) returns bytea language plpgsql immutable strict parallel safe
as $$
begin
    case lower(type)
        when 'md5' then return decode(md5(data), 'hex');
        when 'sha224' then return sha224(data);
        when 'sha256' then return sha256(data);
        when 'sha384' then return sha384(data);
        when 'sha512' then return sha512(data);
        else raise exception 'easymo''s stand-in for pgcrypto has no digest %', type
            using hint = 'Let EASYMO_POSTGRES_BIN or DATABASE_URL name a server that has pgcrypto.';
    end case;
end $$;

create function digest(data text, type text) returns bytea language sql immutable strict parallel safe
as $$ select @extschema@.digest(convert_to(data, 'UTF8'), type) $$;

create function hmac(data bytea, key bytea, type text) returns bytea language plpgsql immutable strict parallel safe
as $$
declare
    size constant integer := case when lower(type) in ('sha384', 'sha512') then 128 else 64 end;
    padded bytea := case when length(key) > size then @extschema@.digest(key, type) else key end;
    inside bytea;
    outside bytea;
begin
    padded := padded || decode(repeat('00', size - length(padded)), 'hex');
    inside := padded;
    outside := padded;
    for i in 0 .. size - 1 loop
        inside := set_byte(inside, i, get_byte(padded, i) # 54);
        outside := set_byte(outside, i, get_byte(padded, i) # 92);
    end loop;
    return @extschema@.digest(outside || @extschema@.digest(inside || data, type), type);
end $$;

create function hmac(data text, key text, type text) returns bytea language sql immutable strict parallel safe
as $$ select @extschema@.hmac(convert_to(data, 'UTF8'), convert_to(key, 'UTF8'), type) $$;

create function crypt(password text, salt text) returns text language plpgsql immutable strict
as $$
begin
    raise exception 'easymo''s stand-in for pgcrypto has no crypt()'
        using hint = 'Let EASYMO_POSTGRES_BIN or DATABASE_URL name a server that has pgcrypto.';
end $$;

create function gen_salt(type text) returns text language sql volatile strict as $$ select @extschema@.crypt('', type) $$;
create function gen_salt(type text, rounds integer) returns text language sql volatile strict
as $$ select @extschema@.crypt('', type) $$;
