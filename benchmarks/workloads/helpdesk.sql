-- 26 reads and 6 writes of a help desk with many tenants, with the rates they are weighted by.

-- name: inbox
-- calls_per_minute: 600
select id, number, subject, updated_at from tickets where tenant_id = 3 and state = 'open'
order by updated_at desc limit 50;
-- name: small_inbox
-- calls_per_minute: 600
select id, number, subject, updated_at from tickets where tenant_id = 333 and state = 'open'
order by updated_at desc limit 50;
-- name: my_tickets
-- calls_per_minute: 400
select id, number, subject, priority from tickets where assignee_id = 1234 and state in ('open', 'waiting')
order by priority desc, opened_at limit 25;
-- name: unassigned
-- calls_per_minute: 200
select id, number from tickets where tenant_id = 7 and assignee_id is null and state = 'open' order by opened_at limit 25;
-- name: by_number
-- calls_per_minute: 800
select id, subject, state from tickets where tenant_id = 12 and number = 123450;
-- name: of_requester
-- calls_per_minute: 300
select id, subject, state from tickets where requester_id = 4242 order by opened_at desc limit 20;
-- name: by_reference
-- calls_per_minute: 60
select id, tenant_id from tickets where external_ref = 'CRM-123456';
-- name: escalated
-- calls_per_minute: 30
select id, tenant_id from tickets where labels @> array['escalated'] and state = 'open' limit 50;
-- name: subject_search
-- calls_per_minute: 20
select id, subject from tickets where tenant_id = 2 and subject like '%77ab%' limit 20;
-- name: overdue
-- calls_per_minute: 12
select id, tenant_id from tickets where state = 'waiting' and updated_at < now() - interval '5 days'
order by updated_at limit 100;
-- name: opened_per_day
-- calls_per_minute: 4
select date_trunc('day', opened_at), count(*) from tickets
where tenant_id = 3 and opened_at > now() - interval '30 days' group by 1;
-- name: state_counts
-- calls_per_minute: 30
select state, count(*) from tickets where tenant_id = 40 group by state;
-- name: urgent
-- calls_per_minute: 60
select count(*) from tickets where priority = 4 and state <> 'closed';
-- name: thread
-- calls_per_minute: 900
select id, author_id, body, sent_at from replies where ticket_id = 98765 order by sent_at;
-- name: public_thread
-- calls_per_minute: 300
select id, body, sent_at from replies where ticket_id = 54321 and public order by sent_at;
-- name: last_reply
-- calls_per_minute: 500
select author_id, sent_at from replies where ticket_id = 12121 order by sent_at desc limit 1;
-- name: replies_of_agent
-- calls_per_minute: 10
select count(*) from replies where author_id = 321 and sent_at > now() - interval '7 days';
-- name: busiest_agents
-- calls_per_minute: 2
select author_id, count(*) from replies where sent_at > now() - interval '1 day' group by 1 order by 2 desc limit 10;
-- name: ticket_with_replies
-- calls_per_minute: 200
select t.id, t.subject, count(r.id) from tickets t left join replies r on r.ticket_id = t.id
where t.requester_id = 777 and t.opened_at > now() - interval '60 days' group by 1, 2;
-- name: login
-- calls_per_minute: 300
select id, tenant_id from agents where lower(email) = 'agent.4711@desk.example';
-- name: team
-- calls_per_minute: 120
select id, email from agents where tenant_id = 9 and active order by email;
-- name: idle_agents
-- calls_per_minute: 1
select count(*) from agents where last_active_at < now() - interval '200 days';
-- name: mails_to_send
-- calls_per_minute: 600
select id, message_key from mails where not sent and next_try_at < now() order by next_try_at limit 20;
-- name: mail_by_key
-- calls_per_minute: 400
select id, tenant_id, sent from mails where message_key = md5('m123456');
-- name: bounces
-- calls_per_minute: 6
select id, tenant_id from mails where meta @> '{"bounce": true}' limit 100;
-- name: invites
-- calls_per_minute: 6
select count(*) from mails where meta ->> 'kind' = 'invite' and tenant_id = 5;

-- name: open_ticket
-- calls_per_minute: 60
insert into tickets (id, tenant_id, number, requester_id, state, priority, subject, labels, opened_at, updated_at)
values (1, 1, 1, 1, 'open', 1, '', '{}', now(), now());
-- name: touch_ticket
-- calls_per_minute: 900
update tickets set updated_at = now() where id = :id;
-- name: set_state
-- calls_per_minute: 120
update tickets set state = case state when 'closed' then 'spam' else 'closed' end, updated_at = now() where id = :id;
-- name: reply
-- calls_per_minute: 300
insert into replies (id, ticket_id, author_id, public, body, sent_at) values (1, 1, 1, true, '', now());
-- name: mail_sent
-- calls_per_minute: 500
update mails set sent = not sent, attempts = attempts + 1 where id = :id;
-- name: agent_active
-- calls_per_minute: 2000
update agents set last_active_at = now() where id = :id;
