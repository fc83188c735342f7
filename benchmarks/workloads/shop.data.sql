create table customers (id bigint primary key, email text not null, name text not null, country char(2) not null,
  created_at timestamptz not null, last_seen_at timestamptz not null) with (fillfactor = 90);
create table products (id bigint primary key, sku text not null, title text not null, category_id int not null,
  price numeric(10, 2) not null, popularity int not null, active boolean not null) with (fillfactor = 90);
create table stock (id bigint primary key, product_id bigint not null, warehouse_id int not null, quantity int not null,
  reorder_at int not null, unique (product_id, warehouse_id)) with (fillfactor = 90);
create table orders (id bigint primary key, customer_id bigint not null, status text not null, warehouse_id int not null,
  total numeric(12, 2) not null, coupon text, tracking_number text, placed_at timestamptz not null)
  with (fillfactor = 90);
create table items (order_id bigint, line int, product_id bigint not null, quantity int not null,
  price numeric(10, 2) not null, primary key (order_id, line));
create table returns (id bigint primary key, order_id bigint not null, reason text not null,
  opened_at timestamptz not null, closed_at timestamptz) with (fillfactor = 90);
select setseed(0.17);
insert into customers select i, 'Customer' || i || '@example.com', 'Customer ' || i,
    (array['DE', 'FR', 'IT', 'ES', 'NL', 'MT'])[1 + floor(5.02 * power(random(), 2))::int],
    now() - random() * interval '1500 days', now() - power(random(), 4) * interval '800 days'
  from generate_series(1::bigint, scaled(80000)) i;
insert into products select i, 'SKU-' || lpad(i::text, 8, '0'), 'Product ' || i || repeat(' fine', (i % 5)::int),
    1 + floor(80 * power(random(), 2))::int, round((random() * random() * 500)::numeric, 2),
    floor(100000 * power(random(), 3))::int, random() < 0.8
  from generate_series(1::bigint, scaled(15000)) i;
insert into stock select p * 5 + w, p, w, floor(random() * 400)::int, floor(random() * 12)::int
  from generate_series(1::bigint, scaled(15000)) p, generate_series(1, 5) w;
insert into orders select i, 1 + floor(scaled(80000) * power(random(), 2.5))::bigint,
    case when r < 0.004 then 'paid' when r < 0.006 then 'packing' when r < 0.03 then 'cart' when r < 0.06 then 'cancelled'
      else 'shipped' end,
    1 + floor(5 * random() * random())::int, round((random() * random() * 900)::numeric, 2),
    case when random() < 0.02 then (array['SPRING', 'WELCOME', 'VIP'])[1 + floor(random() * 3)::int] end,
    case when r >= 0.06 then 'TN' || lpad((i * 7907 % 100000000)::text, 12, '0') end,
    now() - (scaled(400000) - i) * interval '700 days' / scaled(400000)
  from (select i, random() as r from generate_series(1::bigint, scaled(400000)) i) rows;
insert into items select o, line, 1 + floor(scaled(15000) * power(random(), 2))::bigint, 1 + floor(random() * 3)::int,
    round((random() * 300)::numeric, 2)
  from generate_series(1::bigint, scaled(400000)) o, generate_series(1, 1 + (o % 4)::int) line;
insert into returns select i, 1 + floor(random() * scaled(400000))::bigint, 'reason ' || (i % 9), opened,
    case when random() < 0.98 then opened + random() * interval '9 days' end
  from (select i, now() - random() * interval '700 days' as opened from generate_series(1::bigint, scaled(20000)) i) r;
vacuum (analyze);
