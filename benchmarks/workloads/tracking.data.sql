create table visits (id bigint primary key, session text not null, visitor_id bigint not null, referrer text not null,
  tags text[] not null, started_at timestamptz not null, seen_at timestamptz not null) with (fillfactor = 90);
create table events (id bigint primary key, visit_id bigint not null, kind text not null, payload jsonb not null,
  processed boolean not null, created_at timestamptz not null) with (fillfactor = 90);
create table pages (id bigint primary key, path text not null, title text not null, body text not null,
  search tsvector not null, changed_at timestamptz not null) with (fillfactor = 90);
select setseed(0.71);
insert into visits select i, md5(i::text), 1 + floor(scaled(60000) * power(random(), 3))::bigint,
    (array['search', 'direct', 'mail', 'social', 'ads'])[1 + floor(5 * power(random(), 2))::int],
    array['device-' || (i % 3), 'shard-' || (i % 64)]
      || case when random() < 0.01 then array['rare-' || floor(random() * 50)::int] else '{}'::text[] end,
    at, at + random() * interval '20 minutes'
  from (select i, now() - (scaled(250000) - i) * interval '60 days' / scaled(250000) as at
        from generate_series(1::bigint, scaled(250000)) i) rows;
insert into events select i, 1 + i * scaled(250000) / (scaled(1000000) + 1),
    case when r < 0.004 then 'error' when r < 0.02 then 'purchase' when r < 0.05 then 'signup' when r < 0.3 then 'click'
      else 'page' end,
    jsonb_build_object('ms', floor(5000 * power(random(), 4))::int, 'plan', case when random() < 0.003 then 'gold' else 'free' end)
      || case when r between 0.004 and 0.02 then jsonb_build_object('order_id', 'o-' || lpad(i::text, 8, '0'),
           'campaign', 'c' || floor(60 * power(random(), 2))::int) else '{}' end,
    i < scaled(1000000) - 800 or random() < 0.3, now() - (scaled(1000000) - i) * interval '60 days' / scaled(1000000)
  from (select i, random() as r from generate_series(1::bigint, scaled(1000000)) i) rows;
insert into pages select i, '/docs/' || (i % 40) || '/page-' || i, 'Page ' || i || ' of chapter ' || (i % 40), body,
    to_tsvector('simple', body), now() - random() * interval '900 days'
  from (select i, (select string_agg('word' || floor(4000 * power(random(), 2))::int, ' ')
                   from generate_series(1, 30 + (i % 20)::int)) as body
        from generate_series(1::bigint, scaled(15000)) i) rows;
vacuum (analyze);
