-- What each service may do in the database: one group role a service, without login, without password. Applied by
-- `python -m easymo_platform migrate --roles` and by nothing else, since roles belong to the whole server. Run it again
-- after a migration: a service may do what stands here and nothing that stood here before.
--
-- Who connects is a user of your own that is a member of one group, and takes nothing from anywhere else:
--   create role voice_bridge login in role easymo_voice_bridge;
-- Migrations run as the owner of the tables. No service deletes, truncates, or creates anything.

do $$
declare
  role_name text;
begin
  foreach role_name in array array[
    'easymo_service', 'easymo_voice_bridge', 'easymo_video_orchestrator', 'easymo_whatsapp_webhook', 'easymo_agent_core'
  ] loop
    if not exists (select from pg_roles where rolname = role_name) then
      execute format('create role %I nologin', role_name);
    end if;
    if role_name <> 'easymo_service' and not pg_has_role(role_name, 'easymo_service', 'member') then
      execute format('grant easymo_service to %I', role_name);
    end if;
  end loop;
end
$$;

-- Every table has row level security without a policy, which shuts Supabase's public door. Services pass it by this
-- policy; what they may do behind it is in their grants.
do $$
declare
  ours regclass;
begin
  for ours in
    select oid from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and pg_has_role(relowner, 'usage')
  loop
    execute format(
      'revoke all on %s from easymo_service, easymo_voice_bridge, easymo_video_orchestrator, easymo_whatsapp_webhook, '
      'easymo_agent_core', ours
    );
    if not exists (select from pg_policy where polrelid = ours and polname = 'easymo_service') then
      execute format('create policy easymo_service on %s to easymo_service using (true) with check (true)', ours);
    end if;
  end loop;
end
$$;

grant usage on schema public to easymo_service;

-- Calls are its own; of messages it counts how many came when, and nothing about what they say.
grant select, insert, update on voice_calls, voice_segments to easymo_voice_bridge;
grant insert on call_consents to easymo_voice_bridge;
grant select (phone_number, ended_at) on opt_outs to easymo_voice_bridge;
grant insert, select (id, provider_call_sid, sequence_number) on call_events to easymo_voice_bridge;
grant select (id, phone_number, status, created_at) on users to easymo_voice_bridge;
grant select (created_at) on whatsapp_messages to easymo_voice_bridge;
grant select (
  id, transaction_ref, user_id, type, amount, currency, status, description, completed_at, created_at
) on transactions to easymo_voice_bridge;

-- The service and its workers.
grant select, insert, update on render_jobs, render_scenes to easymo_video_orchestrator;

-- The service and its workers. A user is added when a number writes for the first time.
grant select, insert, update on whatsapp_messages, whatsapp_conversations, webhook_dlq to easymo_whatsapp_webhook;
grant insert, select (received_at) on webhook_deliveries to easymo_whatsapp_webhook;
grant select, insert, update on webhook_events, handoffs to easymo_whatsapp_webhook;
grant select, insert, update on opt_outs to easymo_whatsapp_webhook;
grant select (id, phone_number, whatsapp_id), insert (id, phone_number, whatsapp_id), update (phone_number) on users
  to easymo_whatsapp_webhook;

-- A payment is asked for, never changed; of the trail of tools nothing is read back.
grant select, insert, update on agent_sessions, agent_leads to easymo_agent_core;
grant select, insert on agent_messages to easymo_agent_core;
grant insert on agent_tool_events to easymo_agent_core;
grant select (id, phone_number) on users to easymo_agent_core;
grant select, insert, update on opt_outs to easymo_agent_core;
grant insert, select (transaction_ref, amount, currency, status, idempotency_key, user_id, metadata) on transactions
  to easymo_agent_core;
