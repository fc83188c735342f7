create table users (id bigint primary key, email text not null unique, name text not null, joined_at timestamptz not null);
create table agents (id bigint primary key, agency_id bigint not null, name text not null, phone text not null);
create table listings (id bigint primary key, agent_id bigint not null, city_id int not null, district_id int not null,
  kind text not null, deal text not null, status text not null, title text not null, price int not null, rooms smallint not null,
  area_m2 int not null, furnished boolean not null, pets boolean not null, views int not null, description text not null,
  published_at timestamptz not null, updated_at timestamptz not null) with (fillfactor = 90);
create table favourites (id bigint primary key, user_id bigint not null, listing_id bigint not null,
  created_at timestamptz not null, unique (user_id, listing_id));
create table saved_searches (id bigint primary key, user_id bigint not null, city_id int not null, kind text not null,
  max_price int, min_rooms smallint not null, alert text not null, last_run_at timestamptz not null) with (fillfactor = 90);
create table enquiries (id bigint primary key, listing_id bigint not null, user_id bigint not null, agent_id bigint not null,
  state text not null, message text not null, created_at timestamptz not null, answered_at timestamptz) with (fillfactor = 90);
create table price_changes (id bigint primary key, listing_id bigint not null, old_price int not null, new_price int not null,
  changed_at timestamptz not null);
create index favourites_user on favourites (user_id);
create index listings_agent on listings (agent_id);
create index listings_published on listings (published_at);
select setseed(0.71);
insert into users select i, 'user' || i || '@mail.example', 'User ' || i,
    now() - (scaled(100000) - i) * interval '1500 days' / scaled(100000)
  from generate_series(1::bigint, scaled(100000)) i;
insert into agents select i, 1 + i % 700, 'Agent ' || i, '+2507' || lpad((i * 7919)::text, 8, '0')
  from generate_series(1::bigint, scaled(4000)) i;
insert into listings select i, 1 + floor(scaled(4000) * power(random(), 1.5))::bigint, city,
    city * 20 + floor(20 * power(random(), 1.5))::int, kind, case when rent then 'rent' else 'sale' end,
    case when r < 0.95 * power(age, 3) then 'active' when r2 < 0.7 then 'sold' when r2 < 0.93 then 'withdrawn'
      when r2 < 0.98 then 'reserved' else 'draft' end,
    (array['Sunny', 'Quiet', 'Modern', 'Spacious', 'Charming', 'Renovated', 'Central'])[1 + floor(7 * power(random(), 1.2))::int]
      || case kind when 'flat' then (array[' loft', ' flat', ' studio', ' penthouse'])[1 + floor(4 * random())::int]
        else ' ' || kind end || ' in '
      || (array['Abbey', 'Bridge', 'Castle', 'Garden', 'Harbour', 'King', 'Lake', 'Market', 'Mill', 'Park', 'Queen', 'River',
        'School', 'Station', 'Tower', 'Union'])[1 + floor(16 * power(random(), 1.1))::int] || ' Street ' || 1 + i % 180,
    case when kind = 'plot' then 10000 + floor(300000 * power(random(), 2))::int
      when rent then 300 + floor(4000 * power(random(), 2))::int / 10 * 10
      else 60000 + floor(900000 * power(random(), 1.8))::int / 1000 * 1000 end,
    case when kind in ('flat', 'house') then 1 + floor(6 * power(random(), 1.4))::int else 0 end,
    case when kind = 'plot' then 300 + floor(15000 * power(random(), 2))::int
      else 18 + floor(250 * power(random(), 1.6))::int end,
    kind = 'flat' and random() < 0.35, rent and random() < 0.4, floor(5000 * power(random(), 4))::int,
    repeat('A fine place to live. ', 2 + (i % 14)::int), made, made + power(random(), 3) * (now() - made)
  from (select i, r, r2, age, city, now() - (1 - age) * interval '700 days' as made, random() < 0.45 and r3 > 0.06 as rent,
          case when r3 < 0.06 then 'plot' when r3 < 0.3 then 'house' when r3 < 0.36 then 'office' when r3 < 0.4 then 'garage'
            when r3 < 0.404 and age < 0.6 then 'castle' else 'flat' end as kind
        from (select i, random() as r, random() as r2, random() as r3, i::float8 / scaled(350000) as age,
                1 + floor(300 * power(random(), 2.5))::int as city
              from generate_series(1::bigint, scaled(350000)) i) rows) wide;
insert into favourites select i, 1 + floor(scaled(100000) * power(random(), 2))::bigint,
    greatest(1, case when r < 0.3 then listing - listing % 50 else listing end),
    now() - (scaled(800000) - i) * interval '700 days' / scaled(800000)
  from (select i, random() as r,
          ceil(i::float8 * scaled(350000) / scaled(800000) * (1 - 0.2 * power(random(), 3)))::bigint as listing
        from generate_series(1::bigint, scaled(800000)) i) rows on conflict do nothing;
insert into saved_searches select i, 1 + floor(scaled(100000) * power(random(), 1.5))::bigint,
    1 + floor(300 * power(random(), 2.5))::int,
    (array['flat', 'house', 'plot', 'office'])[1 + floor(4 * power(random(), 3))::int],
    case when random() < 0.7 then 500 + floor(3000 * power(random(), 2))::int end, floor(5 * power(random(), 1.5))::int,
    case when random() < 0.25 then 'daily' when random() < 0.2 then 'weekly' else 'none' end, now() - random() * interval '1 day'
  from generate_series(1::bigint, scaled(120000)) i;
insert into enquiries select i, l.id, 1 + floor(scaled(100000) * power(random(), 1.5))::bigint, l.agent_id,
    case when r < 0.03 then 'spam' when random() < 0.9 * power(i::float8 / scaled(500000), 40) then 'new'
      when r < 0.7 then 'answered' else 'closed' end,
    repeat('Is it still to be had? ', 1 + (i % 6)::int), made, case when r >= 0.03 then made + power(r, 2) * interval '5 days' end
  from (select i, random() as r, now() - (scaled(500000) - i) * interval '700 days' / scaled(500000) as made,
          greatest(1, ceil(i::float8 * scaled(350000) / scaled(500000) * (1 - 0.2 * power(random(), 3))))::bigint as listing
        from generate_series(1::bigint, scaled(500000)) i) rows join listings l on l.id = rows.listing order by i;
insert into price_changes select i, listing, price, price * (array[90, 95, 97, 104])[1 + floor(4 * random())::int] / 100,
    now() - (scaled(400000) - i) * interval '700 days' / scaled(400000)
  from (select i, 500 + floor(400000 * power(random(), 3))::int as price,
          greatest(1, ceil(i::float8 * scaled(350000) / scaled(400000) * (1 - 0.3 * power(random(), 3))))::bigint as listing
        from generate_series(1::bigint, scaled(400000)) i) rows;
vacuum (analyze);
