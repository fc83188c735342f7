-- Advised by easymo indexes on 2026-11-24. Measured on a copy: 196,820 ms a minute before, 39,286 after, 77 MB of
-- indexes. Of the updates that can be HOT, 25% still can.

-- Q12: 81.73 -> 0.76 ms, 100 calls a minute.
-- Q4: 367.94 -> 0.19 ms, 100 calls a minute.
-- Q5: 360.47 -> 0.09 ms, 100 calls a minute.
-- Q6b: 168.87 -> 3.09 ms, 100 calls a minute.
-- Q7: 205.32 -> 0.31 ms, 100 calls a minute.
-- Gain 102,598 ms a minute; price 18.0 MB, 4.8 us for each row written, 5 ms a minute.
create index concurrently idx_whatsapp_messages_created_at on whatsapp_messages (created_at);

-- Q6a: 227.79 -> 343.69 ms, 100 calls a minute.
-- Gain 43,534 ms a minute; price 5.6 MB, 1.8 us for each row written, 23 ms a minute.
-- Ends HOT for set_message_status (600 a minute), which sets status: with an entry in every index of the table, its
-- writes cost about 22 ms a minute. Advised because without it the queries above lose more: 43,534 ms a minute.
create index concurrently idx_whatsapp_messages_status on whatsapp_messages (status);

-- Q1: 85.02 -> 0.16 ms, 100 calls a minute.
-- Q11: 38.43 -> 0.29 ms, 100 calls a minute.
-- Q13: 54.30 -> 0.76 ms, 100 calls a minute.
-- Q2: 110.16 -> 0.07 ms, 100 calls a minute.
-- Q3: 133.61 -> 0.14 ms, 100 calls a minute.
-- Gain 43,115 ms a minute; price 9.0 MB, 0.5 us for each row written, 1 ms a minute.
create index concurrently idx_voice_calls_created_at on voice_calls (created_at);

-- Q4: 367.94 -> 0.19 ms, 100 calls a minute.
-- Gain 12,852 ms a minute; price 7.3 MB, 4.0 us for each row written, 5 ms a minute.
create index concurrently idx_whatsapp_messages_from_number on whatsapp_messages (from_number);

-- Q12: 81.73 -> 0.76 ms, 100 calls a minute.
-- Gain 8,245 ms a minute; price 7.1 MB, 2.1 us for each row written, 5 ms a minute.
create index concurrently idx_whatsapp_messages_user_id on whatsapp_messages (user_id);

-- Q3: 133.61 -> 0.14 ms, 100 calls a minute.
-- Gain 6,058 ms a minute; price 4.5 MB, 1.1 us for each row written, 1 ms a minute.
create index concurrently idx_voice_calls_to_number on voice_calls (to_number);

-- Q11: 38.43 -> 0.29 ms, 100 calls a minute.
-- Gain 4,638 ms a minute; price 4.4 MB, 3.4 us for each row written, 1 ms a minute.
create index concurrently idx_voice_calls_user_id on voice_calls (user_id);

-- Q9: 16.57 -> 3.72 ms, 100 calls a minute.
-- Gain 3,057 ms a minute; price 3.7 MB, 3.9 us for each row written, 0 ms a minute.
create index concurrently idx_transactions_user_id on transactions (user_id);

-- Q10: 21.93 -> 0.16 ms, 100 calls a minute.
-- Q8a: 63.05 -> 38.81 ms, 100 calls a minute.
-- Q8b: 32.95 -> 0.56 ms, 100 calls a minute.
-- Gain 908 ms a minute; price 17.5 MB, 3.8 us for each row written, 0 ms a minute.
create index concurrently idx_transactions_status_created_at_e67a on transactions (status, created_at) include (amount, currency);
