-- The status literals stay in the text: with a bound status a generic plan cannot use the partial indexes.

-- name: messages_of_sender(from_number)
-- Q4: messages of a sender, newest 50
select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at
from whatsapp_messages
where from_number = :from_number
order by created_at desc
limit 50;

-- name: newest_messages()
-- Q5: newest 50 messages
select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at
from whatsapp_messages
order by created_at desc
limit 50;

-- name: undelivered_messages_by_status()
-- Q6a: count by status, of all that are not delivered
select status, count(*) as messages
from whatsapp_messages
where status <> 'delivered'
group by status;

-- name: oldest_unsent_messages()
-- Q6b: pending and failed messages to work on, oldest 100
select id, wamid, direction, from_number, to_number, status, attempts, next_attempt_at, error_code, created_at
from whatsapp_messages
where status in ('pending', 'failed')
order by created_at
limit 100;

-- name: unsent_messages_of_last_hour()
-- Q7: pending and failed messages of the last hour
select id, wamid, direction, from_number, to_number, status, attempts, next_attempt_at, error_code, created_at
from whatsapp_messages
where status in ('pending', 'failed') and created_at > now() - interval '1 hour'
order by created_at desc;

-- name: messages_of_user(user_id)
-- Q12: messages of a user, newest 50
select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at
from whatsapp_messages
where user_id = :user_id
order by created_at desc
limit 50;

-- The statements below serve endpoints and the worker and are free to change.

-- name: store_deliveries(deliveries)
-- Everything that several requests have brought, in one statement and one commit; the messages that are new come back.
-- They are ordered by arrival: created_at grows by a microsecond from one to the next. One JSON text holds it all: for the
-- service that is a third of the work of an array for every column.
with given as materialized (
  select :deliveries::json as json
), delivered as (
  insert into webhook_deliveries (body_sha256, signature_ok, entries, ack_ms)
  select decode(d.body_sha256, 'hex'), true, d.entries, d.ack_ms
  from given, json_to_recordset(given.json -> 'requests') as d (body_sha256 text, entries integer, ack_ms float8)
  on conflict do nothing
), stored as (
  insert into whatsapp_messages (id, wamid, direction, from_number, to_number, phone_number_id, message_type, body, payload,
    provider_ts, status, next_attempt_at, created_at)
  select m.id, m.wamid, 'inbound', m.from_number, m.to_number, m.phone_number_id, m.message_type, m.body, m.payload,
    m.provider_ts, case when m.pending then 'pending' else 'skipped' end, case when m.pending then now() end,
    now() + m.place * interval '1 microsecond'
  from given, rows from (json_to_recordset(given.json -> 'messages') as (id uuid, wamid text, from_number text,
    to_number text, phone_number_id text, message_type text, body text, payload jsonb, provider_ts timestamptz,
    pending boolean)) with ordinality as m (id, wamid, from_number, to_number, phone_number_id, message_type, body,
    payload, provider_ts, pending, place)
  on conflict (wamid) do nothing
  returning id, status, from_number
), heard as (
  -- Whatever a person sends opens the 24-hour window, from the moment at which Meta says that they sent it. Numbers in
  -- order: two processes that store messages of the same numbers must not wait for each other.
  insert into whatsapp_conversations as c (phone_number, last_inbound_at)
  select s.from_number, max(m.window_at)
  from stored s
  join given on true
  join json_to_recordset(given.json -> 'messages') as m (id uuid, window_at timestamptz) on m.id = s.id
  where m.window_at is not null
  group by s.from_number
  order by s.from_number
  on conflict (phone_number) do update set last_inbound_at = excluded.last_inbound_at
  where excluded.last_inbound_at > c.last_inbound_at
), noted as (
  insert into webhook_events (kind, act, payload)
  select e.kind, e.act, coalesce(e.payload, 'null'::jsonb)
  from given, json_to_recordset(given.json -> 'events') as e (kind text, act boolean, payload jsonb)
)
-- A sub-select that depends on no row runs once for all of them, and not at all without any.
select id, (select pg_notify('whatsapp_work', '')) from stored;

-- name: apply_statuses(wamids, message_ids, statuses, times, error_codes, error_titles)
-- The status follows from the times at which each was reported, whatever the order in which the reports come: read
-- beats all; a failure beats only what was reported before it. A message whose sending broke off is found by our id.
with given as (
  select coalesce(by_wamid.id, by_id.id) as id, g.*
  from unnest(:wamids::text[], :message_ids::uuid[], :statuses::text[], :times::timestamptz[], :error_codes::integer[],
    :error_titles::text[]) as g (wamid, message_id, status, at, error_code, error_title)
  left join whatsapp_messages by_wamid on by_wamid.wamid = g.wamid and by_wamid.direction = 'outbound'
  left join whatsapp_messages by_id
    on by_id.id = g.message_id and by_id.direction = 'outbound' and by_id.wamid is null
), reported as (
  select id, min(wamid) as wamid, min(at) filter (where status = 'sent') as sent_at,
    min(at) filter (where status = 'delivered') as delivered_at, min(at) filter (where status = 'read') as read_at,
    min(at) filter (where status = 'failed') as failed_at, min(error_code) as error_code, min(error_title) as error_title
  from given
  where id is not null
  group by id
), merged as (
  select m.id, m.status as old_status, coalesce(m.wamid, r.wamid) as wamid, least(m.sent_at, r.sent_at) as sent_at,
    least(m.delivered_at, r.delivered_at) as delivered_at, least(m.read_at, r.read_at) as read_at,
    least(m.failed_at, r.failed_at) as failed_at, coalesce(m.error_code, r.error_code) as error_code,
    coalesce(m.error_title, r.error_title) as error_title
  from reported r
  join whatsapp_messages m on m.id = r.id
  order by m.id
  for update of m
), changed as (
  update whatsapp_messages m
  set wamid = n.wamid, sent_at = n.sent_at, delivered_at = n.delivered_at, read_at = n.read_at, failed_at = n.failed_at,
    error_code = n.error_code, error_title = n.error_title, next_attempt_at = null, updated_at = now(),
    status = case
      when n.read_at is not null then 'read'
      when n.failed_at is not null and (n.delivered_at is null or n.failed_at > n.delivered_at) then 'failed'
      when n.delivered_at is not null then 'delivered'
      else 'sent'
    end
  from merged n
  where m.id = n.id and (n.sent_at, n.delivered_at, n.read_at, n.failed_at)
    is distinct from (m.sent_at, m.delivered_at, m.read_at, m.failed_at)
  returning m.id, m.status, n.old_status
)
select g.wamid, c.id is not null as changed, c.id, c.status, c.old_status
from given g
left join changed c on c.id = g.id
where g.id is not null;

-- name: claim_inbound(limit, lease)
-- The oldest message of each number, if it is due: pending, or claimed by a worker that was not heard of since. While one
-- is claimed the number has no other. Served by the recent-pending index and, for the few claimed ones, the status index.
with open as materialized (
  select id, from_number, created_at, provider_ts, next_attempt_at
  from whatsapp_messages where status = 'pending' and direction = 'inbound'
  union all
  select id, from_number, created_at, provider_ts, next_attempt_at
  from whatsapp_messages where status = 'processing' and direction = 'inbound'
), head as (
  select distinct on (from_number) id, created_at, next_attempt_at
  from open
  order by from_number, coalesce(provider_ts, created_at), created_at
), due as (
  select id from head
  where coalesce(next_attempt_at, created_at) <= now()
  order by created_at
  limit :limit
), claimed as (
  select m.id
  from whatsapp_messages m
  where m.id = any (array(select id from due)) and m.status in ('pending', 'processing')
    and coalesce(m.next_attempt_at, m.created_at) <= now()
  for update skip locked
)
update whatsapp_messages m
set status = 'processing', next_attempt_at = clock_timestamp() + :lease::interval, updated_at = now()
from claimed
where m.id = claimed.id
returning m.id, m.wamid, m.from_number, m.to_number, m.phone_number_id, m.message_type, m.body, m.payload, m.attempts,
  m.next_attempt_at, m.created_at;

-- name: claim_outbound(limit, lease, heard_after)
-- The same for what is to be sent. A message that stands at its second claim was perhaps sent already: it is only taken
-- when the provider has reached us since, and yet reported nothing about it.
with open as materialized (
  select id, to_number, created_at, next_attempt_at, sent_at
  from whatsapp_messages where status = 'pending' and direction = 'outbound'
), head as (
  select distinct on (to_number) id, created_at, next_attempt_at
  from open
  order by to_number, created_at
), due as (
  select id from head
  where coalesce(next_attempt_at, created_at) <= now()
  order by created_at
  limit :limit
), claimed as (
  select m.id
  from whatsapp_messages m
  where m.id = any (array(select id from due)) and m.status = 'pending'
    and coalesce(m.next_attempt_at, m.created_at) <= now()
    and (
      m.payload ->> 'sending' is null
      or exists (
        select from webhook_deliveries d where d.received_at > m.updated_at + :heard_after::interval
      )
    )
  for update skip locked
)
update whatsapp_messages m
set next_attempt_at = clock_timestamp() + :lease::interval, updated_at = now(),
  payload = m.payload || '{"sending": true}'::jsonb
from claimed, whatsapp_messages n
left join whatsapp_conversations c on c.phone_number = n.to_number
where m.id = claimed.id and n.id = m.id
returning m.id, m.wamid, m.from_number, m.to_number, m.phone_number_id, m.message_type, m.body, m.payload, m.attempts,
  m.next_attempt_at, m.created_at, c.last_inbound_at,
  exists (select from opt_outs o where o.phone_number = n.to_number and o.ended_at is null) as opted_out;

-- name: conversation(phone_number)^
-- A person is a user by number or, without one, by Meta's id; one that we did not know becomes a user.
with known as (
  select id from users where phone_number = :phone_number or whatsapp_id = :phone_number
), added as (
  insert into users (id, phone_number, whatsapp_id)
  select gen_random_uuid(), case when :phone_number like '+%' then :phone_number end,
    case when :phone_number not like '+%' then :phone_number end
  where not exists (select from known)
  on conflict (phone_number) do update set phone_number = excluded.phone_number
  returning id
), person as (
  select id from known union all select id from added
)
select p.id as user_id, c.active_service, c.agent_session_id,
  exists (select from handoffs h where h.phone_number = :phone_number and h.status <> 'closed') as handed_over
from person p
left join whatsapp_conversations c on c.phone_number = :phone_number;

-- name: answer(message_id, lease, user_id, replies, active_service, agent_session_id, opting, reason)^
-- Everything that an answer changes, in one statement: the message is processed, its replies are queued, the conversation is
-- where it stands, an opt-out or a hand-over is noted. No row comes back for a worker whose claim has run out.
with finished as (
  update whatsapp_messages
  set status = 'processed', user_id = coalesce(:user_id::uuid, user_id), next_attempt_at = null, updated_at = now()
  where id = :message_id and status = 'processing' and next_attempt_at = :lease
  returning id, from_number, to_number, phone_number_id
), queued as (
  insert into whatsapp_messages (id, direction, from_number, to_number, phone_number_id, message_type, body, payload,
    user_id, status, next_attempt_at, created_at)
  select r.id, 'outbound', f.to_number, f.from_number, f.phone_number_id, r.message_type, r.body, r.payload, :user_id::uuid,
    'pending', now(), now() + r.place * interval '1 microsecond'
  from finished f, rows from (json_to_recordset(:replies::json) as (id uuid, message_type text, body text, payload jsonb))
    with ordinality as r (id, message_type, body, payload, place)
  on conflict (id) do nothing
  returning id
), stands as (
  insert into whatsapp_conversations as c (phone_number, active_service, agent_session_id)
  select f.from_number, :active_service, :agent_session_id from finished f
  on conflict (phone_number) do update
  set active_service = excluded.active_service, agent_session_id = excluded.agent_session_id, updated_at = now()
), out as (
  insert into opt_outs (phone_number, source)
  select f.from_number, 'whatsapp' from finished f where :opting::text = 'out'
  on conflict (phone_number) do update set ended_at = null
), back as (
  update opt_outs o set ended_at = now() from finished f
  where o.phone_number = f.from_number and o.ended_at is null and :opting::text = 'in'
), handed_over as (
  insert into handoffs (phone_number, reason)
  select f.from_number, :reason::text from finished f where :reason::text <> ''
  on conflict do nothing
), resolved as (
  update webhook_dlq d set status = 'reprocessed'
  from finished f where d.correlation_id = f.id::text and d.status = 'processing'
)
select (select count(*) from queued) as replies, (select pg_notify('whatsapp_work', '') from queued limit 1) from finished;

-- name: forget_message(wamid, from_number)!
-- Its sender has deleted it: the words go, the fact that there was one stays.
update whatsapp_messages set body = null, payload = '{"revoked": true}', updated_at = now()
where wamid = :wamid and from_number = :from_number and direction = 'inbound';

-- name: queue_outbound(message_id, from_number, to_number, phone_number_id, message_type, body, payload, answers)^
-- A message of our own: nothing to somebody who wants none, no free text beyond the 24-hour window. `answers`: it is part of a
-- conversation that a person of the team has taken over. Nothing is queued when the id was used before.
with reach as (
  select c.last_inbound_at, not :answers and exists (select from opt_outs o where o.phone_number = p.number and o.ended_at is null) as opted_out
  from (select :to_number::text as number) p
  left join whatsapp_conversations c on c.phone_number = p.number
), queued as (
  insert into whatsapp_messages (id, direction, from_number, to_number, phone_number_id, message_type, body, payload, status,
    next_attempt_at)
  select :message_id, 'outbound', :from_number, :to_number, :phone_number_id, :message_type::text, :body, :payload, 'pending',
    now()
  from reach
  where not opted_out and (:message_type::text = 'template' or last_inbound_at > now() - interval '24 hours')
  on conflict (id) do nothing
  returning id
)
select q.id is not null as queued, r.opted_out,
  (select pg_notify('whatsapp_work', '') from queued)
from reach r left join queued q on true;

-- name: postpone(message_id, lease, delay, failed)^
-- Not now: again after the delay. `failed` counts as an attempt; without it nothing was tried.
update whatsapp_messages
set status = 'pending', next_attempt_at = now() + :delay::interval, attempts = attempts + :failed::integer,
  payload = payload - 'sending', updated_at = now()
where id = :message_id and status in ('pending', 'processing') and next_attempt_at = :lease
returning id, attempts;

-- name: postpone_number(phone_number, delay)!
-- A number that sends too much: none of its messages is due before the delay is over.
update whatsapp_messages
set next_attempt_at = now() + :delay::interval
where status = 'pending' and direction = 'inbound' and from_number = :phone_number;

-- name: count_unknown_outcome(message_id, lease)!
update whatsapp_messages set attempts = attempts + 1
where id = :message_id and status = 'pending' and next_attempt_at = :lease;

-- name: set_accepted(message_id, wamid)^
-- A status callback that was faster has set more than this.
update whatsapp_messages
set status = 'accepted', wamid = :wamid::text, next_attempt_at = null, updated_at = now()
where id = :message_id and status = 'pending'
returning id;

-- name: set_failed(message_id, lease, error_code, error_title)^
update whatsapp_messages
set status = 'failed', failed_at = now(), error_code = :error_code::integer, error_title = :error_title::text,
  attempts = attempts + 1, next_attempt_at = null, updated_at = now()
where id = :message_id and status in ('pending', 'processing') and next_attempt_at = :lease
returning id, attempts;

-- name: bury(dead_letter_id, message_id, error, error_type)!
-- The dead letter of a failed message. One that was being retried is failed, and its successor waits for a decision.
with retried as (
  update webhook_dlq set status = 'failed' where correlation_id = (:message_id::uuid)::text and status = 'processing'
)
insert into webhook_dlq (id, wamid, phone_number, payload, error, error_type, attempts, correlation_id)
select :dead_letter_id::uuid, m.wamid, case when m.direction = 'inbound' then m.from_number else m.to_number end, m.payload,
  :error::text, :error_type::text, m.attempts, m.id::text
from whatsapp_messages m
where m.id = :message_id::uuid;

-- name: dead_letters(limit)
select id, wamid, phone_number, error, error_type, attempts, status, correlation_id, created_at
from webhook_dlq
where status = 'pending'
order by created_at
limit :limit;

-- name: retry_dead_letter(dead_letter_id)^
-- Its message is due at once, with all its attempts before it.
with letter as (
  update webhook_dlq d set status = 'processing'
  where d.id = :dead_letter_id and d.status = 'pending' and exists (
    select from whatsapp_messages m where m.id::text = d.correlation_id and m.status = 'failed'
  )
  returning d.correlation_id
), message as (
  update whatsapp_messages m
  set status = 'pending', attempts = 0, next_attempt_at = now(), failed_at = null, error_code = null, error_title = null,
    payload = payload - 'sending', updated_at = now()
  from letter
  where m.id = letter.correlation_id::uuid
  returning m.id
)
select id, pg_notify('whatsapp_work', '') from message;

-- name: discard_dead_letter(dead_letter_id)^
update webhook_dlq set status = 'discarded' where id = :dead_letter_id and status = 'pending' returning id;

-- name: dead_letter_status(dead_letter_id)^
select status from webhook_dlq where id = :dead_letter_id;

-- name: message_by_id(message_id)^
select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, error_code, error_title, attempts,
  next_attempt_at, provider_ts, sent_at, delivered_at, read_at, failed_at, created_at, updated_at
from whatsapp_messages
where id = :message_id;

-- Pages of messages: those created until `at`, without the ones of that moment that were shown before. One statement for
-- each way to ask, so that each has the index of its hot query.

-- name: page_of_all(status, at, shown, limit)
select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at
from whatsapp_messages
where (:status::text is null or status = :status) and created_at <= :at and id <> all (:shown::uuid[])
order by created_at desc
limit :limit;

-- name: page_of_sender(from_number, status, at, shown, limit)
select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at
from whatsapp_messages
where from_number = :from_number and (:status::text is null or status = :status) and created_at <= :at and id <> all (:shown::uuid[])
order by created_at desc
limit :limit;

-- name: page_to(to_number, status, at, shown, limit)
select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at
from whatsapp_messages
where to_number = :to_number and (:status::text is null or status = :status) and created_at <= :at and id <> all (:shown::uuid[])
order by created_at desc
limit :limit;

-- name: page_of_user(user_id, status, at, shown, limit)
select id, wamid, user_id, direction, from_number, to_number, message_type, body, status, created_at
from whatsapp_messages
where user_id = :user_id and (:status::text is null or status = :status) and created_at <= :at and id <> all (:shown::uuid[])
order by created_at desc
limit :limit;

-- name: outbound_by_id(message_id)^
select to_number, message_type, body, payload - 'sending' as payload from whatsapp_messages where id = :message_id;

-- name: handoffs(status)
select h.id, h.phone_number, h.reason, h.status, h.claimed_by, h.opened_at, h.claimed_at, h.closed_at,
  (select m.body from whatsapp_messages m where m.from_number = h.phone_number order by m.created_at desc limit 1) as said_last
from handoffs h
where h.status = :status
order by h.opened_at
limit 200;

-- name: claim_handoff(handoff_id, claimed_by)^
update handoffs set status = 'claimed', claimed_by = :claimed_by, claimed_at = now()
where id = :handoff_id and (status = 'open' or status = 'claimed' and claimed_by = :claimed_by)
returning id, phone_number, reason, status, claimed_by, opened_at, claimed_at, closed_at;

-- name: close_handoff(handoff_id)^
update handoffs set status = 'closed', closed_at = coalesce(closed_at, now())
where id = :handoff_id
returning id, phone_number, reason, status, claimed_by, opened_at, claimed_at, closed_at;

-- name: handoff_by_id(handoff_id)^
select id, phone_number, reason, status, claimed_by, opened_at, claimed_at, closed_at from handoffs where id = :handoff_id;

-- name: events_to_act_on(limit)
select id, kind, payload, received_at from webhook_events
where act and acknowledged_at is null
order by received_at
limit :limit;

-- name: acknowledge_event(event_id)^
update webhook_events set acknowledged_at = now() where id = :event_id and acknowledged_at is null returning id;

-- name: queue_depth()^
select count(*) filter (where direction = 'inbound') as inbound, count(*) filter (where direction = 'outbound') as outbound,
  min(created_at) filter (where coalesce(next_attempt_at, created_at) <= now()) as oldest_due
from whatsapp_messages
where status = 'pending';

-- name: for_a_person()^
-- What waits for a person of the team.
select (select count(*) from webhook_dlq where status = 'pending') as dead_letters,
  (select count(*) from handoffs where status <> 'closed') as handoffs,
  (select count(*) from webhook_events where act and acknowledged_at is null) as events;

-- name: simulated_under_way()
-- What the simulated provider still has to report after a restart.
select id, wamid, to_number, phone_number_id, status
from whatsapp_messages
where created_at > now() - interval '10 minutes' and wamid like 'wamid.SIM%' and status in ('accepted', 'sent', 'delivered');
