-- Run with values from rows that are there, counted by pg_stat_statements, and read from it.

-- name: inbox
-- calls_per_minute: 30
select id, title, created_at from app."Deal"
where workspace_id = $1 and deleted_at is null and stage in ('lead', 'offer') order by created_at desc limit 25;
-- name: mine
-- calls_per_minute: 20
select id, title, amount from app.open_deal where "ownedBy" = $1 order by created_at desc limit 10;
-- name: search
-- calls_per_minute: 4
select id, title from app."Deal" where title ilike '%' || $1 || '%' and deleted_at is null limit 20;
-- name: tagged
-- calls_per_minute: 6
select count(*) from app."Deal" where details @> $1 and deleted_at is null;
-- name: by_reference
-- calls_per_minute: 12
select id from app."Deal" where details ->> 'ref' = $1;
-- name: remarks
-- calls_per_minute: 40
select id, author, body from app.remark where deal_id = $1 order by written_at;
-- name: remarks_of_author
-- calls_per_minute: 5
select r.id, d.title from app.remark r join app."Deal" d on d.id = r.deal_id where author = $1 limit 50;
-- name: workspace
-- calls_per_minute: 60
select id, plan from app.workspace where slug = $1;
-- name: may
-- calls_per_minute: 60
select role from app.seat where workspace_id = $1 and person = $2;
-- name: recent_events
-- calls_per_minute: 8
select id, kind, at from app.event where workspace_id = $1 and at > $2 order by at desc limit 50;
-- name: pipeline
-- calls_per_minute: 3
select stage, count(*), sum(amount) from app."Deal" where workspace_id = $1 and deleted_at is null group by stage;
-- name: move
-- calls_per_minute: 15
update app."Deal" set stage = $1, updated_at = now() where id = $2;
-- name: retract
-- calls_per_minute: 2
update app."Deal" set deleted_at = now() where "ownedBy" = $1 and stage = $2;
-- name: log
-- calls_per_minute: 20
insert into app.event (workspace_id, kind, payload, at) values ($1, $2, $3, now());
