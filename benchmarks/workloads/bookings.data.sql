create table hotels (id int primary key, city text not null, stars int not null, name text not null, amenities text[] not null);
create table rooms (id int primary key, hotel_id int not null, kind text not null, beds int not null, rate numeric(8, 2) not null,
  closed boolean not null) with (fillfactor = 90);
create table bookings (id bigint primary key, room_id int not null, guest_id bigint not null, reference text not null,
  state text not null, arrives date not null, leaves date not null, paid_at timestamptz, made_at timestamptz not null)
  with (fillfactor = 90);
create table reviews (id bigint primary key, hotel_id int not null, booking_id bigint not null, score int not null,
  body text not null, hidden boolean not null, written_at timestamptz not null);
select setseed(0.88);
insert into hotels select i, 'city ' || floor(300 * power(random(), 2)), 1 + floor(5 * sqrt(random()))::int, 'Hotel ' || i,
    array['wifi'] || case when random() < 0.02 then array['pool', 'helipad'] else array['bar'] end
  from generate_series(1, scaled(6000)::int) i;
insert into rooms select i, 1 + floor(scaled(6000) * power(random(), 1.5))::int,
    (array['double', 'single', 'suite'])[1 + floor(3 * power(random(), 2))::int], 1 + floor(4 * random())::int,
    round((40 + 400 * power(random(), 3))::numeric, 2), random() < 0.03
  from generate_series(1, scaled(120000)::int) i;
insert into bookings select i, 1 + floor(scaled(120000) * power(random(), 1.3))::int,
    1 + floor(scaled(300000) * power(random(), 2))::bigint, upper(substr(md5('b' || i), 1, 10)),
    case when arrives > current_date and r < 0.8 then 'confirmed' when r > 0.995 then 'disputed' when r < 0.1 then 'cancelled'
      else 'done' end,
    arrives, arrives + 1 + floor(6 * random())::int, case when r < 0.97 then made end, made
  from (select i, random() as r, made, (made + power(random(), 2) * interval '120 days')::date as arrives
        from (select i, now() - (scaled(900000) - i) * interval '700 days' / scaled(900000) as made
              from generate_series(1::bigint, scaled(900000)) i) m) rows;
insert into reviews select i, 1 + floor(scaled(6000) * power(random(), 1.7))::int, i * 3, 1 + floor(10 * sqrt(random()))::int,
    'It was ' || md5(i::text), random() < 0.02, now() - random() * interval '700 days'
  from generate_series(1::bigint, scaled(250000)) i;
vacuum (analyze);
