insert into notes (user_id, key, text)
select ('00000000-0000-4000-8000-' || lpad((n % 500)::text, 12, '0'))::uuid, gen_random_uuid(), 'Note ' || n
from generate_series(1, 50000) n;
