create table products (id bigint primary key, sku text not null unique, ean text not null, name text not null,
  category_id int not null, weight_g int not null, discontinued_at timestamptz, updated_at timestamptz not null)
  with (fillfactor = 90);
create table locations (id bigint primary key, site_id int not null, aisle int not null, kind text not null,
  code text not null unique);
create table stock (id bigint primary key, product_id bigint not null, location_id bigint not null, lot text not null,
  on_hand int not null, reserved int not null, min_level int not null, expires_on date, counted_at timestamptz not null,
  unique (product_id, location_id, lot)) with (fillfactor = 85);
create table movements (id bigint primary key, product_id bigint not null, source_id bigint, target_id bigint,
  quantity int not null, reason text not null, operator_id int not null, moved_at timestamptz not null);
create table pick_orders (id bigint primary key, site_id int not null, customer_ref text not null, state text not null,
  priority smallint not null, wave_id bigint, carrier text not null, picker_id int, due_at timestamptz not null,
  created_at timestamptz not null) with (fillfactor = 85);
create table pick_lines (id bigint primary key, order_id bigint not null, product_id bigint not null,
  location_id bigint not null, wanted int not null, picked int not null, picked_at timestamptz) with (fillfactor = 90);
create index stock_product on stock (product_id);
create index movements_moved on movements (moved_at);
select setseed(0.37);
insert into products select i, (array['BRK', 'FLT', 'OIL', 'LMP', 'TYR', 'BAT'])[1 + floor(6 * power(random(), 1.5))::int] || '-'
      || lpad(i::text, 7, '0'), '40' || lpad((i * 104729)::text, 11, '0'), 'Part ' || i || ' of the catalogue',
    1 + floor(60 * power(random(), 2))::int, 20 + floor(20000 * power(random(), 3))::int,
    case when random() < 0.15 then now() - random() * interval '900 days' end, now() - random() * interval '700 days'
  from generate_series(1::bigint, scaled(40000)) i;
insert into locations select i, 1 + i % 4, 1 + (i / 4) % 40,
    case when r < 0.02 then 'dock' when r < 0.05 then 'quarantine' when r < 0.5 then 'pick' else 'bulk' end,
    'S' || 1 + i % 4 || '-A' || 1 + (i / 4) % 40 || '-' || lpad(i::text, 6, '0')
  from (select i, random() as r from generate_series(1::bigint, scaled(20000)) i) rows;
insert into stock select i, 1 + floor(scaled(40000) * power(random(), 1.3))::bigint,
    1 + floor(scaled(20000) * power(random(), 1.1))::bigint, 'L' || i, on_hand,
    case when random() < 0.75 then 0 else floor(on_hand * random())::int end, case when i % 5 = 0 then 5 * (1 + i % 7) else 0 end,
    case when random() < 0.6 then current_date - 5 + floor(700 * power(random(), 0.8))::int end,
    now() - power(random(), 1.5) * interval '250 days'
  from (select i, case when random() < 0.08 then floor(3 * random())::int else floor(300 * power(random(), 2))::int end as on_hand
        from generate_series(1::bigint, scaled(300000)) i) rows;
insert into movements select i, 1 + floor(scaled(40000) * power(random(), 2))::bigint,
    case when r > 0.2 then 1 + floor(scaled(20000) * power(random(), 1.5))::bigint end,
    case when r < 0.55 or r > 0.98 then 1 + floor(scaled(20000) * power(random(), 1.5))::bigint end,
    1 + floor(50 * power(random(), 4))::int,
    case when r < 0.2 then 'receipt' when r < 0.55 then 'transfer' when r < 0.552 and i < scaled(1200000) * 0.35 then 'shrinkage'
      when r < 0.98 then 'sale' else 'recount' end,
    1 + floor(60 * power(random(), 1.3))::int, now() - (scaled(1200000) - i) * interval '730 days' / scaled(1200000)
  from (select i, random() as r from generate_series(1::bigint, scaled(1200000)) i) rows;
insert into pick_orders select i, 1 + floor(4 * power(random(), 1.5))::int, 'SO-' || 100000 + i / 2 * 37,
    case when r < 0.04 then 'cancelled' when i < scaled(200000) * 0.975 then 'shipped' when r < 0.5 then 'ready'
      when r < 0.65 then 'picking' when r < 0.85 then 'packed' else 'shipped' end,
    (array[3, 4, 2, 5, 1])[1 + floor(5 * power(random(), 3))::int], case when i < scaled(200000) * 0.99 then i / 25 end,
    (array['POST', 'VAN', 'DHX', 'FREIGHT', 'COLLECT'])[1 + floor(5 * power(random(), 1.7))::int],
    case when i < scaled(200000) * 0.975 then 1 + floor(60 * random())::int end,
    made + (1 + floor(4 * power(random(), 2))) * interval '1 day', made
  from (select i, random() as r, now() - (scaled(200000) - i) * interval '400 days' / scaled(200000) as made
        from generate_series(1::bigint, scaled(200000)) i) rows;
insert into pick_lines select i, parent, 1 + floor(scaled(40000) * power(random(), 2))::bigint,
    1 + floor(scaled(20000) * power(random(), 1.1))::bigint, wanted,
    case when parent > scaled(200000) * 0.975 and random() < 0.6 then 0 when random() < 0.01 then wanted - 1 else wanted end,
    case when parent < scaled(200000) * 0.975 then now() - (scaled(200000) - parent) * interval '400 days' / scaled(200000) end
  from (select i, 1 + floor(12 * power(random(), 4))::int as wanted,
          greatest(1, ceil(i::float8 * scaled(200000) / scaled(700000) - 8 * power(random(), 3)))::bigint as parent
        from generate_series(1::bigint, scaled(700000)) i) rows;
vacuum (analyze);
