"""Fills the migrated database: `python seed.py ORDERS`."""

import asyncio
import os
import sys

import asyncpg


async def main(orders: int) -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(
        "insert into customers (id, email) select n, 'customer' || n || '@example.org' from generate_series(1, 20000) n"
    )
    await connection.execute(
        "insert into orders (customer_id, cents) select 1 + n % 20000, n % 5000 from generate_series(1, $1::int) n",
        orders,
    )
    await connection.close()


asyncio.run(main(int(sys.argv[1])))
