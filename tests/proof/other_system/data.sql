INSERT INTO items SELECT n, n * 1.5 FROM generate_series(1, 100) n;
INSERT INTO orders (customer) SELECT (random() * 20000)::int FROM generate_series(1, 150000);
ANALYZE;
