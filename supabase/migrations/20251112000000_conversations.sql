-- What whatsapp-webhook knows of a phone number between two of its messages: the service that was chosen, the agent
-- session it talks in, and the last message, since free text may only be sent for 24 hours after it.
-- easymo:ignore foreign-key-without-index sessions are never deleted, and nobody looks a conversation up by its session
create table whatsapp_conversations (
  phone_number text primary key,
  active_service text,
  agent_session_id uuid references agent_sessions (id),
  last_inbound_at timestamptz not null,
  updated_at timestamptz not null default now()
);
alter table whatsapp_conversations enable row level security;

-- "Has the provider reached us since?" is asked before a message whose sending broke off is sent again.
-- easymo:ignore non-concurrent-create its service is not deployed yet when this runs, so nobody writes the table.
create index webhook_deliveries_received on webhook_deliveries (received_at);

-- easymo:ignore non-concurrent-create its service is not deployed yet when this runs, so nobody writes the table.
create index webhook_dlq_status_created on webhook_dlq (status, created_at);
