create extension if not exists "uuid-ossp";
create table notes (
    id bigint generated always as identity primary key,
    user_id uuid not null,
    key uuid not null default uuid_generate_v4(),
    text text not null,
    made_at timestamptz not null default now()
);
alter table notes enable row level security;
create policy own_notes on notes for all to authenticated using (auth.uid() = user_id);
grant select, insert on notes to authenticated;
