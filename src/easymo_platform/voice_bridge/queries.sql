-- The status literals stay in the text: with a bound status a generic plan cannot use the partial indexes.

-- name: calls_of_last_day()
-- Q1: calls of the last 24 hours, newest 100
select id, user_id, direction, from_number, to_number, status, agent_profile, started_at, ended_at, duration_seconds,
  consent_required, consent_obtained, created_at
from voice_calls
where created_at > now() - interval '24 hours'
order by created_at desc
limit 100;

-- name: live_calls()
-- Q2: live calls, newest 15
select id, to_number, from_number, status, agent_profile, started_at, consent_obtained
from voice_calls
where status in ('pending', 'ringing', 'active')
order by created_at desc
limit 15;

-- name: calls_to_number(to_number)
-- Q3: calls to a number, newest 50
select id, user_id, direction, from_number, to_number, status, agent_profile, started_at, ended_at, duration_seconds,
  consent_required, consent_obtained, created_at
from voice_calls
where to_number = :to_number
order by created_at desc
limit 50;

-- name: revenue_of_last_30_days()
-- Q8a: revenue of the last 30 days
select currency, sum(amount) as revenue, count(*) as transactions
from transactions
where status = 'completed' and created_at > now() - interval '30 days'
group by currency;

-- name: revenue_of_last_day()
-- Q8b: revenue of the last 24 hours
select currency, sum(amount) as revenue, count(*) as transactions
from transactions
where status = 'completed' and created_at > now() - interval '24 hours'
group by currency;

-- name: transactions_of_user(user_id)
-- Q9: transactions of a user, newest 50
select id, transaction_ref, type, amount, currency, status, description, completed_at, created_at
from transactions
where user_id = :user_id
order by created_at desc
limit 50;

-- name: oldest_pending_transactions()
-- Q10: pending transactions, oldest 100
select id, transaction_ref, user_id, type, amount, currency, created_at
from transactions
where status = 'pending'
order by created_at
limit 100;

-- name: calls_of_user(user_id)
-- Q11: calls of a user, newest 50
select id, user_id, direction, from_number, to_number, status, agent_profile, started_at, ended_at, duration_seconds,
  consent_required, consent_obtained, created_at
from voice_calls
where user_id = :user_id
order by created_at desc
limit 50;

-- name: active_calls_of_last_day()
-- Q13: active calls of the last 24 hours
select id, to_number, from_number, status, agent_profile, started_at, consent_obtained
from voice_calls
where status = 'active' and created_at > now() - interval '24 hours'
order by created_at desc;

-- name: user_by_phone(phone_number)^
-- Q14: user by phone number
select id, phone_number, status, created_at
from users
where phone_number = :phone_number;

-- The statements below serve endpoints of this service and are free to change.

-- name: live_calls_up_to(limit)
-- Q2 for lists longer than 15
select id, to_number, from_number, status, agent_profile, started_at, consent_obtained
from voice_calls
where status in ('pending', 'ringing', 'active')
order by created_at desc
limit :limit;

-- name: call_by_id(call_id)^
select id, user_id, provider, provider_call_sid, direction, from_number, to_number, status, agent_profile, channel, topic,
  consent_required, consent_obtained, consent_recorded_at, consent_channel, consent_media_url, transcript_status,
  transcript_locale, last_transcript_segment_at, started_at, answered_at, ended_at, duration_seconds, metadata, created_at,
  updated_at
from voice_calls
where id = :call_id;

-- name: call_status(call_id)^
select status from voice_calls where id = :call_id;

-- name: call_of_provider(provider_call_sid)^
select id from voice_calls where provider_call_sid = :provider_call_sid;

-- name: insert_call(call_id, provider_call_sid, from_number, to_number, agent_profile, topic, consent_required, metadata)^
-- No row comes back when the id, that is the idempotency key, was used before, or when the person wants no calls.
-- Its provider_call_sid is made of the id: of two at the same moment either key may be the one that is found taken.
insert into voice_calls (id, user_id, provider, provider_call_sid, direction, from_number, to_number, status,
  agent_profile, channel, topic, consent_required, metadata)
select :call_id, (select id from users where phone_number = :to_number), 'simulated', :provider_call_sid, 'outbound',
  :from_number, :to_number, 'pending', :agent_profile, 'voice', :topic, :consent_required, :metadata
where not exists (select from opt_outs where phone_number = :to_number and ended_at is null)
on conflict do nothing
returning id, user_id, to_number;

-- name: set_call_status(call_id, status, predecessors, duration_seconds)^
-- The compare-and-set of the life cycle: no row comes back unless the call stands at one of the predecessors.
update voice_calls
set status = :status::text,
  started_at = case when :status::text in ('ringing', 'active') then coalesce(started_at, now()) else started_at end,
  answered_at = case when :status::text = 'active' then coalesce(answered_at, now()) else answered_at end,
  ended_at = case when :status::text in ('ringing', 'active') then ended_at else now() end,
  duration_seconds = case
    when :status::text in ('ringing', 'active') then duration_seconds
    else coalesce(:duration_seconds::integer, extract(epoch from now() - answered_at)::integer)
  end,
  updated_at = now()
where id = :call_id and status = any (:predecessors::text[])
returning id, user_id, to_number;

-- name: insert_call_event(call_id, provider_call_sid, sequence_number, type, payload)^
-- No row comes back for a callback that was delivered before.
insert into call_events (call_id, provider_call_sid, sequence_number, type, payload)
values (:call_id, :provider_call_sid, :sequence_number, :type, :payload)
on conflict (provider_call_sid, sequence_number) do nothing
returning id;

-- name: set_call_consent(call_id, recorded_at, channel, media_url)^
update voice_calls
set consent_obtained = true,
  consent_recorded_at = coalesce(:recorded_at::timestamptz, now()),
  consent_channel = :channel::text,
  consent_media_url = :media_url::text,
  updated_at = now()
where id = :call_id
returning id, user_id, to_number;

-- name: insert_consent(call_id, media_url, recorded_at)!
insert into call_consents (call_id, consent_result, audio_url, recorded_at)
values (:call_id, true, :media_url, coalesce(:recorded_at::timestamptz, now()));

-- name: set_call_transcript(call_id, locale)^
update voice_calls
set transcript_status = 'processing',
  transcript_locale = :locale::text,
  last_transcript_segment_at = now(),
  updated_at = now()
where id = :call_id
returning id, user_id, to_number;

-- name: upsert_segments(call_id, sequences, speakers, texts, confidences, starts, ends)!
insert into voice_segments (call_id, sequence, speaker, text, confidence, started_at, ended_at)
select :call_id::uuid, s.sequence, s.speaker, s.text, s.confidence, s.started_at, s.ended_at
from unnest(:sequences::integer[], :speakers::text[], :texts::text[], :confidences::float8[], :starts::timestamptz[],
  :ends::timestamptz[]) as s (sequence, speaker, text, confidence, started_at, ended_at)
on conflict (call_id, sequence) do update
set speaker = excluded.speaker, text = excluded.text, confidence = excluded.confidence, started_at = excluded.started_at,
  ended_at = excluded.ended_at;

-- name: try_sweep_lock()$
-- Held until the transaction ends: one replica sweeps, the others skip their turn.
select pg_try_advisory_xact_lock(hashtext('easymo:voice-bridge:sweeper')) as locked;

-- name: stuck_calls(age, limit)
-- Locked, so that a call which moves at this moment is not failed on the strength of what it was.
select id
from voice_calls
where status in ('pending', 'ringing', 'active') and updated_at < now() - :age::interval
order by updated_at
limit :limit
for update skip locked;

-- name: count_live_calls()$
select count(*) as live from voice_calls where status in ('pending', 'ringing', 'active');

-- name: calls_by_time(bucket, age)
select date_trunc(:bucket::text, created_at, 'UTC') as bucket, count(*) as calls,
  count(*) filter (where status in ('failed', 'busy', 'no_answer')) as failures
from voice_calls
where created_at > now() - :age::interval
group by 1;

-- name: messages_by_time(bucket, age)
select date_trunc(:bucket::text, created_at, 'UTC') as bucket, count(*) as messages
from whatsapp_messages
where created_at > now() - :age::interval
group by 1;

-- name: revenue_by_time(bucket, age)
select date_trunc(:bucket::text, created_at, 'UTC') as bucket, currency, sum(amount) as revenue
from transactions
where status = 'completed' and created_at > now() - :age::interval
group by 1, 2;

-- name: newest_transactions(limit)
select id, transaction_ref, type, amount, currency, status, description, completed_at, created_at
from transactions
where created_at > now() - interval '30 days'
order by created_at desc
limit :limit;

-- name: matching_calls(since, until, status, search)
-- A search finds part of either number or of the topic.
select id, user_id, direction, from_number, to_number, status, agent_profile, started_at, ended_at, duration_seconds,
  consent_required, consent_obtained, created_at
from voice_calls
where created_at >= :since and created_at < :until
  and (:status::text is null or status = :status)
  and (:search::text is null or position(lower(:search) in lower(to_number || ' ' || from_number || ' ' || coalesce(topic, ''))) > 0)
order by created_at desc
limit 200;

-- name: totals_of_matching_calls(since, until, status, search)^
-- The assistant speaks from the moment the call is answered.
select count(*) as calls,
  count(*) filter (where status = 'completed') as completed,
  count(*) filter (where status in ('failed', 'busy', 'no_answer')) as failed,
  avg(duration_seconds)::float8 as mean_duration_s,
  percentile_cont(0.95) within group (order by extract(epoch from answered_at - started_at)::float8)
    as p95_time_to_assistant_s
from voice_calls
where created_at >= :since and created_at < :until
  and (:status::text is null or status = :status)
  and (:search::text is null or position(lower(:search) in lower(to_number || ' ' || from_number || ' ' || coalesce(topic, ''))) > 0);
