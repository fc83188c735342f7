-- 18 reads and 7 writes of a chat service, with the rates they are weighted by.

-- name: room_tail
-- calls_per_minute: 900
select id, author_id, kind, body, created_at from messages where room_id = 40 and deleted_at is null order by id desc limit 50;
-- name: tail_of_quiet_room
-- calls_per_minute: 200
select id, author_id, kind, body, created_at from messages where room_id = 3905 and deleted_at is null order by id desc limit 50;
-- name: scroll_back
-- calls_per_minute: 350
select id, author_id, body, created_at from messages where room_id = 3 and id < 41234 and deleted_at is null
order by id desc limit 50;
-- name: my_rooms
-- calls_per_minute: 500
select r.id, r.name, r.last_message_at, m.muted from members m join rooms r on r.id = m.room_id
where m.person_id = 8 and m.left_at is null and not r.archived order by r.last_message_at desc limit 30;
-- name: who_is_here
-- calls_per_minute: 300
select p.id, p.display_name, m.role from members m join people p on p.id = m.person_id
where m.room_id = 401 and m.left_at is null order by p.display_name limit 100;
-- name: may_enter
-- calls_per_minute: 1500
select role from members where room_id = 124 and person_id = 249 and left_at is null;
-- name: unread_counts
-- calls_per_minute: 250
select m.room_id, count(*) from members m join messages g on g.room_id = m.room_id and g.id > m.last_read_id
where m.person_id = 21 and m.left_at is null and not m.muted and g.deleted_at is null group by m.room_id;
-- name: has_unread
-- calls_per_minute: 400
select m.room_id from members m where m.person_id = 533 and m.left_at is null and exists
  (select from messages g where g.room_id = m.room_id and g.id > m.last_read_id and g.deleted_at is null);
-- name: latest_per_room
-- calls_per_minute: 200
select m.room_id, g.id, g.body, g.created_at from members m cross join lateral
  (select id, body, created_at from messages where room_id = m.room_id and deleted_at is null order by id desc limit 1) g
where m.person_id = 77 and m.left_at is null order by g.id desc;
-- name: reactions_of_page
-- calls_per_minute: 700
select message_id, emoji, count(*) from reactions where message_id in (41000, 41020, 41040, 41060, 41080, 41100, 41120,
  41133, 41147, 41160, 41180, 41200, 41220, 41240, 41253, 41260, 41280, 41300) group by message_id, emoji;
-- name: readers
-- calls_per_minute: 250
select person_id, read_at from receipts where message_id = 43210 and read_at is not null order by read_at;
-- name: undelivered
-- calls_per_minute: 500
select r.message_id, g.room_id, g.body from receipts r join messages g on g.id = r.message_id
where r.person_id = 4 and r.delivered_at is null order by r.message_id limit 100;
-- name: direct_room
-- calls_per_minute: 80
select r.id from rooms r where r.kind = 'direct'
and exists (select from members m where m.room_id = r.id and m.person_id = 124)
and exists (select from members m where m.room_id = r.id and m.person_id = 249);
-- name: rooms_in_common
-- calls_per_minute: 30
select a.room_id from members a join members b on b.room_id = a.room_id
where a.person_id = 1 and b.person_id = 2 and a.left_at is null and b.left_at is null;
-- name: reported
-- calls_per_minute: 10
select id, room_id, author_id, body from messages where kind = 'reported' order by created_at desc limit 20;
-- name: replies
-- calls_per_minute: 120
select id, author_id, body from messages where reply_to_id = 41000 and deleted_at is null order by id;
-- name: mentions
-- calls_per_minute: 1
select id, room_id from messages where body like '%@ada%' and deleted_at is null order by id desc limit 500;
-- name: silent_rooms
-- calls_per_minute: 1
select r.id, r.owner_id from rooms r where r.kind = 'group' and not r.archived and not exists
  (select from messages g where g.room_id = r.id and g.created_at > now() - interval '60 days') order by r.id limit 200;

-- name: read_up_to
-- calls_per_minute: 1500
update members set last_read_id = last_read_id + 1 where id = :id;
-- name: bump_room
-- calls_per_minute: 1000
update rooms set last_message_at = now() where id = :id;
-- name: edit
-- calls_per_minute: 60
update messages set body = 'said better', edited_at = now() where id = :id;
-- name: deliver
-- calls_per_minute: 2000
update receipts set delivered_at = now() where id = :id;
-- name: say
-- calls_per_minute: 1000
insert into messages (id, room_id, author_id, kind, body, created_at) values (1, 1, 1, 'text', '', now());
-- name: expect_receipt
-- calls_per_minute: 2000
insert into receipts (id, message_id, person_id) values (1, 1, 1);
-- name: react
-- calls_per_minute: 400
insert into reactions (id, message_id, person_id, emoji, created_at) values (1, 1, 1, 'heart', now());
