"""What one would write by hand instead: FastAPI, asyncpg with a pool, one INSERT a request. The gateway is measured beside it.

It does less: no API key, no role and claims in the transaction, no healing, no receipts. ``uvicorn`` runs it with uvloop and httptools.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel

INSERT = "INSERT INTO parcels (sender, email_address, weight_grams, price, notes) VALUES ($1, $2, $3, $4, $5) RETURNING id"


class Parcel(BaseModel):
    """The body of a request."""

    sender: str
    email_address: str
    weight_grams: int | None = None
    price: Decimal | None = None
    notes: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The pool lives as long as the process, and has as many connections as the gateway's."""
    async with asyncpg.create_pool(os.environ["TARGET"], min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/parcels", status_code=201)
async def insert(parcel: Parcel) -> dict[str, int]:
    """One row; its id."""
    async with app.state.pool.acquire() as connection:
        found = await connection.fetchval(INSERT, parcel.sender, parcel.email_address, parcel.weight_grams, parcel.price, parcel.notes)
    return {"id": found}
