create table people (id bigint primary key, handle text not null unique, display_name text not null,
  joined_at timestamptz not null);
create table rooms (id bigint primary key, kind text not null, name text, owner_id bigint not null, archived boolean not null,
  created_at timestamptz not null, last_message_at timestamptz not null) with (fillfactor = 85);
create table members (id bigint primary key, room_id bigint not null, person_id bigint not null, role text not null,
  muted boolean not null, last_read_id bigint not null, joined_at timestamptz not null, left_at timestamptz,
  unique (room_id, person_id)) with (fillfactor = 85);
create table messages (id bigint primary key, room_id bigint not null, author_id bigint not null, reply_to_id bigint,
  kind text not null, body text not null, created_at timestamptz not null, edited_at timestamptz, deleted_at timestamptz)
  with (fillfactor = 95);
create table reactions (id bigint primary key, message_id bigint not null, person_id bigint not null, emoji text not null,
  created_at timestamptz not null, unique (person_id, message_id, emoji));
create table receipts (id bigint primary key, message_id bigint not null, person_id bigint not null,
  delivered_at timestamptz, read_at timestamptz) with (fillfactor = 85);
create index members_room on members (room_id);
create index messages_created on messages (created_at);
select setseed(0.29);
insert into people select i, 'person' || i, (array['Ada', 'Bo', 'Cleo', 'Dan', 'Eve', 'Finn', 'Gil', 'Hana'])
      [1 + floor(8 * power(random(), 1.3))::int] || ' ' || md5(i::text),
    now() - (scaled(50000) - i) * interval '900 days' / scaled(50000)
  from generate_series(1::bigint, scaled(50000)) i;
insert into rooms select i, kind, case when kind <> 'direct' then 'Room ' || i end,
    1 + floor(scaled(50000) * power(random(), 1.5))::bigint, random() < 0.1, now() - (0.5 + random() / 2) * interval '900 days',
    now() - power(random(), 3) * interval '400 days'
  from (select i, case when i % 400 = 1 then 'public' when i % 10 < 6 then 'direct' else 'group' end as kind
        from generate_series(1::bigint, scaled(80000)) i) rows;
insert into members select row_number() over (), room_id, person_id,
    case when random() < 0.1 then 'admin' else 'member' end, random() < 0.12,
    ceil(scaled(1200000) * (1 - case when random() < 0.7 then 0.01 * power(random(), 2) else power(random(), 2) end))::bigint,
    now() - random() * interval '400 days',
    case when kind <> 'direct' and random() < 0.12 then now() - random() * interval '200 days' end
  from (select distinct r.id as room_id, r.kind, case when r.kind = 'direct' and r.id <= 400 then case n when 1 then r.id
            else 2 * r.id + 1 end else 1 + floor(scaled(50000) * power(random(), 1.5))::bigint end as person_id
        from rooms r cross join lateral generate_series(1, case r.kind when 'direct' then 2
          when 'group' then 3 + (r.id * 7919 % 11)::int else 100 + (r.id * 104729 % 300)::int end) n) pairs;
insert into messages select i, room, 1 + floor(scaled(50000) * power(random(), 1.5))::bigint,
    case when r < 0.05 then greatest(1, i - i % 200 - 200 * floor(3 * power(random(), 3))::bigint) end,
    case when r2 < 0.001 and i < scaled(1200000) * 0.5 then 'reported' when r2 < 0.03 then 'system' when r2 < 0.15 then 'image'
      else 'text' end,
    case when r < 0.002 then '@ada look: ' else '' end || repeat('so I said ', 1 + floor(20 * power(random(), 4))::int), made,
    case when random() < 0.03 then made + interval '2 minutes' end,
    case when random() < 0.025 then made + power(random(), 4) * (now() - made) end
  from (select i, random() as r, random() as r2, 1 + floor(scaled(80000) * power(random(), 2.5))::bigint as room,
          now() - (scaled(1200000) - i) * interval '400 days' / scaled(1200000) as made
        from generate_series(1::bigint, scaled(1200000)) i) rows;
insert into reactions select i, greatest(1, case when r < 0.5 then message - message % 20 else message end),
    1 + floor(scaled(50000) * power(random(), 1.5))::bigint,
    (array['thumb', 'heart', 'laugh', 'sad', 'fire'])[1 + floor(5 * power(random(), 2))::int],
    now() - (scaled(500000) - i) * interval '400 days' / scaled(500000)
  from (select i, random() as r, ceil(i::float8 * scaled(1200000) / scaled(500000))::bigint as message
        from generate_series(1::bigint, scaled(500000)) i) rows on conflict do nothing;
insert into receipts select i, greatest(1, case when random() < 0.7 then message - message % 10 else message end),
    1 + floor(scaled(50000) * power(random(), 1.5))::bigint, case when r > 0.04 then made + r * interval '1 hour' end,
    case when r > 0.2 then made + interval '1 hour' + power(random(), 3) * interval '3 days' end
  from (select i, random() as r, ceil(i::float8 * scaled(1200000) / scaled(600000))::bigint as message,
          now() - (scaled(600000) - i) * interval '400 days' / scaled(600000) as made
        from generate_series(1::bigint, scaled(600000)) i) rows;
vacuum (analyze);
