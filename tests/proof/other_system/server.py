"""A system that has nothing to do with EasyMO: a 60-line shop that finds orders by customer."""

import asyncio
import os
import sys

import asyncpg

REMEMBER = os.environ.get("REMEMBER_PRICES") == "yes"
prices: dict[int, str] = {}


async def price(pool: asyncpg.Pool, item: int) -> str:
    if item in prices:
        return prices[item]
    found = await pool.fetchval("SELECT price::text FROM items WHERE id = $1", item)
    if REMEMBER:
        prices[item] = found
    return str(found)


async def answer(pool: asyncpg.Pool, method: str, path: str) -> tuple[int, str]:
    _, kind, number = path.split("/", 2)
    if kind == "ready":
        return 200, "ready"
    if kind == "customers":
        rows = await pool.fetch("SELECT id FROM orders WHERE customer = $1 ORDER BY id DESC LIMIT 20", int(number))
        return 200, ",".join(str(row["id"]) for row in rows)
    if kind == "orders" and method == "POST":
        return 201, str(await pool.fetchval("INSERT INTO orders (customer) VALUES ($1) RETURNING id", int(number)))
    if kind == "items":
        return 200, await price(pool, int(number))
    return 404, "unknown"


async def main(port: int) -> None:
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=4)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, path, _ = line.decode().split()
                length = 0
                while (header := await reader.readline()).strip():
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                await reader.readexactly(length)
                status, body = await answer(pool, method, path)
                reply = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                writer.write(reply.encode())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
