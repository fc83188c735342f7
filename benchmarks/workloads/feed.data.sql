-- A feed: addresses in any case, arrays, full text, keyset pages, deletes with children, fed by pg_stat_statements.
create table account (id bigint primary key, email text not null, handle text not null, created_at timestamptz not null);
create table follow (follower bigint not null references account on delete cascade,
  followed bigint not null references account on delete cascade, since timestamptz not null,
  primary key (follower, followed));
create table post (
  id bigint primary key, author bigint not null references account on delete cascade, title text not null,
  body text not null, tags text[] not null, words tsvector not null, posted_at timestamptz not null, hidden boolean not null
);
create table reaction (id bigint generated always as identity primary key,
  post_id bigint not null references post on delete cascade, account_id bigint not null, kind text not null,
  at timestamptz not null);
create table visit (id bigint generated always as identity, account_id bigint not null, post_id bigint not null,
  device inet not null, seen_at timestamptz not null);
insert into account select i, 'User' || i || '@Mail.Example', 'h' || md5(i::text), timestamptz '2024-01-01' + i * interval '5 minutes'
  from generate_series(1, scaled(200000)) i;
insert into follow select 1 + i % scaled(200000), 1 + i * 37 % scaled(200000), timestamptz '2025-01-01' + i * interval '1 minute'
  from generate_series(1, scaled(900000)) i on conflict do nothing;
insert into post select i, 1 + i * 7919 % scaled(200000), 'title ' || md5(i::text), 'body of ' || md5((i * 3)::text),
    array['t' || i % 400, 'topic' || i % 23],
    to_tsvector('simple', 'word' || i % 1500 || ' thing' || i % 90 || ' and ' || md5(i::text)),
    timestamptz '2025-01-01' + i * interval '1 minute', i % 20 = 0
  from generate_series(1, scaled(600000)) i;
insert into reaction (post_id, account_id, kind, at) select 1 + i * 13 % scaled(600000), 1 + i % scaled(200000),
    (array['like', 'like', 'laugh', 'flag'])[1 + i % 4], timestamptz '2025-02-01' + i * interval '30 seconds'
  from generate_series(1, scaled(1500000)) i;
insert into visit (account_id, post_id, device, seen_at) select 1 + i % scaled(200000), 1 + i * 17 % scaled(600000),
    ('10.' || i % 8 || '.' || i % 250 || '.' || i % 200)::inet, timestamptz '2026-01-01' + i * interval '10 seconds'
  from generate_series(1, scaled(900000)) i;
analyze;
