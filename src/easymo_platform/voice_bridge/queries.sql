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
