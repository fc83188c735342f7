-- Many customers in one database: schema app, row-level security, soft delete, documents, fed by pg_stat_statements.
create extension if not exists pg_trgm;
create schema app;
create type app.stage as enum ('lead', 'offer', 'won', 'lost');
create table app.workspace (id uuid primary key, slug text not null unique, plan text not null);
create table app.seat (workspace_id uuid not null references app.workspace, person uuid not null, role text not null,
  primary key (workspace_id, person));
create table app."Deal" (
  id bigint generated always as identity primary key, workspace_id uuid not null references app.workspace,
  "ownedBy" uuid, title text not null, details jsonb not null, stage app.stage not null, amount numeric(12, 2),
  created_at timestamptz not null, updated_at timestamptz not null, deleted_at timestamptz
);
create table app.remark (
  id bigint generated always as identity primary key, deal_id bigint not null references app."Deal" on delete cascade,
  author uuid not null, body text not null, written_at timestamptz not null
);
create table app.event (id bigint generated always as identity, workspace_id uuid not null, kind text not null,
  payload jsonb not null, at timestamptz not null);
insert into app.workspace select md5('w' || i)::uuid, 'firm-' || i, case when i % 11 = 0 then 'pro' else 'free' end
  from generate_series(1, 300) i;
insert into app.seat select md5('w' || 1 + i % 300)::uuid, md5('p' || i)::uuid, 'member' from generate_series(1, 6000) i;
insert into app."Deal" (workspace_id, "ownedBy", title, details, stage, amount, created_at, updated_at, deleted_at)
  select md5('w' || 1 + (i % 17) * (i % 19) % 300)::uuid, md5('p' || i * 7919 % 6000)::uuid,
    (array['Renewal', 'Licence', 'Training', 'Support', 'Audit'])[1 + i % 5] || ' ' || md5(i::text),
    jsonb_build_object('source', (array['web', 'fair', 'call'])[1 + i % 3], 'ref', 'D' || i, 'tags',
      jsonb_build_array('t' || i % 150, 'u' || i % 13)),
    (array['lead', 'lead', 'offer', 'won', 'lost', 'lost', 'lost'])[1 + i % 7]::app.stage, i % 9000,
    timestamptz '2026-01-01' + i * interval '2 minutes', timestamptz '2026-01-01' + i * interval '3 minutes',
    case when i % 8 = 0 then timestamptz '2026-06-01' end
  from generate_series(1, scaled(1000000)) i;
insert into app.remark (deal_id, author, body, written_at)
  select 1 + i * 31 % scaled(1000000), md5('p' || i % 6000)::uuid, 'remark ' || md5(i::text),
    timestamptz '2026-01-01' + i * interval '1 minute'
  from generate_series(1, scaled(1500000)) i;
insert into app.event (workspace_id, kind, payload, at)
  select md5('w' || 1 + i % 300)::uuid, (array['login', 'edit', 'export'])[1 + i % 3],
    jsonb_build_object('ip', '10.0.' || i % 255 || '.1'), timestamptz '2026-01-01' + i * interval '20 seconds'
  from generate_series(1, scaled(800000)) i;
alter table app."Deal" enable row level security;
create policy of_workspace on app."Deal" using (workspace_id = nullif(current_setting('app.workspace', true), '')::uuid);
create view app.open_deal as select id, workspace_id, title, "ownedBy", amount, created_at from app."Deal"
  where stage in ('lead', 'offer') and deleted_at is null;
analyze;
