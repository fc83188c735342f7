-- 17 reads and 7 writes of a forum, with the rates they are weighted by.

-- name: board_page
-- calls_per_minute: 600
select id, title, pinned, reply_count, last_post_at from threads where board_id = 4 and deleted_at is null
order by pinned desc, last_post_at desc limit 30;
-- name: older_threads
-- calls_per_minute: 90
select id, title, last_post_at from threads
where board_id = 97 and deleted_at is null and last_post_at < now() - interval '200 days'
order by last_post_at desc limit 30;
-- name: thread_page
-- calls_per_minute: 900
select id, author_id, body, created_at from posts where thread_id = 4321 and deleted_at is null
order by created_at limit 50;
-- name: long_thread_page
-- calls_per_minute: 120
select id, author_id, body, created_at from posts where thread_id = 4200 order by created_at, id limit 25 offset 75;
-- name: unread_count
-- calls_per_minute: 1500
select count(*) from notifications where member_id = 5 and read_at is null;
-- name: unread
-- calls_per_minute: 400
select id, kind, post_id from notifications where member_id = 9 and read_at is null order by created_at desc limit 20;
-- name: all_notifications
-- calls_per_minute: 150
select id, kind, post_id, read_at from notifications where member_id = 2345 order by id desc limit 20;
-- name: my_votes
-- calls_per_minute: 700
select post_id, value from votes where member_id = 3 and post_id in (20400, 20420, 20440, 20460, 20480, 20500, 20520,
  20540, 20560, 20580, 20600, 20620, 20640, 20660, 20680, 20700, 20720, 20740, 20760, 20780, 20800, 20820, 20840);
-- name: score_of_post
-- calls_per_minute: 300
select sum(value), count(*) from votes where post_id = 20500;
-- name: profile
-- calls_per_minute: 250
select p.id, p.created_at, t.title from posts p join threads t on t.id = p.thread_id
where p.author_id = 512 and p.deleted_at is null order by p.created_at desc limit 10;
-- name: sign_in
-- calls_per_minute: 250
select id, banned from members where lower(handle) = 'member_1500';
-- name: trending
-- calls_per_minute: 10
select t.id, t.title, count(*) from posts p join threads t on t.id = p.thread_id
where p.created_at > now() - interval '3 days' and t.deleted_at is null group by t.id, t.title order by 3 desc limit 10;
-- name: flagged
-- calls_per_minute: 20
select id, thread_id, flags from posts where flags >= 3 and deleted_at is null order by created_at limit 20;
-- name: unanswered
-- calls_per_minute: 40
select id, title, created_at from threads where reply_count = 0 and not locked and deleted_at is null
order by created_at desc limit 20;
-- name: posts_of_banned
-- calls_per_minute: 3
select p.id, p.thread_id from posts p where exists (select from members m where m.id = p.author_id and m.banned)
order by p.created_at desc limit 20;
-- name: most_viewed
-- calls_per_minute: 15
select id, title, view_count from threads where deleted_at is null order by view_count desc limit 20;
-- name: mean_length
-- calls_per_minute: 1
select avg(length(body)) from posts;

-- name: view_thread
-- calls_per_minute: 3000
update threads set view_count = view_count + 1 where id = :id;
-- name: replied
-- calls_per_minute: 250
update threads set last_post_at = now(), reply_count = reply_count + 1 where id = :id;
-- name: read_notification
-- calls_per_minute: 900
update notifications set read_at = now() where id = :id;
-- name: seen
-- calls_per_minute: 2000
update members set last_seen_at = now() where id = :id;
-- name: add_post
-- calls_per_minute: 250
insert into posts (id, thread_id, author_id, body, flags, created_at) values (1, 1, 1, '', 0, now());
-- name: vote
-- calls_per_minute: 400
insert into votes (id, member_id, post_id, value, voted_at) values (1, 1, 1, 1, now());
-- name: notify
-- calls_per_minute: 900
insert into notifications (id, member_id, kind, post_id, created_at) values (1, 1, 'reply', 1, now());
