-- 18 reads and 7 writes of a property portal, with the rates they are weighted by.

-- name: newest_in_city
-- calls_per_minute: 700
select id, title, price, rooms, area_m2 from listings where city_id = 3 and deal = 'rent' and status = 'active'
order by published_at desc limit 24;
-- name: flats_to_rent
-- calls_per_minute: 500
select id, title, price, rooms, area_m2 from listings
where city_id = 1 and deal = 'rent' and kind = 'flat' and rooms >= 2 and price between 800 and 1200 and status = 'active'
order by price limit 24;
-- name: homes_to_buy
-- calls_per_minute: 250
select id, title, price, rooms, area_m2 from listings
where city_id = 12 and deal = 'sale' and kind in ('house', 'flat') and price < 350000 and area_m2 >= 80 and status = 'active'
order by published_at desc limit 24;
-- name: page_seven
-- calls_per_minute: 40
select id, title, price from listings where city_id = 1 and deal = 'rent' and status = 'active'
order by published_at desc, id desc limit 24 offset 72;
-- name: next_page
-- calls_per_minute: 150
select id, title, price, published_at from listings where city_id = 2 and deal = 'rent' and status = 'active'
and (published_at, id) < (now() - interval '20 days', 12345) order by published_at desc, id desc limit 24;
-- name: with_a_dog
-- calls_per_minute: 90
select id, title, price from listings
where city_id = 2 and deal = 'rent' and pets and furnished and status = 'active' order by price limit 24;
-- name: castles
-- calls_per_minute: 15
select id, title, price, city_id from listings where kind = 'castle' and status <> 'withdrawn'
order by published_at desc limit 20;
-- name: cheap_land
-- calls_per_minute: 20
select id, city_id, price, area_m2 from listings
where kind = 'plot' and status = 'active' and area_m2 > 5000 and price < 60000 order by area_m2 desc limit 24;
-- name: type_ahead
-- calls_per_minute: 350
select id, title from listings where lower(title) like 'sunny loft in m%' and status = 'active' order by lower(title) limit 10;
-- name: similar
-- calls_per_minute: 400
select id, title, price from listings
where district_id = 20 and kind = 'flat' and deal = 'rent' and price between 800 and 1300 and status = 'active' and id <> 99
order by abs(price - 1050) limit 6;
-- name: facets
-- calls_per_minute: 60
select kind, rooms, count(*) from listings where city_id = 1 and deal = 'sale' and status = 'active' group by kind, rooms;
-- name: of_agent
-- calls_per_minute: 120
select id, title, status, views from listings where agent_id = 17 and status in ('draft', 'active', 'reserved')
order by updated_at desc;
-- name: my_favourites
-- calls_per_minute: 250
select l.id, l.title, l.price, l.status from favourites f join listings l on l.id = f.listing_id
where f.user_id = 12 order by f.created_at desc limit 30;
-- name: favourite_count
-- calls_per_minute: 900
select count(*) from favourites where listing_id = 3450;
-- name: searches_that_match
-- calls_per_minute: 30
select id, user_id from saved_searches
where city_id = 3 and kind = 'flat' and (max_price is null or max_price >= 1100) and min_rooms <= 3 and alert <> 'none';
-- name: inbox
-- calls_per_minute: 180
select e.id, e.message, e.created_at, l.title from enquiries e join listings l on l.id = e.listing_id
where e.agent_id = 5 and e.state = 'new' order by e.created_at desc limit 25;
-- name: price_drops
-- calls_per_minute: 30
select l.id, l.title, c.old_price, c.new_price from price_changes c join listings l on l.id = c.listing_id
where c.changed_at > now() - interval '7 days' and c.new_price < c.old_price and l.city_id = 1 and l.status = 'active'
order by c.changed_at desc limit 50;
-- name: price_level
-- calls_per_minute: 1
select city_id, kind, deal, avg(price::float8 / area_m2) from listings where status <> 'draft' group by city_id, kind, deal;

-- name: view
-- calls_per_minute: 2500
update listings set views = views + 1 where id = :id;
-- name: reprice
-- calls_per_minute: 60
update listings set price = price - 5, updated_at = now() where id = :id;
-- name: answer
-- calls_per_minute: 80
update enquiries set state = 'answered', answered_at = now() where id = :id;
-- name: run_search
-- calls_per_minute: 300
update saved_searches set last_run_at = now() where id = :id;
-- name: add_favourite
-- calls_per_minute: 300
insert into favourites (id, user_id, listing_id, created_at) values (1, 1, 1, now());
-- name: enquire
-- calls_per_minute: 90
insert into enquiries (id, listing_id, user_id, agent_id, state, message, created_at) values (1, 1, 1, 1, 'new', '', now());
-- name: publish
-- calls_per_minute: 15
insert into listings (id, agent_id, city_id, district_id, kind, deal, status, title, price, rooms, area_m2, furnished, pets,
  views, description, published_at, updated_at)
values (1, 1, 1, 1, 'flat', 'rent', 'active', '', 1, 1, 1, false, false, 0, '', now(), now());
