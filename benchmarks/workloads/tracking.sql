-- 20 reads and 5 writes of an event log with JSON, arrays and text search, with the rates they are weighted by.

-- name: visitor_history
-- calls_per_minute: 200
select id, referrer, started_at from visits where visitor_id = 777 order by started_at desc limit 20;
-- name: by_session
-- calls_per_minute: 1200
select id, visitor_id from visits where session = md5('123456');
-- name: events_of_visit
-- calls_per_minute: 300
select id, kind, payload, created_at from events where visit_id = 123456 order by created_at;
-- name: to_process
-- calls_per_minute: 120
select id, kind, payload from events where not processed order by id limit 500;
-- name: errors_last_hour
-- calls_per_minute: 60
select id, payload from events where kind = 'error' and created_at > now() - interval '1 hour';
-- name: campaign_purchases
-- calls_per_minute: 40
select id, visit_id, created_at from events where kind = 'purchase' and payload ->> 'campaign' = 'c17'
order by created_at desc limit 50;
-- name: event_of_order
-- calls_per_minute: 180
select id, visit_id, payload from events where payload ->> 'order_id' = 'o-00456789';
-- name: gold_events
-- calls_per_minute: 6
select count(*) from events where payload @> '{"plan": "gold"}';
-- name: tagged_visits
-- calls_per_minute: 60
select id, session, started_at from visits where tags @> array['rare-7'] order by started_at desc limit 20;
-- name: tagged_either
-- calls_per_minute: 12
select count(*) from visits where tags && array['rare-3', 'rare-5'];
-- name: text_search
-- calls_per_minute: 240
select id, path, title from pages where search @@ to_tsquery('simple', 'word2500 & word77') limit 10;
-- name: page_by_path
-- calls_per_minute: 900
select id, title, body from pages where path = '/docs/15/page-12335';
-- name: title_contains
-- calls_per_minute: 20
select id, title from pages where title ilike '%chapter 17%' order by changed_at desc limit 10;
-- name: changed_pages
-- calls_per_minute: 30
select id, path, changed_at from pages where changed_at > now() - interval '2 days' order by changed_at;
-- name: hourly
-- calls_per_minute: 4
select date_trunc('hour', created_at), count(*) from events where created_at > now() - interval '1 day' group by 1;
-- name: signups_of_ads
-- calls_per_minute: 6
select count(*) from visits v join events e on e.visit_id = v.id
where v.referrer = 'ads' and e.kind = 'signup' and v.started_at > now() - interval '2 days';
-- name: slow_pages
-- calls_per_minute: 6
select count(*) from events where kind = 'page' and (payload ->> 'ms')::int > 4500
and created_at > now() - interval '1 day';
-- name: visitors_today
-- calls_per_minute: 10
select count(distinct visitor_id) from visits where started_at > now() - interval '1 day';
-- name: last_event_of_visitor
-- calls_per_minute: 100
select e.kind, e.created_at from events e join visits v on v.id = e.visit_id
where v.visitor_id = 815 order by e.created_at desc limit 1;
-- name: last_errors
-- calls_per_minute: 30
select e.id, e.created_at, v.visitor_id from events e join visits v on v.id = e.visit_id
where e.kind = 'error' order by e.created_at desc limit 20;

-- name: insert_event
-- calls_per_minute: 3000
insert into events (id, visit_id, kind, payload, processed, created_at) values (1, 1, 'page', '{}', false, now());
-- name: mark_processed
-- calls_per_minute: 3000
update events set processed = not processed where id = :id;
-- name: insert_visit
-- calls_per_minute: 700
insert into visits (id, session, visitor_id, referrer, tags, started_at, seen_at)
values (1, '', 1, 'ads', '{}', now(), now());
-- name: see_visit
-- calls_per_minute: 2500
update visits set seen_at = now() where id = :id;
-- name: change_page
-- calls_per_minute: 2
update pages set title = 'Page', changed_at = now() where id = :id;
