"""supabase-py, unmodified: the same contract, in short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import Client, ClientOptions, create_client

from tests.acceptance.bookshop import ADMIN, ANN, BOB, bookshop, token
from tests.acceptance.console import Console
from tests.gateway_process import Gateway


class Shop(NamedTuple):
    """The open bookshop and a client with every right."""

    gateway: Gateway
    console: Console
    db: Client

    def client(self, subject: str | None = None, **headers: str) -> Client:
        """A client; with a subject it acts for that user."""
        if subject is not None:
            headers["Authorization"] = f"Bearer {token(self.gateway, subject)}"
        return connect(self.gateway, "anon" if subject else "service_role", headers)


@pytest.fixture(scope="module")
def shop(make_gateway: Callable[..., Gateway]) -> Iterator[Shop]:
    with bookshop(make_gateway) as (gateway, console):
        yield Shop(gateway, console, connect(gateway, "service_role", {}))
    for heard in opened:
        heard.close()


def connect(gateway: Gateway, role: str, headers: dict[str, str]) -> Client:
    heard = httpx.Client(http2=True, event_hooks={"response": [remember]})
    opened.append(heard)
    return create_client(gateway.base_url, gateway.make_key(role), ClientOptions(headers=headers, httpx_client=heard))


opened: list[httpx.Client] = []
last: dict[str, str] = {}


def remember(response: httpx.Response) -> None:
    """The headers of the last answer; the library does not show them."""
    last.clear()
    last.update(response.headers)


def failed(call: Any, code: str) -> APIError:
    """The error of a call that must fail so."""
    with pytest.raises(APIError) as caught:
        call.execute()
    assert caught.value.code == code, caught.value
    return caught.value


def ids(answer: Any) -> list[int]:
    return [row["id"] for row in answer.data]


def test_insert_gives_the_rows_back(shop: Shop) -> None:
    assert shop.db.table("orders").insert({"code": "p1", "amount": 2.5}).execute().data[0]["amount"] == 2.5
    assert len(shop.db.table("orders").insert([{"code": "p2"}, {"code": "p3", "note": "n"}]).execute().data) == 2
    assert shop.db.table("orders").insert({"code": "p4"}, returning="minimal").execute().data == []
    assert (
        shop.db.table("orders").insert([{"code": "p5"}, {"code": "p6", "state": "x"}], default_to_null=False, count="exact").execute().count
        == 2
    )
    assert shop.gateway.sql("SELECT count(*) AS n FROM orders WHERE code LIKE 'p_'") == [{"n": 6}]


def test_upsert_merges_or_ignores(shop: Shop) -> None:
    shop.db.table("orders").insert({"code": "u", "note": "old"}).execute()
    assert shop.db.table("orders").upsert({"code": "u", "note": "new"}, on_conflict="code").execute().data[0]["note"] == "new"
    assert shop.db.table("orders").upsert({"code": "u", "note": "x"}, on_conflict="code", ignore_duplicates=True).execute().data == []
    assert shop.gateway.sql("SELECT note FROM orders WHERE code = 'u'") == [{"note": "new"}]


def test_update_and_delete_choose_rows(shop: Shop) -> None:
    shop.db.table("orders").insert([{"code": "c1"}, {"code": "c2"}]).execute()
    assert [r["note"] for r in shop.db.table("orders").update({"note": "n"}).eq("code", "c1").execute().data] == ["n"]
    assert [r["code"] for r in shop.db.table("orders").delete().eq("code", "c1").execute().data] == ["c1"]
    assert shop.db.table("orders").delete().eq("code", "nobody").execute().data == []
    assert shop.gateway.sql("SELECT code, note FROM orders WHERE code LIKE 'c_'") == [{"code": "c2", "note": None}]


def test_max_affected_rolls_back(shop: Shop) -> None:
    shop.db.table("orders").insert([{"code": "m1"}, {"code": "m2"}]).execute()
    failed(shop.db.table("orders").delete().like("code", "m_").max_affected(1), "PGRST124")
    assert len(shop.gateway.sql("SELECT 1 FROM orders WHERE code LIKE 'm_'")) == 2


def test_filters_order_and_range(shop: Shop) -> None:
    def query() -> Any:
        return shop.db.table("authors").select("id").order("id")

    assert ids(query().eq("name", "Ada").execute()) == [1]
    assert ids(query().in_("bio", ["Writes, sometimes (rarely)", 'A "quoted" life']).execute()) == [2, 3]
    assert ids(query().or_("id.eq.3,and(alive.eq.true,rating.lt.4)").execute()) == [2, 3]
    assert ids(query().not_.is_("alive", "null").execute()) == [1, 2, 3]
    assert ids(query().contains("tags", ["prose"]).execute()) == [1, 2]
    assert ids(query().contains("profile", {"city": "Cork"}).execute()) == [1]
    assert ids(query().ilike("name", "a%").execute()) == [1]
    assert ids(query().range(1, 2).execute()) == [2, 3]
    assert ids(shop.db.table("authors").select("id").order("name", desc=True).limit(2).execute()) == [4, 3]
    assert ids(shop.db.table("bookings").select("id").overlaps("days", "[4,6)").order("id").execute()) == [1, 2]
    assert ids(shop.db.table("books").select("id").text_search("summary", "'fox'").execute()) == [1]


def test_counts(shop: Shop) -> None:
    assert shop.db.table("authors").select("*", count="exact", head=True).execute().count == 4
    assert shop.db.table("authors").select("id", count="exact").limit(1).execute().count == 4


def test_single_maybe_single_and_csv(shop: Shop) -> None:
    assert shop.db.table("authors").select("name").eq("id", 1).single().execute().data == {"name": "Ada"}
    failed(shop.db.table("authors").select("name").single(), "PGRST116")
    assert shop.db.table("authors").select("name").eq("id", 1).maybe_single().execute().data == {"name": "Ada"}
    assert shop.db.table("authors").select("name").eq("id", -1).maybe_single().execute() is None
    assert shop.db.table("authors").select("id,name").lt("id", 2).csv().execute().data.strip() == "id,name\n1,Ada"


def test_embedding(shop: Shop) -> None:
    row = shop.db.table("books").select("title, author:authors!books_author_fkey(name, countries(name)), genres(name)").eq("id", 3).single()
    assert row.execute().data == {
        "title": "Quiet rivers",
        "author": {"name": "Ben", "countries": {"name": "Ireland"}},
        "genres": [{"name": "novel"}],
    }


def test_functions(shop: Shop) -> None:
    assert shop.db.rpc("add", {"a": 1}).execute().data == 11
    assert shop.db.rpc("total", {"numbers": [1, 2]}, get=True).execute().data == 3
    assert ids(shop.db.rpc("books_by", {"author": 1}).order("id", desc=True).execute()) == [2, 1]
    error = failed(shop.db.rpc("angry", {}), "P0001")
    assert (error.message, error.details, error.hint) == ("not today", "it rains", "wait for sun")


def test_another_schema(shop: Shop) -> None:
    assert shop.db.schema("private_shop").table("orders").select("id").execute().data == [{"id": 1}]
    failed(shop.db.schema("nope").table("orders").select("id"), "PGRST106")


def test_errors_have_code_message_details_and_hint(shop: Shop) -> None:
    shop.db.table("orders").insert({"code": "dup"}).execute()
    error = failed(shop.db.table("orders").insert({"code": "dup"}), "23505")
    assert (error.details, error.hint) == ("Key (code)=(dup) already exists.", None)
    failed(shop.db.table("autors").select("*"), "PGRST205")
    failed(shop.db.table("authors").select("nome"), "42703")


def test_two_users_are_kept_apart(shop: Shop) -> None:
    ann, bob = shop.client(ANN), shop.client(BOB)
    ann.table("notes").insert({"text": "of ann"}).execute()
    bob.table("notes").insert({"text": "of bob"}).execute()
    assert [row["text"] for row in ann.table("notes").select("text").execute().data] == ["of ann"]
    failed(ann.table("notes").insert({"text": "x", "owner_id": BOB}), "42501")
    assert bob.table("notes").delete().eq("owner_id", ANN).execute().data == []


def test_an_old_client_works_through_a_rename(shop: Shop) -> None:
    shop.gateway.sql("ALTER TABLE customers RENAME COLUMN email TO email_address")
    (row,) = shop.db.table("customers").insert({"email": "a@example.com", "name": "A"}).execute().data
    assert last["mendgate-healed"] == "rename_column(email->email_address)"
    assert (row["email"], row["email_address"]) == ("a@example.com", "a@example.com")
    assert shop.db.table("customers").select("email").eq("email", "a@example.com").order("email").execute().data == [
        {"email": "a@example.com"}
    ]
    shop.db.table("customers").update({"email": "b@example.com"}).eq("email", "a@example.com").execute()
    shop.db.table("customers").upsert({"email": "b@example.com", "name": "B"}, on_conflict="email").execute()
    assert shop.gateway.sql("SELECT email_address, name FROM customers") == [{"email_address": "b@example.com", "name": "B"}]


def test_a_write_that_does_not_fit_is_kept_approved_and_replayed(shop: Shop) -> None:
    error = failed(shop.db.table("messages").insert({"body": "kept", "from_whom": "Ann"}), "PGRST204")
    quarantine = last["mendgate-quarantine"]
    assert quarantine in str(error.hint)
    fix = '[{"op": "rename_column", "from": "from_whom", "to": "sender_name"}]'
    proposal = shop.console.run("propose", "--quarantine", quarantine, "--fix", fix, "--user", ADMIN).strip()
    shop.console.run("approve", proposal, "--user", ADMIN)
    shop.console.run("replay", "--quarantine", quarantine, "--wait")
    assert shop.gateway.sql("SELECT body, sender_name FROM messages") == [{"body": "kept", "sender_name": "Ann"}]
    shop.db.table("messages").insert({"body": "next", "from_whom": "Bob"}).execute()
    assert last["mendgate-healed"] == "rename_column(from_whom->sender_name)"
    assert shop.gateway.sql("SELECT sender_name FROM messages WHERE body = 'next'") == [{"sender_name": "Bob"}]


def test_a_changed_value_is_told(shop: Shop) -> None:
    shop.db.table("prices").insert({"id": 1, "price": 1.239}).execute()
    assert last["mendgate-changed"] == "price(1.239->1.24)"
    assert "mendgate-receipt" in last
