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
