create table sites (id int primary key, customer_id int not null, name text not null, region text not null);
create table devices (id bigint primary key, site_id int not null, serial text not null, model text not null,
  firmware text not null, online boolean not null, heartbeat_at timestamptz not null, config jsonb not null)
  with (fillfactor = 90);
create table readings (id bigint primary key, device_id bigint not null, metric text not null, value float8 not null,
  quality smallint not null, at timestamptz not null);
create table alarms (id bigint primary key, device_id bigint not null, severity int not null, code text not null,
  raised_at timestamptz not null, acknowledged_by int, cleared_at timestamptz) with (fillfactor = 90);
create table jobs (id bigint primary key, device_id bigint not null, kind text not null, state text not null,
  run_at timestamptz not null, tries int not null, locked_by text) with (fillfactor = 90);
select setseed(0.29);
insert into sites select i, 1 + floor(200 * power(random(), 2))::int, 'Site ' || i,
    (array['north', 'south', 'east', 'west'])[1 + floor(4 * power(random(), 2))::int]
  from generate_series(1, scaled(2000)::int) i;
insert into devices select i, 1 + floor(scaled(2000) * power(random(), 2))::int, upper(md5('s' || i)),
    'model-' || floor(9 * power(random(), 2)), '2.' || floor(30 * power(random(), 4)), random() < 0.96,
    now() - power(random(), 6) * interval '40 days', jsonb_build_object('interval', 10 + i % 50, 'beta', i % 400 = 0)
  from generate_series(1::bigint, scaled(40000)) i;
insert into readings select i, 1 + floor(scaled(40000) * power(random(), 2))::bigint,
    (array['temperature', 'humidity', 'power', 'battery'])[1 + floor(4 * power(random(), 1.5))::int], random() * 100,
    case when random() < 0.01 then 0 else 1 end, now() - (scaled(1500000) - i) * interval '30 days' / scaled(1500000)
  from generate_series(1::bigint, scaled(1500000)) i;
insert into alarms select i, 1 + floor(scaled(40000) * power(random(), 3))::bigint, 1 + floor(4 * power(random(), 3))::int,
    'E' || floor(120 * power(random(), 2)), raised, case when r < 0.6 then 1 + floor(50 * random())::int end,
    case when r < 0.985 then raised + random() * interval '3 hours' end
  from (select i, random() as r, now() - (scaled(120000) - i) * interval '300 days' / scaled(120000) as raised
        from generate_series(1::bigint, scaled(120000)) i) rows;
insert into jobs select i, 1 + floor(scaled(40000) * random())::bigint,
    (array['poll', 'upgrade', 'report'])[1 + floor(3 * power(random(), 4))::int],
    case when i > scaled(200000) - 400 then 'queued' when r < 0.003 then 'failed' else 'done' end,
    now() - (scaled(200000) - i) * interval '20 days' / scaled(200000), case when r < 0.01 then 4 else 1 end, null
  from (select i, random() as r from generate_series(1::bigint, scaled(200000)) i) rows;
vacuum (analyze);
