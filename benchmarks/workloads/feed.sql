-- Run with values from rows that are there, counted by pg_stat_statements, and read from it.

-- name: sign_in
-- calls_per_minute: 60
select id, handle from account where lower(email) = $1;
-- name: home
-- calls_per_minute: 20
select p.id, p.title from post p join follow f on f.followed = p.author
where f.follower = $1 and not p.hidden order by p.posted_at desc, p.id desc limit 20;
-- name: older
-- calls_per_minute: 15
select id, title from post where (posted_at, id) < ($1, $2) and not hidden order by posted_at desc, id desc limit 20;
-- name: about
-- calls_per_minute: 6
select id, title from post, to_tsquery('simple', $1) q where words @@ q order by posted_at desc limit 20;
-- name: tagged
-- calls_per_minute: 6
select id, title from post where tags && $1 order by posted_at desc limit 20;
-- name: latest_of
-- calls_per_minute: 8
select distinct on (author) author, id, posted_at from post where author = any($1) order by author, posted_at desc;
-- name: activity
-- calls_per_minute: 6
(select 'post' as what, id, posted_at as at from post where author = $1 order by posted_at desc limit 10)
union all (select kind, post_id, at from reaction where account_id = $2 order by at desc limit 10);
-- name: reactions
-- calls_per_minute: 30
select kind, count(*) from reaction where post_id = $1 group by kind;
-- name: network
-- calls_per_minute: 2
select count(*) from visit where device << $1;
-- name: seen
-- calls_per_minute: 30
update visit set seen_at = now() where account_id = $1 and post_id = $2;
-- name: forget
-- calls_per_minute: 2
delete from visit where seen_at < $1 and account_id = $2;
-- name: take_down
-- calls_per_minute: 3
delete from post where id = $1;
-- name: react
-- calls_per_minute: 20
insert into reaction (post_id, account_id, kind, at) values ($1, $2, $3, now());
