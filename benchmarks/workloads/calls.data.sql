create table people (id bigint primary key, phone text not null, name text, status text not null, created_at timestamptz) with (fillfactor = 90);
create table calls (id bigint primary key, user_id bigint, from_number text, to_number text, status text not null,
  provider_sid text, duration int, created_at timestamptz not null) with (fillfactor = 90);
create table messages (id bigint primary key, user_id bigint, from_number text, to_number text, status text not null,
  body text, created_at timestamptz not null) with (fillfactor = 90);
create table payments (id bigint primary key, user_id bigint, amount numeric(12, 2), status text not null, reference text,
  created_at timestamptz not null) with (fillfactor = 90);
select setseed(0.42);
insert into people select i, '+2507' || lpad(i::text, 8, '0'), 'person ' || i,
    case when random() < 0.9 then 'active' else 'inactive' end, now() - random() * interval '900 days'
  from generate_series(1::bigint, scaled(200000)) i;
insert into calls select i, u, '+2507' || lpad(u::text, 8, '0'), '+2507' || lpad((1 + i * 7919 % scaled(200000))::text, 8, '0'),
    case when r < 0.002 then 'active' when r < 0.004 then 'pending' when r < 0.06 then 'failed' else 'completed' end,
    'CA' || lpad(i::text, 16, '0'), (r * 900)::int, now() - (scaled(1000000) - i) * interval '90 days' / scaled(1000000)
  from (select i, 1 + floor(scaled(200000) * power(random(), 3))::bigint as u, random() as r
        from generate_series(1::bigint, scaled(1000000)) i) rows;
insert into messages select i, u, '+2507' || lpad(u::text, 8, '0'),
    '+2507' || lpad((1 + i * 104729 % scaled(200000))::text, 8, '0'),
    case when r < 0.003 then 'pending' when r < 0.02 then 'failed' when r < 0.5 then 'delivered' else 'read' end,
    repeat('word ', 4 + (r * 12)::int), now() - (scaled(2000000) - i) * interval '90 days' / scaled(2000000)
  from (select i, 1 + floor(scaled(200000) * power(random(), 3))::bigint as u, random() as r
        from generate_series(1::bigint, scaled(2000000)) i) rows;
insert into payments select i, u, round((random() * 10000)::numeric, 2),
    case when r < 0.01 then 'pending' when r < 0.06 then 'failed' else 'completed' end,
    'TX' || lpad(i::text, 16, '0'), now() - (scaled(1000000) - i) * interval '90 days' / scaled(1000000)
  from (select i, 1 + floor(scaled(200000) * power(random(), 3))::bigint as u, random() as r
        from generate_series(1::bigint, scaled(1000000)) i) rows;
vacuum (analyze);
