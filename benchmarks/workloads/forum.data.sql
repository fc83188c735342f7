create table boards (id bigint primary key, slug text not null unique, title text not null, private boolean not null);
create table members (id bigint primary key, handle text not null, email text not null unique, reputation int not null,
  banned boolean not null, joined_at timestamptz not null, last_seen_at timestamptz not null) with (fillfactor = 90);
create table threads (id bigint primary key, board_id bigint not null, author_id bigint not null, title text not null,
  pinned boolean not null, locked boolean not null, reply_count int not null, view_count int not null,
  deleted_at timestamptz, created_at timestamptz not null, last_post_at timestamptz not null) with (fillfactor = 85);
create table posts (id bigint primary key, thread_id bigint not null, author_id bigint not null, body text not null,
  flags int not null, deleted_at timestamptz, created_at timestamptz not null);
create table votes (id bigint primary key, member_id bigint not null, post_id bigint not null, value smallint not null,
  voted_at timestamptz not null, unique (member_id, post_id));
create table notifications (id bigint primary key, member_id bigint not null, kind text not null, post_id bigint not null,
  read_at timestamptz, created_at timestamptz not null) with (fillfactor = 90);
create index threads_board on threads (board_id);
create index threads_board_created on threads (board_id, created_at);
select setseed(0.11);
insert into boards select i, 'board-' || i, 'All about subject ' || i, i % 17 = 0 from generate_series(1::bigint, 120) i;
insert into members select i, 'Member_' || i, 'member' || i || '@forum.example', floor(5000 * power(random(), 5))::int,
    random() < 0.008, now() - (scaled(60000) - i) * interval '2000 days' / scaled(60000),
    now() - power(random(), 5) * interval '700 days'
  from generate_series(1::bigint, scaled(60000)) i;
insert into threads select i, 1 + floor(120 * power(random(), 2.5))::bigint,
    1 + floor(scaled(60000) * power(random(), 2))::bigint, 'Question ' || md5(i::text), random() < 0.001, random() < 0.04,
    case when r < 0.12 then 0 else 1 + floor(15 * power(r, 4))::int end, floor(20000 * power(random(), 6))::int,
    case when random() < 0.05 then made + interval '1 day' end, made,
    least(made + case when r < 0.12 then interval '0' else power(random(), 5) * interval '300 days' end, now())
  from (select i, random() as r, now() - (scaled(120000) - i) * interval '1200 days' / scaled(120000) as made
        from generate_series(1::bigint, scaled(120000)) i) rows;
insert into posts select i, greatest(1, case when r < 0.2 then thread - thread % 100 else thread end),
    1 + floor(scaled(60000) * power(random(), 3))::bigint, repeat('words of it ', 2 + floor(25 * power(random(), 3))::int),
    case when r > 0.996 then 3 + floor(5 * random())::int when r > 0.98 then 1 else 0 end,
    case when random() < 0.03 or r > 0.997 then now() - interval '1 day' * random() end,
    now() - (scaled(900000) - i) * interval '1200 days' / scaled(900000)
  from (select i, random() as r,
          ceil(i::float8 * scaled(120000) / scaled(900000) * (1 - 0.3 * power(random(), 8)))::bigint as thread
        from generate_series(1::bigint, scaled(900000)) i) rows;
insert into votes select i, 1 + floor(scaled(60000) * power(random(), 3))::bigint,
    greatest(1, case when r < 0.3 then post - post % 20 else post end), case when r < 0.85 then 1 else -1 end,
    now() - (scaled(800000) - i) * interval '1200 days' / scaled(800000)
  from (select i, random() as r, ceil(i::float8 * 900000 / 800000 * (1 - 0.05 * power(random(), 6)))::bigint as post
        from generate_series(1::bigint, scaled(800000)) i) rows on conflict do nothing;
insert into notifications select i, 1 + floor(scaled(60000) * power(random(), 2.5))::bigint,
    (array['reply', 'vote', 'mention', 'badge'])[1 + floor(4 * power(random(), 2))::int], i,
    case when random() < 0.96 - 0.5 * power(i::float8 / scaled(500000), 30) then made + random() * interval '2 days' end, made
  from (select i, now() - (scaled(500000) - i) * interval '180 days' / scaled(500000) as made
        from generate_series(1::bigint, scaled(500000)) i) rows;
vacuum (analyze);
