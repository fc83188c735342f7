-- 18 reads and 7 writes of a warehouse, with the rates they are weighted by.

-- name: picking_queue
-- calls_per_minute: 600
select id, priority, due_at, carrier from pick_orders where site_id = 2 and state = 'ready'
order by priority, due_at limit 20;
-- name: lines_of_order
-- calls_per_minute: 700
select l.id, p.sku, p.name, l.location_id, l.wanted, l.picked from pick_lines l join products p on p.id = l.product_id
where l.order_id = 4321 order by l.location_id;
-- name: by_ean
-- calls_per_minute: 900
select id, sku, name from products where ean = '4000129235586';
-- name: where_is
-- calls_per_minute: 500
select id, location_id, lot, on_hand - reserved as free from stock where product_id = 42 and on_hand > reserved
order by expires_on nulls last limit 5;
-- name: stock_of_location
-- calls_per_minute: 250
select product_id, lot, on_hand from stock where location_id = 123 and on_hand > 0 order by product_id;
-- name: below_minimum
-- calls_per_minute: 20
select id, product_id, on_hand, min_level from stock where on_hand < min_level order by on_hand - min_level, id limit 100;
-- name: nearly_gone
-- calls_per_minute: 60
select s.id, p.sku, s.on_hand from stock s join products p on p.id = s.product_id
where s.on_hand < 3 and s.min_level >= 20 and p.discontinued_at is null order by s.on_hand, s.id limit 50;
-- name: expiring
-- calls_per_minute: 15
select id, product_id, lot, expires_on from stock where expires_on < current_date + 10 and on_hand > 0
order by expires_on limit 200;
-- name: product_history
-- calls_per_minute: 150
select id, source_id, target_id, quantity, reason, moved_at from movements
where product_id = 17 and moved_at >= now() - interval '30 days' order by moved_at desc limit 100;
-- name: through_location
-- calls_per_minute: 80
select id, product_id, source_id, target_id, quantity from movements
where (source_id = 5 or target_id = 5) and moved_at > now() - interval '30 days' order by moved_at desc;
-- name: operator_lately
-- calls_per_minute: 40
select count(*), sum(quantity) from movements where operator_id = 3 and moved_at > now() - interval '2 days';
-- name: shrinkage
-- calls_per_minute: 12
select id, product_id, quantity, moved_at from movements where reason = 'shrinkage' order by moved_at desc limit 20;
-- name: by_customer_ref
-- calls_per_minute: 120
select id, state, carrier, due_at from pick_orders where customer_ref = 'SO-179920';
-- name: overdue
-- calls_per_minute: 30
select site_id, count(*), min(due_at) from pick_orders where state in ('ready', 'picking') and due_at < now() group by site_id;
-- name: carrier_cutoff
-- calls_per_minute: 100
select id, customer_ref, due_at from pick_orders
where site_id = 1 and carrier = 'POST' and state = 'packed' and due_at < now() + interval '1 day' order by due_at;
-- name: open_demand
-- calls_per_minute: 60
select l.id, l.wanted - l.picked as missing, o.due_at from pick_lines l join pick_orders o on o.id = l.order_id
where l.product_id = 1 and l.picked < l.wanted and o.state in ('ready', 'picking') order by o.due_at;
-- name: aisle_to_count
-- calls_per_minute: 8
select s.id, l.code, s.product_id, s.counted_at from stock s join locations l on l.id = s.location_id
where l.site_id = 2 and l.aisle = 14 and s.counted_at < now() - interval '90 days' order by l.code limit 50;
-- name: turnover
-- calls_per_minute: 1
select p.category_id, m.reason, sum(m.quantity) from movements m join products p on p.id = m.product_id
where m.reason in ('sale', 'receipt') group by 1, 2;

-- name: reserve
-- calls_per_minute: 900
update stock set reserved = reserved + 1 where id = :id;
-- name: advance
-- calls_per_minute: 300
update pick_orders set state = case state when 'ready' then 'picking' else 'ready' end, picker_id = 7 where id = :id;
-- name: pick
-- calls_per_minute: 700
update pick_lines set picked = wanted, picked_at = now() where id = :id;
-- name: weigh
-- calls_per_minute: 60
update products set weight_g = weight_g + 1, updated_at = now() where id = :id;
-- name: move
-- calls_per_minute: 1200
insert into movements (id, product_id, source_id, target_id, quantity, reason, operator_id, moved_at)
values (1, 1, 1, 2, 1, 'transfer', 1, now());
-- name: add_order
-- calls_per_minute: 100
insert into pick_orders (id, site_id, customer_ref, state, priority, carrier, due_at, created_at)
values (1, 1, '', 'ready', 3, 'POST', now(), now());
-- name: add_line
-- calls_per_minute: 350
insert into pick_lines (id, order_id, product_id, location_id, wanted, picked) values (1, 1, 1, 1, 1, 0);
