create table holders (id bigint primary key, name text not null, country char(2) not null, since date not null);
create table accounts (id bigint primary key, holder_id bigint not null, number text not null unique,
  currency char(3) not null, kind text not null, balance numeric(14, 2) not null, version int not null,
  opened_on date not null, closed_on date, deleted_at timestamptz) with (fillfactor = 80);
create table transfers (id bigint primary key, from_account bigint not null, to_account bigint not null,
  amount numeric(14, 2) not null, currency char(3) not null, state text not null, request_key text not null unique,
  created_at timestamptz not null, settled_at timestamptz) with (fillfactor = 90);
create table entries (id bigint primary key, account_id bigint not null, transfer_id bigint not null,
  amount numeric(14, 2) not null, kind text not null, booked_on date not null, value_on date not null, memo text,
  deleted_at timestamptz);
create table holds (id bigint primary key, account_id bigint not null, amount numeric(14, 2) not null,
  created_at timestamptz not null, expires_at timestamptz not null, released_at timestamptz) with (fillfactor = 90);
create index entries_account on entries (account_id);
create index transfers_created on transfers (created_at);
select setseed(0.37);
insert into holders select i, 'Holder ' || i, (array['RW', 'KE', 'UG', 'TZ'])[1 + floor(4 * power(random(), 2))::int],
    current_date - floor(3000 * random())::int
  from generate_series(1::bigint, scaled(50000)) i;
insert into accounts select i, 1 + floor(scaled(50000) * power(random(), 1.2))::bigint, 'RW' || lpad((i * 37)::text, 14, '0'),
    (array['RWF', 'USD', 'EUR'])[1 + floor(3 * power(random(), 4))::int],
    (array['current', 'savings', 'loan'])[1 + floor(3 * power(random(), 2))::int], round((random() * 100000)::numeric, 2), 0,
    current_date - 100 - floor(2900 * random())::int, case when r < 0.07 then current_date - floor(100 * random())::int end,
    case when r < 0.01 then now() - random() * interval '90 days' end
  from (select i, random() as r from generate_series(1::bigint, scaled(90000)) i) rows;
insert into transfers select i, 1 + floor(scaled(90000) * power(random(), 3))::bigint,
    1 + floor(scaled(90000) * power(random(), 2))::bigint, round((1 + 20000 * power(random(), 6))::numeric, 2),
    (array['RWF', 'USD', 'EUR'])[1 + floor(3 * power(random(), 4))::int],
    case when i > scaled(600000) * 0.999 and r < 0.8 then 'pending' when r < 0.0015 then 'review' when r < 0.03 then 'failed'
      else 'settled' end,
    md5('key' || i), made, case when r >= 0.03 then made + random() * interval '2 hours' end
  from (select i, random() as r, now() - (scaled(600000) - i) * interval '730 days' / scaled(600000) as made
        from generate_series(1::bigint, scaled(600000)) i) rows;
insert into entries select 2 * t.id - 1 + leg, case leg when 0 then t.from_account else t.to_account end, t.id,
    case leg when 0 then -t.amount else t.amount end,
    case when r < 0.02 then 'fee' when r < 0.03 then 'reversal' when r < 0.3 then 'card' else 'transfer' end,
    t.created_at::date, t.created_at::date + floor(3 * r)::int,
    case when r < 0.05 then 'monthly rent ' || t.id when r < 0.6 then 'payment of invoice ' || t.id end,
    case when r > 0.985 then t.created_at + interval '1 day' end
  from (select transfers.*, leg, random() as r from transfers, generate_series(0, 1) leg order by transfers.id, leg) t;
insert into holds select i, 1 + floor(scaled(90000) * power(random(), 2))::bigint, round((200 * random())::numeric, 2), made,
    made + interval '7 days', case when random() < 0.998 - 0.5 * power(i::float8 / scaled(150000), 40)
      then made + random() * interval '3 days' end
  from (select i, now() - (scaled(150000) - i) * interval '365 days' / scaled(150000) as made
        from generate_series(1::bigint, scaled(150000)) i) rows;
vacuum (analyze);
