-- The fourteen indexes of the performance note, by its names.
--
-- Each statement runs alone and outside a transaction: CONCURRENTLY asks for it. IF NOT EXISTS is left out on
-- purpose: it would pass over an invalid leftover, or over a different index of the same name. DESC is left out as
-- well: an index is read in both directions. The price: an index whose key or predicate names status makes every
-- change of status a write to all indexes of the row (no HOT update); one such index per table is enough to lose
-- that.

-- Q1, calls of the last 24 hours. As in the note.
create index concurrently idx_voice_calls_created_at on voice_calls (created_at);

-- Q2, live calls. The key was status, which the planner never chose for the newest 15; now the order is in the index.
-- easymo:ignore predicate-ends-hot live calls are three in a thousand; the list is read far more often than a call moves
create index concurrently idx_voice_calls_status on voice_calls (created_at)
  where status in ('pending', 'ringing', 'active');

-- Q3, calls to a number. created_at added: the newest 50 of a busy number come without a sort.
create index concurrently idx_voice_calls_phone on voice_calls (to_number, created_at);

-- Q4, messages of a sender. created_at added, for the same reason.
create index concurrently idx_whatsapp_messages_phone on whatsapp_messages (from_number, created_at);

-- Q5, newest messages. As in the note.
create index concurrently idx_whatsapp_messages_created_at on whatsapp_messages (created_at);

-- Q6a, count by status. As in the note; pending and failed ones (Q6b) are read from
-- idx_whatsapp_messages_recent_pending.
-- easymo:ignore predicate-ends-hot the price of this index of the note, measured in docs/explanation/the-fourteen-indexes.md
create index concurrently idx_whatsapp_messages_status on whatsapp_messages (status) where status <> 'delivered';

-- Q8a and Q8b, revenue of 30 days and of a day. As in the note.
create index concurrently idx_transactions_created_at on transactions (created_at);

-- Q9, transactions of a user. As in the note.
create index concurrently idx_transactions_user_id on transactions (user_id, created_at);

-- Q10, oldest pending transactions. The key was status, one value for all rows of the index; created_at gives the
-- order.
-- easymo:ignore predicate-ends-hot one in a hundred transactions is pending, and the work list must not read the rest
create index concurrently idx_transactions_status on transactions (created_at) where status = 'pending';

-- Q11, calls of a user. As in the note.
create index concurrently idx_voice_calls_user_created on voice_calls (user_id, created_at);

-- Q12, messages of a user. As in the note.
create index concurrently idx_whatsapp_messages_user_created on whatsapp_messages (user_id, created_at);

-- Q13, active calls of the last 24 hours. The time bound left the predicate, where now() is not allowed, for the query.
create index concurrently idx_voice_calls_recent_active on voice_calls (created_at) where status = 'active';

-- Q6b and Q7, pending and failed messages, oldest and of the last hour. The time bound left the predicate, as above.
create index concurrently idx_whatsapp_messages_recent_pending on whatsapp_messages (created_at)
  where status in ('pending', 'failed');

-- Q14, user by phone number. Predicate left out, so that users who are not active are found; the rest of the row is
-- only carried along (INCLUDE), for an index-only scan.
-- easymo:ignore redundant-with-unique the constraint on phone_number stays as the note found it; this one adds the
-- index-only scan
create unique index concurrently idx_users_phone_status on users (phone_number) include (id, status, created_at);
