-- What agents work with: leads of a tenant, and a trail of every tool that was used.
create table agent_leads (
  id uuid primary key default gen_random_uuid(),
  tenant_id text not null,
  phone_number text not null,
  display_name text,
  tags text[] not null default '{}',
  disposition text,
  opted_out_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (tenant_id, phone_number)
);

create table agent_tool_events (
  id uuid primary key default gen_random_uuid(),
  tenant_id text not null,
  subject text not null,
  tool text not null,
  payload jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index agent_tool_events_tenant_created on agent_tool_events (tenant_id, created_at);

-- The sweeper looks for live sessions whose time is over; nearly all sessions have ended.
-- easymo:ignore non-concurrent-create its service is not deployed yet when this runs, so nobody writes the table.
-- easymo:ignore predicate-ends-hot a job or session changes status a handful of times in its life; finding the live ones happens all the time.
create index agent_sessions_live on agent_sessions (deadline_at) where status in ('searching', 'negotiating', 'presenting');

alter table agent_leads enable row level security;
alter table agent_tool_events enable row level security;
