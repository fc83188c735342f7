-- What Supabase has before the first migration, as far as this example needs it: the two roles of a request, and the
-- function that says who asks.
do $$
begin
    if not exists (select from pg_roles where rolname = 'authenticated') then
        create role authenticated nologin;
    end if;
end $$;
create schema auth;
create function auth.uid() returns uuid language sql stable
as $$ select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid $$;
grant usage on schema public, auth to authenticated;
