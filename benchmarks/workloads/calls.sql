-- 26 reads and 5 writes of a calls, messages and payments service, with the rates they are weighted by.

-- name: vc_recent
-- calls_per_minute: 120
select id, to_number, status, created_at from calls where created_at > now() - interval '24 hours'
order by created_at desc limit 100;
-- name: vc_active24
-- calls_per_minute: 300
select id, to_number, created_at from calls where status = 'active' and created_at > now() - interval '24 hours'
order by created_at desc limit 50;
-- name: vc_active_cnt
-- calls_per_minute: 120
select count(*) from calls where status in ('active', 'pending');
-- name: vc_user
-- calls_per_minute: 200
select id, to_number, status, created_at from calls where user_id = 4711 order by created_at desc limit 20;
-- name: vc_phone
-- calls_per_minute: 200
select id, status, created_at from calls where to_number = '+250700004711' order by created_at desc limit 20;
-- name: vc_sid
-- calls_per_minute: 400
select id, status from calls where provider_sid = 'CA0000000000123456';
-- name: vc_failed_week
-- calls_per_minute: 6
select date_trunc('day', created_at), count(*) from calls
where status = 'failed' and created_at > now() - interval '7 days' group by 1;
-- name: wa_from
-- calls_per_minute: 400
select id, body, status, created_at from messages where from_number = '+250700000815' order by created_at desc limit 50;
-- name: wa_to
-- calls_per_minute: 200
select id, body, status, created_at from messages where to_number = '+250700000816' order by created_at desc limit 50;
-- name: wa_recent
-- calls_per_minute: 60
select id, from_number, body, created_at from messages order by created_at desc limit 50;
-- name: wa_user
-- calls_per_minute: 200
select id, body, created_at from messages where user_id = 815 order by created_at desc limit 50;
-- name: wa_retry1h
-- calls_per_minute: 300
select id, to_number from messages where status in ('pending', 'failed') and created_at > now() - interval '1 hour';
-- name: wa_queue
-- calls_per_minute: 600
select id, to_number from messages where status = 'pending' order by created_at limit 100;
-- name: wa_counts
-- calls_per_minute: 12
select status, count(*) from messages where created_at > now() - interval '1 day' group by status;
-- name: tx_user
-- calls_per_minute: 400
select id, amount, status, created_at from payments where user_id = 99 order by created_at desc limit 20;
-- name: tx_pending
-- calls_per_minute: 120
select id, user_id, amount from payments where status = 'pending' order by created_at limit 100;
-- name: tx_day7
-- calls_per_minute: 10
select date_trunc('day', created_at), sum(amount) from payments
where status = 'completed' and created_at > now() - interval '7 days' group by 1;
-- name: tx_day90
-- calls_per_minute: 2
select date_trunc('day', created_at), sum(amount) from payments
where status = 'completed' and created_at > now() - interval '90 days' group by 1;
-- name: tx_ref
-- calls_per_minute: 300
select id, status, amount from payments where reference = 'TX0000000000654321';
-- name: tx_large
-- calls_per_minute: 20
select id, user_id, amount from payments where amount > 9990 order by created_at desc limit 20;
-- name: tx_user_sum
-- calls_per_minute: 60
select sum(amount) from payments where user_id = 1234 and status = 'completed';
-- name: dash_today
-- calls_per_minute: 30
select (select count(*) from calls where created_at > date_trunc('day', now())),
  (select count(*) from messages where created_at > date_trunc('day', now())),
  (select sum(amount) from payments where created_at > date_trunc('day', now()) and status = 'completed');
-- name: u_phone
-- calls_per_minute: 1000
select id, name, status from people where phone = '+250700012345';
-- name: u_active_phone
-- calls_per_minute: 300
select id from people where phone = '+250700054321' and status = 'active';
-- name: u_join_calls
-- calls_per_minute: 120
select p.name, c.status, c.created_at from people p join calls c on c.user_id = p.id
where p.phone = '+250700000042' order by c.created_at desc limit 10;
-- name: u_join_payments
-- calls_per_minute: 60
select p.name, t.amount from payments t join people p on p.id = t.user_id
where t.status = 'pending' and t.created_at < now() - interval '1 day' order by t.created_at limit 50;

-- name: insert_message
-- calls_per_minute: 1200
insert into messages (id, user_id, from_number, to_number, status, body, created_at) values (1, 1, '', '', '', '', now());
-- name: set_message_status
-- calls_per_minute: 2400
update messages set status = 'sent' where id = :id;
-- name: insert_call
-- calls_per_minute: 300
insert into calls (id, user_id, from_number, to_number, status, provider_sid, created_at)
values (1, 1, '', '', '', '', now());
-- name: set_call_status
-- calls_per_minute: 600
update calls set status = 'active' where id = :id;
-- name: insert_payment
-- calls_per_minute: 200
insert into payments (id, user_id, amount, status, reference, created_at) values (1, 1, 1, '', '', now());
