-- 26 reads and 6 writes of a web shop, with the rates they are weighted by.

-- name: order_page
-- calls_per_minute: 500
select o.id, o.status, o.total, c.email from orders o join customers c on c.id = o.customer_id where o.id = 123456;
-- name: customer_orders
-- calls_per_minute: 400
select id, status, total, placed_at from orders where customer_id = 42 order by placed_at desc limit 10;
-- name: quiet_customer_orders
-- calls_per_minute: 400
select id, status, total, placed_at from orders where customer_id = 61234 order by placed_at desc limit 10;
-- name: login
-- calls_per_minute: 600
select id, name from customers where lower(email) = 'customer4711@example.com';
-- name: to_pack
-- calls_per_minute: 240
select id, customer_id from orders where status = 'paid' and warehouse_id = 3 order by placed_at limit 50;
-- name: stuck
-- calls_per_minute: 12
select count(*) from orders where status in ('paid', 'packing') and placed_at < now() - interval '2 days';
-- name: order_items
-- calls_per_minute: 500
select i.line, i.quantity, i.price, p.title from items i join products p on p.id = i.product_id where i.order_id = 200123;
-- name: bought_together
-- calls_per_minute: 60
select other.product_id, count(*) from items this
join items other on other.order_id = this.order_id and other.product_id <> this.product_id
where this.product_id = 7777 group by 1 order by 2 desc limit 5;
-- name: sold_lately
-- calls_per_minute: 120
select sum(i.quantity) from items i join orders o on o.id = i.order_id
where i.product_id = 9512 and o.placed_at > now() - interval '30 days';
-- name: revenue
-- calls_per_minute: 6
select date_trunc('day', placed_at), sum(total) from orders
where placed_at > now() - interval '14 days' and status <> 'cancelled' group by 1;
-- name: low_stock
-- calls_per_minute: 30
select product_id, warehouse_id, quantity from stock where quantity < reorder_at order by quantity limit 50;
-- name: stock_of
-- calls_per_minute: 900
select warehouse_id, quantity from stock where product_id = 1717;
-- name: category_page
-- calls_per_minute: 700
select id, title, price from products where category_id = 12 and active order by popularity desc limit 24;
-- name: price_range
-- calls_per_minute: 200
select id, title, price from products where category_id = 5 and price between 10 and 20 order by price limit 24;
-- name: by_sku
-- calls_per_minute: 300
select id, title, price from products where sku = 'SKU-00004711';
-- name: title_prefix
-- calls_per_minute: 250
select id, title from products where title like 'Product 123%' order by title limit 10;
-- name: new_customers
-- calls_per_minute: 10
select id, email from customers where created_at > now() - interval '1 day' order by created_at desc limit 100;
-- name: inactive_customers
-- calls_per_minute: 1
select id, email from customers where last_seen_at < now() - interval '2 years' limit 100;
-- name: big_spenders
-- calls_per_minute: 2
select customer_id, sum(total) from orders where placed_at > now() - interval '30 days' group by 1 order by 2 desc limit 10;
-- name: coupon_used
-- calls_per_minute: 120
select count(*) from orders where customer_id = 99 and coupon = 'SPRING';
-- name: open_returns
-- calls_per_minute: 60
select id, order_id, reason from returns where closed_at is null order by opened_at limit 50;
-- name: returns_of_order
-- calls_per_minute: 200
select id, reason, opened_at from returns where order_id = 123456;
-- name: orders_of_country
-- calls_per_minute: 20
select o.id, o.total from orders o join customers c on c.id = o.customer_id
where c.country = 'MT' and o.placed_at > now() - interval '7 days' order by o.placed_at desc limit 50;
-- name: cart
-- calls_per_minute: 800
select id, total from orders where customer_id = 77 and status = 'cart';
-- name: order_list
-- calls_per_minute: 40
select id, status, placed_at from orders where (placed_at, id) < (now() - interval '10 days', 390000)
order by placed_at desc, id desc limit 50;
-- name: by_tracking_number
-- calls_per_minute: 150
select id, status from orders where tracking_number = 'TN000009881234';

-- name: place_order
-- calls_per_minute: 120
insert into orders (id, customer_id, status, warehouse_id, total, placed_at) values (1, 1, 'cart', 1, 0, now());
-- name: add_item
-- calls_per_minute: 300
insert into items (order_id, line, product_id, quantity, price) values (1, 1, 1, 1, 1);
-- name: set_order_status
-- calls_per_minute: 500
update orders set status = case status when 'shipped' then 'returned' else 'shipped' end where id = :id;
-- name: reserve_stock
-- calls_per_minute: 900
update stock set quantity = quantity - 1 where id = :id;
-- name: touch_customer
-- calls_per_minute: 1500
update customers set last_seen_at = now() where id = :id;
-- name: close_return
-- calls_per_minute: 10
update returns set closed_at = now() where id = :id;
