"""What one would write by hand instead: FastAPI, asyncpg with a pool, one statement a request. The gateway is measured beside it.

It does less: no API key, no role and claims in the transaction (but for ``/own``), no healing, no receipts. ``uvicorn`` runs it with
uvloop and httptools.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel

INSERT = "INSERT INTO parcels (sender, email_address, weight_grams, price, notes) VALUES ($1, $2, $3, $4, $5) RETURNING id"

MANY = "INSERT INTO parcels (sender, email_address, weight_grams, price, notes) VALUES ($1, $2, $3, $4, $5)"
ROWS = """INSERT INTO parcels (sender, email_address, weight_grams, price, notes)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::numeric[], $5::text[])"""
ONE = "SELECT * FROM parcels WHERE id = $1"
CHANGE = "UPDATE parcels SET weight_grams = $2, notes = $3 WHERE id = $1 RETURNING id"
STOCK = """INSERT INTO stock (sku, amount, place) VALUES ($1, $2, $3)
ON CONFLICT (sku) DO UPDATE SET amount = excluded.amount, place = excluded.place"""
OWN = "INSERT INTO notes (owner, body) VALUES ($1, $2) RETURNING id"
CLAIMS = "SELECT set_config('request.jwt.claims', $1, true)"


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


@app.post("/parcels/many", status_code=201)
async def insert_many(parcels: list[Parcel]) -> dict[str, int]:
    """Rows by ``executemany``: one statement, bound row by row in one transaction."""
    async with app.state.pool.acquire() as connection:
        await connection.executemany(MANY, [(p.sender, p.email_address, p.weight_grams, p.price, p.notes) for p in parcels])
    return {"count": len(parcels)}


@app.post("/parcels/rows", status_code=201)
async def insert_rows(parcels: list[Parcel]) -> dict[str, int]:
    """Rows by one statement: an array a column."""
    columns = zip(*((p.sender, p.email_address, p.weight_grams, p.price, p.notes) for p in parcels), strict=True)
    async with app.state.pool.acquire() as connection:
        await connection.execute(ROWS, *map(list, columns))
    return {"count": len(parcels)}


@app.get("/parcels/{number}")
async def select(number: int) -> dict[str, Any]:
    """One row by its key."""
    async with app.state.pool.acquire() as connection:
        found = await connection.fetchrow(ONE, number)
    if found is None:
        raise HTTPException(404)
    return dict(found)


class Change(BaseModel):
    """What is changed."""

    weight_grams: int
    notes: str


@app.patch("/parcels/{number}", status_code=204)
async def update(number: int, change: Change) -> None:
    """One row by its key."""
    async with app.state.pool.acquire() as connection:
        found = await connection.fetchval(CHANGE, number, change.weight_grams, change.notes)
    if found is None:
        raise HTTPException(404)


class Stock(BaseModel):
    """What is there of a thing."""

    sku: str
    amount: int
    place: str | None = None


@app.post("/stock", status_code=201)
async def upsert(stock: Stock) -> None:
    """One row, new or over the one of its key."""
    async with app.state.pool.acquire() as connection:
        await connection.execute(STOCK, stock.sku, stock.amount, stock.place)


class Note(BaseModel):
    """A note of somebody."""

    owner: str
    body: str


@app.post("/own", status_code=201)
async def insert_own(note: Note, x_claims: str = Header()) -> dict[str, int]:
    """One row as its owner: role and claims in the transaction, as row level security needs them (the token is not even checked)."""
    async with app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE authenticated")
        await connection.fetchval(CLAIMS, x_claims)
        return {"id": await connection.fetchval(OWN, note.owner, note.body)}


class Other(BaseModel):
    """A row of one of many tables."""

    name: str | None = None
    amount: int


@app.post("/others/{table}", status_code=201)
async def insert_other(table: int, row: Other) -> dict[str, int]:
    """One row into one of many tables; its id."""
    async with app.state.pool.acquire() as connection:
        return {
            "id": await connection.fetchval(f"INSERT INTO other_{table} (name, amount) VALUES ($1, $2) RETURNING id", row.name, row.amount)
        }


@app.get("/others/{table}/{number}")
async def select_other(table: int, number: int) -> dict[str, Any]:
    """One row of one of many tables by its key."""
    async with app.state.pool.acquire() as connection:
        return dict(await connection.fetchrow(f"SELECT * FROM other_{table} WHERE id = $1", number))


@app.patch("/others/{table}/{number}", status_code=204)
async def update_other(table: int, number: int, row: Other) -> None:
    """One row of one of many tables by its key."""
    async with app.state.pool.acquire() as connection:
        await connection.execute(f"UPDATE other_{table} SET amount = $2 WHERE id = $1", number, row.amount)
