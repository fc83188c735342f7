-- 17 reads and 7 writes of a bank's ledger, with the rates they are weighted by.

-- name: statement
-- calls_per_minute: 500
select id, amount, kind, booked_on, memo from entries where account_id = 512 and deleted_at is null
order by booked_on desc, id desc limit 50;
-- name: statement_next
-- calls_per_minute: 160
select id, amount, kind, booked_on, memo from entries
where account_id = 3 and deleted_at is null and (booked_on, id) < (current_date - 60, 900000)
order by booked_on desc, id desc limit 50;
-- name: statement_of_month
-- calls_per_minute: 150
select id, amount, booked_on from entries
where account_id = 88 and booked_on between current_date - 90 and current_date - 60 and deleted_at is null
order by booked_on, id;
-- name: proof_of_balance
-- calls_per_minute: 200
select sum(amount) from entries where account_id = 1303 and deleted_at is null;
-- name: held
-- calls_per_minute: 900
select coalesce(sum(amount), 0) from holds where account_id = 1 and released_at is null and expires_at > now();
-- name: expired_holds
-- calls_per_minute: 60
select id, account_id from holds where released_at is null and expires_at <= now() order by expires_at limit 100;
-- name: by_request_key
-- calls_per_minute: 700
select id, state from transfers where request_key = md5('key12345');
-- name: account_by_number
-- calls_per_minute: 600
select id, balance, version from accounts where number = 'RW00000000074000' and deleted_at is null;
-- name: accounts_of_holder
-- calls_per_minute: 400
select id, number, balance from accounts where holder_id = 1100 and closed_on is null and deleted_at is null
order by opened_on;
-- name: pending
-- calls_per_minute: 240
select id, from_account, amount from transfers where state = 'pending' order by created_at limit 50;
-- name: large_in_review
-- calls_per_minute: 20
select id, from_account, amount from transfers where state = 'review' and amount > 4000 order by amount desc limit 20;
-- name: either_side
-- calls_per_minute: 90
select id, from_account, to_account, amount, state from transfers
where (from_account = 1042 or to_account = 1042) and created_at > now() - interval '400 days'
order by created_at desc limit 20;
-- name: last_between
-- calls_per_minute: 60
select id, amount, created_at from transfers where from_account = 1 and to_account = 3 and state = 'settled'
order by created_at desc limit 1;
-- name: day_totals
-- calls_per_minute: 6
select kind, count(*), sum(amount) from entries where booked_on = current_date - 1 and deleted_at is null group by kind;
-- name: settled_volume
-- calls_per_minute: 2
select currency, count(*), sum(amount) from transfers where settled_at >= now() - interval '21 days' group by currency;
-- name: dormant
-- calls_per_minute: 1
select a.id, a.holder_id from accounts a where a.closed_on is null and a.kind = 'savings' and not exists
  (select from entries e where e.account_id = a.id and e.booked_on > current_date - 180) limit 200;
-- name: trial_balance
-- calls_per_minute: 1
select a.currency, a.kind, sum(e.amount) from entries e join accounts a on a.id = e.account_id
where e.deleted_at is null group by a.currency, a.kind;

-- name: move_balance
-- calls_per_minute: 3000
update accounts set balance = balance + 1, version = version + 1 where id = :id;
-- name: set_transfer_state
-- calls_per_minute: 600
update transfers set state = case state when 'settled' then 'failed' else 'settled' end, settled_at = now() where id = :id;
-- name: release_hold
-- calls_per_minute: 300
update holds set released_at = now() where id = :id;
-- name: void_entry
-- calls_per_minute: 4
update entries set deleted_at = now() where id = :id;
-- name: request_transfer
-- calls_per_minute: 600
insert into transfers (id, from_account, to_account, amount, currency, state, request_key, created_at)
values (1, 1, 2, 1, 'RWF', 'pending', '', now());
-- name: book_entry
-- calls_per_minute: 1200
insert into entries (id, account_id, transfer_id, amount, kind, booked_on, value_on)
values (1, 1, 1, 1, 'transfer', current_date, current_date);
-- name: hold
-- calls_per_minute: 300
insert into holds (id, account_id, amount, created_at, expires_at) values (1, 1, 1, now(), now());
