-- 20 reads and 5 writes of hotel bookings, with the rates they are weighted by.

-- name: by_reference
-- calls_per_minute: 700
select id, room_id, state from bookings where reference = upper(substr(md5('b123456'), 1, 10));
-- name: of_guest
-- calls_per_minute: 500
select id, state, arrives, leaves from bookings where guest_id = 4321 order by arrives desc limit 20;
-- name: room_taken
-- calls_per_minute: 900
select count(*) from bookings where room_id = 777 and state = 'confirmed'
and arrives < current_date + 9 and leaves > current_date + 5;
-- name: arrivals
-- calls_per_minute: 120
select b.id, b.guest_id from bookings b join rooms r on r.id = b.room_id
where r.hotel_id = 42 and b.arrives = current_date and b.state = 'confirmed';
-- name: disputes
-- calls_per_minute: 60
select id, guest_id, made_at from bookings where state = 'disputed' order by made_at limit 50;
-- name: unpaid
-- calls_per_minute: 30
select id, guest_id from bookings where paid_at is null and arrives < current_date + 3 and state = 'confirmed'
order by arrives limit 100;
-- name: made_today
-- calls_per_minute: 12
select count(*), count(paid_at) from bookings where made_at > now() - interval '1 day';
-- name: occupancy
-- calls_per_minute: 4
select r.kind, count(*) from bookings b join rooms r on r.id = b.room_id
where b.arrives between current_date - 3 and current_date group by 1;
-- name: cancelled_by_month
-- calls_per_minute: 1
select date_trunc('month', made_at), count(*) from bookings where state = 'cancelled' group by 1;
-- name: rooms_of_hotel
-- calls_per_minute: 800
select id, kind, beds, rate from rooms where hotel_id = 123 and not closed order by rate;
-- name: cheapest_suites
-- calls_per_minute: 100
select id, hotel_id, rate from rooms where kind = 'suite' and beds >= 3 and not closed order by rate limit 20;
-- name: closed_rooms
-- calls_per_minute: 6
select count(*) from rooms where closed;
-- name: hotels_in_city
-- calls_per_minute: 600
select id, name, stars from hotels where city = 'city 12' order by stars desc, name limit 30;
-- name: with_helipad
-- calls_per_minute: 20
select id, name from hotels where amenities @> array['helipad'] and stars >= 4;
-- name: hotel_by_name
-- calls_per_minute: 60
select id, city from hotels where lower(name) = 'hotel 1234';
-- name: newest_reviews
-- calls_per_minute: 500
select id, score, body from reviews where hotel_id = 77 and not hidden order by written_at desc limit 10;
-- name: score_of_hotel
-- calls_per_minute: 300
select avg(score), count(*) from reviews where hotel_id = 555 and not hidden;
-- name: review_of_booking
-- calls_per_minute: 150
select id, score from reviews where booking_id = 30003;
-- name: hidden_reviews
-- calls_per_minute: 6
select id, hotel_id from reviews where hidden and written_at > now() - interval '7 days' order by written_at desc;
-- name: best_of_city
-- calls_per_minute: 20
select h.id, avg(v.score) from hotels h join reviews v on v.hotel_id = h.id where h.city = 'city 3'
group by h.id order by 2 desc limit 10;

-- name: book
-- calls_per_minute: 100
insert into bookings (id, room_id, guest_id, reference, state, arrives, leaves, made_at)
values (1, 1, 1, '', 'confirmed', current_date, current_date, now());
-- name: set_state
-- calls_per_minute: 200
update bookings set state = case state when 'done' then 'cancelled' else 'done' end where id = :id;
-- name: pay
-- calls_per_minute: 100
update bookings set paid_at = now() where id = :id;
-- name: set_rate
-- calls_per_minute: 1500
update rooms set rate = rate + 1 where id = :id;
-- name: review
-- calls_per_minute: 30
insert into reviews (id, hotel_id, booking_id, score, body, hidden, written_at) values (1, 1, 1, 5, '', false, now());
