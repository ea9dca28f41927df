"""The endpoint that people write by hand: FastAPI, a pydantic model, an asyncpg pool, ``INSERT … RETURNING``."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel


class Order(BaseModel):
    """What a client sends."""

    customer: str
    email: str
    quantity: int
    price: float
    note: str | None = None
    paid: bool = False


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One pool a process."""
    async with asyncpg.create_pool(os.environ["PEER_DATABASE_URL"], min_size=10, max_size=20) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)
INSERT = """INSERT INTO bench_orders (customer, email, quantity, price, note, paid) VALUES ($1, $2, $3, $4::float8::numeric, $5, $6)
RETURNING id, customer, email, quantity, price::float8, note, paid, created_at"""


@app.post("/orders", status_code=201)
async def insert(order: Order) -> dict[str, Any]:
    """One row in, the stored row out."""
    values = (order.customer, order.email, order.quantity, order.price, order.note, order.paid)
    async with app.state.pool.acquire() as connection:
        return dict(await connection.fetchrow(INSERT, *values))
