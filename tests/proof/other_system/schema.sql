CREATE TABLE items (id int PRIMARY KEY, price numeric NOT NULL);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL);
