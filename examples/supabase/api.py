"""A small API in the place of PostgREST: every request runs as `authenticated`, with the claims of its token."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
from fastapi import FastAPI, Header


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=8) as app.state.pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> str:
    return "ok"


@app.get("/notes")
async def notes(user: Annotated[str, Header()]) -> list[dict[str, int | str]]:
    async with app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("select set_config('request.jwt.claims', $1, true)", json.dumps({"sub": user}))
        await connection.execute("set local role authenticated")
        rows = await connection.fetch("select id, text from notes order by id desc limit 20")
        return [{"id": row["id"], "text": row["text"]} for row in rows]
