-- name: insert_session(session_id, user_id, flow_type, agent_kind, request_data, window)^
-- No row comes back when the id, that is the idempotency key, was used before.
insert into agent_sessions (id, user_id, flow_type, agent_kind, request_data, deadline_at)
values (:session_id, :user_id, :flow_type, :agent_kind, :request_data, now() + :window::interval)
on conflict (id) do nothing
returning id;

-- name: session_by_id(session_id)^
select id, user_id, flow_type, agent_kind, status, request_data, result_data, deadline_at, completed_at,
  cancellation_reason, created_at, updated_at
from agent_sessions
where id = :session_id;

-- name: sessions_of_user(user_id, active)
select id, user_id, flow_type, agent_kind, status, request_data, result_data, deadline_at, completed_at,
  cancellation_reason, created_at, updated_at
from agent_sessions
where user_id = :user_id and (not :active or status in ('searching', 'negotiating', 'presenting'))
order by created_at desc
limit 50;

-- name: set_session_status(session_id, status, predecessors, reason, result_data)^
-- The compare-and-set of the life cycle.
update agent_sessions
set status = :status::text, cancellation_reason = coalesce(:reason::text, cancellation_reason),
  result_data = coalesce(:result_data::jsonb, result_data),
  completed_at = case when :status::text = 'completed' then now() else completed_at end, updated_at = now()
where id = :session_id and status = any (:predecessors::text[])
returning id;

-- name: extend_session(session_id, window)^
update agent_sessions
set deadline_at = greatest(deadline_at, now() + :window::interval), updated_at = now()
where id = :session_id and status in ('searching', 'negotiating', 'presenting')
returning id;

-- name: end_overdue_sessions(limit)
update agent_sessions
set status = 'timeout', updated_at = now()
where id in (
  select id from agent_sessions
  where status in ('searching', 'negotiating', 'presenting') and deadline_at < now()
  order by deadline_at
  limit :limit
  for update skip locked
)
returning id;

-- name: count_sessions_about_to_end()^
select count(*) as sessions
from agent_sessions
where status in ('searching', 'negotiating', 'presenting') and deadline_at between now() and now() + interval '1 minute';

-- name: messages_of_session(session_id, limit)
select id, role, content, provider, model, latency_ms, metadata, created_at
from (
  select * from agent_messages where session_id = :session_id order by created_at desc limit :limit
) newest
order by created_at;

-- name: earlier_reply(question_id, reply_id)^
select q.session_id, q.content as question, r.content, r.provider, r.model, r.metadata
from agent_messages q
join agent_messages r on r.id = :reply_id
where q.id = :question_id;

-- name: insert_messages(session_id, question_id, question, reply_id, reply, provider, model, latency_ms, tokens_in, tokens_out, metadata)^
-- Both or none; no row comes back when the question was answered before.
with asked as (
  insert into agent_messages (id, session_id, role, content)
  values (:question_id, :session_id, 'user', :question)
  on conflict (id) do nothing
  returning created_at
), touched as (
  update agent_sessions s set updated_at = now() from asked where s.id = :session_id
)
insert into agent_messages (id, session_id, role, content, provider, model, latency_ms, tokens_in, tokens_out, metadata,
  created_at)
select :reply_id::uuid, :session_id, 'agent', :reply::text, :provider::text, :model::text, :latency_ms::integer,
  :tokens_in::integer, :tokens_out::integer, :metadata::jsonb, created_at + interval '1 microsecond'
from asked
returning id;

-- name: leads(tenant_id)
select id, phone_number, display_name, tags, disposition, opted_out_at, updated_at
from agent_leads
where tenant_id = :tenant_id
order by updated_at desc
limit 50;

-- name: lead(tenant_id, phone_number)^
select id, phone_number, display_name, tags, disposition, opted_out_at, updated_at
from agent_leads
where tenant_id = :tenant_id and phone_number = :phone_number;

-- name: upsert_lead(lead_id, tenant_id, phone_number, display_name, tags)^
insert into agent_leads as l (id, tenant_id, phone_number, display_name, tags)
values (:lead_id, :tenant_id, :phone_number, :display_name, array(select distinct unnest(:tags::text[]) order by 1))
on conflict (tenant_id, phone_number) do update
set display_name = coalesce(excluded.display_name, l.display_name), updated_at = now(),
  tags = array(select distinct unnest(l.tags || excluded.tags) order by 1)
returning id, phone_number, display_name, tags, disposition, opted_out_at, updated_at;

-- name: update_lead(tenant_id, phone_number, disposition, opted_out)^
update agent_leads
set disposition = coalesce(:disposition::text, disposition), updated_at = now(),
  opted_out_at = case when :opted_out then coalesce(opted_out_at, now()) else opted_out_at end
where tenant_id = :tenant_id and phone_number = :phone_number
returning id, phone_number, display_name, tags, disposition, opted_out_at, updated_at;

-- name: insert_payment(transaction_id, transaction_ref, idempotency_key, amount, currency, phone_number, metadata)^
with asked as (
  insert into transactions (id, transaction_ref, user_id, type, amount, currency, status, idempotency_key, description,
    metadata)
  select :transaction_id, :transaction_ref::text, (select id from users where phone_number = :phone_number), 'payment',
    :amount::numeric, :currency::text, 'pending', :idempotency_key::text, 'asked for by an agent', :metadata::jsonb
  on conflict (idempotency_key) do nothing
  returning transaction_ref, amount, currency, status
)
-- Of an earlier request with this key: what it asked for, and of whom.
select transaction_ref, amount, currency, status, :phone_number::text as phone_number from asked
union all
select t.transaction_ref, t.amount, t.currency, t.status,
  coalesce(t.metadata ->> 'phone_number', (select u.phone_number from users u where u.id = t.user_id))
from transactions t where t.idempotency_key = :idempotency_key
limit 1;

-- name: wants_nothing(phone_number)$
-- Who said STOP, to whichever service.
select exists (select from opt_outs where phone_number = :phone_number and ended_at is null) as opted_out;

-- name: opt_out(phone_number)!
insert into opt_outs (phone_number, source) values (:phone_number, 'agent')
on conflict (phone_number) do update set ended_at = null;

-- name: insert_tool_event(tenant_id, subject, tool, payload)!
insert into agent_tool_events (tenant_id, subject, tool, payload) values (:tenant_id, :subject, :tool, :payload);
