-- The tables of the four services.
--
-- Ids are uuid: the services write version 7, which keeps inserts at the right edge of the primary key;
-- gen_random_uuid() is only there for rows written by hand. Times are timestamptz; updated_at is set by whoever
-- writes the row. A status is text with a CHECK, so that a status can be added in one statement.
--
-- Indexes of this baseline: primary keys, unique constraints (call sid, phone number, wamid, transaction reference,
-- idempotency keys) and, on child tables, the index that reads by parent and deletes of the parent need. The tables
-- that grow with traffic (voice_calls, whatsapp_messages, transactions) have no index on user_id, numbers, status or
-- time: those are the subject of 20251129000000_performance_optimization.sql. Users are never deleted, only
-- suspended, so their foreign keys alone do not ask for an index.

create table users (
  id uuid primary key default gen_random_uuid(),
  phone_number text not null unique check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
  display_name text,
  locale text not null default 'en',
  status text not null default 'active' check (status in ('active', 'inactive', 'suspended')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table voice_calls (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id),
  provider text not null,
  provider_call_sid text unique,
  direction text not null check (direction in ('inbound', 'outbound')),
  from_number text not null,
  to_number text not null,
  status text not null default 'pending' check (
    status in ('pending', 'ringing', 'active', 'completed', 'failed', 'busy', 'no_answer', 'canceled')
  ),
  agent_profile text not null,
  channel text,
  topic text,
  consent_required boolean not null default false,
  consent_obtained boolean not null default false,
  consent_recorded_at timestamptz,
  consent_channel text,
  consent_media_url text,
  transcript_status text check (transcript_status in ('pending', 'processing', 'ready', 'failed')),
  transcript_locale text,
  last_transcript_segment_at timestamptz,
  started_at timestamptz,
  answered_at timestamptz,
  ended_at timestamptz,
  duration_seconds integer check (duration_seconds >= 0),
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table voice_segments (
  id uuid primary key default gen_random_uuid(),
  call_id uuid not null references voice_calls (id) on delete cascade,
  sequence integer not null check (sequence >= 0),
  speaker text not null check (speaker in ('caller', 'assistant', 'system')),
  text text not null,
  confidence numeric check (confidence between 0 and 1),
  started_at timestamptz,
  ended_at timestamptz,
  created_at timestamptz not null default now(),
  unique (call_id, sequence)
);

-- Append only: a consent that is withdrawn is a further row.
create table call_consents (
  id uuid primary key default gen_random_uuid(),
  call_id uuid not null references voice_calls (id) on delete cascade,
  consent_text text,
  consent_result boolean not null,
  audio_url text,
  recorded_at timestamptz not null default now(),
  created_at timestamptz not null default now()
);
create index call_consents_call_recorded on call_consents (call_id, recorded_at);

-- Provider callbacks; the unique key drops a callback that is delivered twice.
create table call_events (
  id uuid primary key default gen_random_uuid(),
  call_id uuid not null references voice_calls (id) on delete cascade,
  provider_call_sid text not null,
  sequence_number integer not null,
  type text not null,
  payload jsonb not null default '{}',
  created_at timestamptz not null default now(),
  unique (provider_call_sid, sequence_number)
);
create index call_events_call_created on call_events (call_id, created_at);

create table whatsapp_messages (
  id uuid primary key default gen_random_uuid(),
  wamid text unique,
  user_id uuid references users (id),
  direction text not null,
  from_number text not null,
  to_number text not null,
  phone_number_id text,
  message_type text not null,
  body text,
  payload jsonb not null default '{}',
  status text not null default 'pending',
  error_code integer,
  error_title text,
  attempts integer not null default 0,
  next_attempt_at timestamptz,
  provider_ts timestamptz,
  sent_at timestamptz,
  delivered_at timestamptz,
  read_at timestamptz,
  failed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint whatsapp_messages_status_check check (
    (direction = 'inbound' and status in ('pending', 'processing', 'processed', 'skipped', 'failed'))
    or (direction = 'outbound' and status in ('pending', 'accepted', 'sent', 'delivered', 'read', 'failed'))
  )
);

-- Every accepted webhook request. The unique index only hints at a repeated delivery; wamid decides.
create table webhook_deliveries (
  id uuid primary key default gen_random_uuid(),
  body_sha256 bytea not null check (octet_length(body_sha256) = 32),
  signature_ok boolean not null,
  entries integer not null,
  received_at timestamptz not null default now(),
  ack_ms double precision
);
create unique index webhook_deliveries_body_day
  on webhook_deliveries (body_sha256, ((received_at at time zone 'UTC')::date));

create table webhook_dlq (
  id uuid primary key default gen_random_uuid(),
  wamid text,
  phone_number text,
  payload jsonb not null,
  error text not null,
  error_type text not null,
  attempts integer not null default 0,
  status text not null default 'pending' check (
    status in ('pending', 'processing', 'reprocessed', 'failed', 'discarded')
  ),
  next_retry_at timestamptz,
  correlation_id text,
  created_at timestamptz not null default now()
);

create table transactions (
  id uuid primary key default gen_random_uuid(),
  transaction_ref text not null unique,
  user_id uuid references users (id),
  type text not null check (type in ('debit', 'credit', 'transfer', 'payment', 'refund', 'fee', 'commission')),
  amount numeric(12, 2) not null,
  currency text not null default 'RWF',
  status text not null default 'pending' check (
    status in ('pending', 'processing', 'completed', 'failed', 'cancelled', 'reversed')
  ),
  idempotency_key text unique,
  description text,
  metadata jsonb not null default '{}',
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table render_jobs (
  id uuid primary key default gen_random_uuid(),
  plan_id text not null,
  plan jsonb not null,
  options jsonb not null default '{}',
  status text not null default 'queued' check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  priority integer not null default 50 check (priority between 0 and 100),
  attempts integer not null default 0,
  lease_until timestamptz,
  worker_id text,
  progress numeric not null default 0 check (progress between 0 and 100),
  output_path text,
  error text,
  idempotency_key text unique,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz
);

create table render_scenes (
  job_id uuid not null references render_jobs (id) on delete cascade,
  scene_id text not null,
  ord integer not null,
  status text not null default 'queued' check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  output_path text,
  duration double precision,
  primary key (job_id, scene_id)
);

create table agent_sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users (id),
  flow_type text not null check (
    flow_type in (
      'nearby_drivers', 'nearby_passengers', 'pharmacy', 'quincaillerie', 'shops', 'property_rental', 'schedule_trip',
      'waiter', 'job_board', 'marketplace'
    )
  ),
  agent_kind text not null check (agent_kind in ('broker', 'support', 'sales', 'marketing', 'mobility')),
  status text not null default 'searching' check (
    status in ('searching', 'negotiating', 'presenting', 'completed', 'cancelled', 'timeout', 'error')
  ),
  request_data jsonb not null default '{}',
  result_data jsonb,
  deadline_at timestamptz not null,
  completed_at timestamptz,
  selected_quote_id uuid,
  cancellation_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index agent_sessions_user_created on agent_sessions (user_id, created_at);

create table agent_messages (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references agent_sessions (id) on delete cascade,
  role text not null check (role in ('user', 'agent', 'system')),
  content text not null,
  provider text,
  model text,
  latency_ms integer,
  tokens_in integer,
  tokens_out integer,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index agent_messages_session_created on agent_messages (session_id, created_at);

create table agent_quotes (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references agent_sessions (id) on delete cascade,
  vendor_id text not null,
  vendor_name text,
  vendor_phone text,
  offer_data jsonb not null default '{}',
  price_amount numeric(12, 2),
  price_currency text not null default 'RWF',
  estimated_time_minutes integer,
  status text not null default 'pending' check (
    status in ('pending', 'received', 'accepted', 'rejected', 'expired', 'withdrawn')
  ),
  received_at timestamptz,
  expires_at timestamptz,
  created_at timestamptz not null default now()
);
create index agent_quotes_session_price on agent_quotes (session_id, price_amount, estimated_time_minutes);

-- easymo:ignore foreign-key-without-index quotes are never deleted, and nobody looks a session up by its quote
alter table agent_sessions
  add constraint agent_sessions_selected_quote_fkey foreign key (selected_quote_id) references agent_quotes (id);

-- Supabase publishes every table of the public schema over HTTP to holders of the public key. Row level security
-- without a policy shuts that door; the services connect as the owner, who is not subject to it.
alter table users enable row level security;
alter table voice_calls enable row level security;
alter table voice_segments enable row level security;
alter table call_consents enable row level security;
alter table call_events enable row level security;
alter table whatsapp_messages enable row level security;
alter table webhook_deliveries enable row level security;
alter table webhook_dlq enable row level security;
alter table transactions enable row level security;
alter table render_jobs enable row level security;
alter table render_scenes enable row level security;
alter table agent_sessions enable row level security;
alter table agent_messages enable row level security;
alter table agent_quotes enable row level security;
