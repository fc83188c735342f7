-- People: those without a phone number, those who want no more messages, those who wait for a person of the team; and every
-- event of Meta's that is neither a message nor a status.

-- Meta names some people by a business-scoped id only ("RW.1349…"). They are users with that id in place of a number.
alter table users add column whatsapp_id text unique;
alter table users alter column phone_number drop not null;
alter table users add constraint users_reachable check (phone_number is not null or whatsapp_id is not null) not valid;

-- A message of a person opens the 24-hour window when it comes, whether it is answered or not.
alter table whatsapp_conversations alter column last_inbound_at set default '-infinity';

-- Who said STOP, to whichever service: nothing but answers reaches them until they say START, which sets ended_at.
create table opt_outs (
  phone_number text primary key,
  source text not null,
  created_at timestamptz not null default now(),
  ended_at timestamptz
);

-- Conversations that a person of the team takes over; the agent is silent meanwhile.
create table handoffs (
  id uuid primary key default gen_random_uuid(),
  phone_number text not null,
  reason text not null,
  status text not null default 'open' check (status in ('open', 'claimed', 'closed')),
  claimed_by text,
  opened_at timestamptz not null default now(),
  claimed_at timestamptz,
  closed_at timestamptz
);
create unique index handoffs_one_per_number on handoffs (phone_number) where status <> 'closed';

create table webhook_events (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  act boolean not null,
  payload jsonb not null,
  acknowledged_at timestamptz,
  received_at timestamptz not null default now()
);
create index webhook_events_to_act_on on webhook_events (received_at) where act and acknowledged_at is null;

alter table opt_outs enable row level security;
alter table handoffs enable row level security;
alter table webhook_events enable row level security;
