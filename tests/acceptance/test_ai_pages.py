"""The AI pages in a real browser: a newcomer finds the next step, a provider is set up and tried, nothing secret shows, figures add up.

With ``MENDGATE_SHOTS=<directory>`` every page is photographed, light and dark.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.acceptance.visitor import CHROMIUM, Visit, browser, contexts, visit
from tests.gateway_process import Gateway
from tests.integration.ai_rows import allowance_row, provider_row, settings_row
from tests.waiting import HANGS

__all__ = ["browser", "contexts", "visit"]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium: apt-get install chromium")
SECRET = "sk-acceptance-abcdefgh-9876"
PAGES = {
    "spend": "aispend/", "calls": "aicall/", "providers": "aiprovider/", "keys": "aicredential/", "models": "aimodel/",
    "canned": "aicanned/", "allowances": "aiallowance/", "settings": "aisettings/", "provider-new": "aiprovider/add/",
    "key-new": "aicredential/add/",
    "allowance-new": "aiallowance/add/",
}  # fmt: skip


class Answers(BaseHTTPRequestHandler):
    """A provider that answers with one word, to who has the key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        known = self.headers["authorization"] == f"Bearer {SECRET}"
        message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Here."}}
        usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
        whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [message], "usage": usage}
        body = json.dumps(whole if known else {"error": {"message": "wrong key", "code": "invalid_api_key"}}).encode()
        self.send_response(200 if known else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def site(make_gateway: Callable[..., Gateway]) -> Gateway:
    gateway = make_gateway()
    gateway.manage("shell", "-c", "from tests.acceptance.admin_seed import people; people()")
    return gateway.start()


def test_from_nothing_to_an_answer_and_no_secret_on_the_way(site: Gateway, visit: Callable[..., Visit], provider: str) -> None:
    rita = visit(site)
    page = rita.go("/admin/breakers/aiprovider/")
    assert page.get_by_text("Nobody answers AI calls yet.").is_visible()
    rita.shoot("ai-empty")
    assert rita.go("/admin/breakers/aicall/").get_by_text("Set up a provider").is_visible()
    page = rita.go("/admin/breakers/aiprovider/add/")
    page.fill("#id_name", "acme")
    page.fill("#id_base_url", provider)
    page.click("[name=_continue]")
    page.get_by_text("This address is in a private network.").wait_for()
    page.check("#id_allow_private")
    page.click("[name=_continue]")
    page.get_by_text("It has no model yet.").wait_for()
    page.click("text=Add one →")
    page.fill("#id_name", "big")
    page.fill("#id_input_price", "2")
    page.fill("#id_output_price", "8")
    page.click("[name=_save]")
    rita.go("/admin/breakers/aiprovider/").get_by_role("link", name="acme", exact=True).click()
    page.get_by_role("link", name="Add a key").click()
    page.fill("#id_label", "team")
    page.fill("#id_entered", SECRET)
    rita.shoot("ai-key-new")
    page.click("[name=_save]")
    page.get_by_text("…9876").first.wait_for()
    assert SECRET not in page.content() and "…9876" in page.content()
    rita.go("/admin/breakers/aiprovider/").get_by_role("link", name="acme", exact=True).click()
    page.click("text=Try it: one real call")
    page.get_by_text(re.compile("big answered in .* s: “Here.”")).wait_for()
    rita.shoot("ai-provider")
    assert SECRET not in page.content()
    page.locator(".mg-table a").first.click()
    page.click("text=Retire…")
    page.fill("[name=why]", "it leaked")
    page.click("text=Retire: nobody uses it any more")
    page.get_by_text("Retired: no process uses it from now on.").wait_for()
    rita.shoot("ai-key")
    page.fill("[name=why]", "a false alarm")
    page.click("button:has-text('Revive')")
    page.get_by_text("Revived: it is used again").wait_for()
    assert rita.faults == []
    said = [row["action"] for row in site.control("SELECT action FROM healing_decision WHERE kind LIKE 'ai %' ORDER BY id")]
    assert said == ["create", "create", "create", "try", "retire", "revive"]
    everywhere = site.control("SELECT string_agg(to_jsonb(d)::text, '') AS said FROM healing_decision d")[0]["said"]
    assert SECRET not in everywhere and SECRET not in site.log.read_text()


@pytest.fixture(scope="module")
def used(site: Gateway) -> Gateway:
    """With rows of every kind, and calls of some days."""
    provider_row(site.control_url, "other", models=("small", "tiny"), chain=("small", "tiny"))
    key = site.control("SELECT id::text FROM healing_apikey LIMIT 1") or [{"id": ""}]
    if not key[0]["id"]:
        site.make_key("service_role", "checkout")
        key = site.control("SELECT id::text FROM healing_apikey LIMIT 1")
    allowance_row(site.control_url, key[0]["id"], requests_per_minute=60, soft_usd=0.5, hard_usd=1.0)
    allowance_row(site.control_url, "", concurrency=10)
    settings_row(site.control_url, log_bodies=True)
    tries = [
        {"provider": "acme", "model": "big", "credential": "", "outcome": "failed", "reason": "500", "seconds": 0.4},
        {"provider": "other", "model": "small", "credential": "", "outcome": "ok", "reason": "", "seconds": 0.6},
    ]
    for n in range(12):
        outcome = ("ok", "fallback", "canned", "cached", "refused", "failed")[n % 6]
        site.control(
            "INSERT INTO breakers_aicall (id, at, calls, key, purpose, endpoint, model_asked, model_served, provider, stream, status,"
            " outcome, input_tokens, output_tokens, cached_tokens, cost, saved_cost, seconds, attempts, error, request_body, answer_body)"
            " VALUES (%s, now() - make_interval(hours => %s), 1, %s, 'edge', 'chat/completions', 'big', 'small', 'other', true, 200, %s,"
            " 900, 120, 0, 0.0021, 0.001, 1.1, %s, '', %s, %s)",
            uuid.uuid4(), n, key[0]["id"], outcome, json.dumps(tries), '{"messages":[]}', '{"choices":[]}',
        )  # fmt: skip
        site.control(
            "INSERT INTO breakers_aispend (day, key, purpose, model, provider, requests, failed, rescued, cached,"
            " input_tokens, output_tokens, cached_tokens, cost, saved, seconds)"
            " VALUES (current_date - %s::int, %s, 'edge', 'small', 'other', 40, 2, 3, 5,"
            " 9000, 1200, 0, %s, %s, 40)",
            n, key[0]["id"], 0.02 * (n + 1), 0.005 * n,
        )  # fmt: skip
    site.control(
        "INSERT INTO breakers_ainotice (key, kind, period, period_start, spent, budget)"
        " VALUES (%s, 'soft', 'month', current_date, 0.51, 0.5)",
        key[0]["id"],
    )
    site.control(
        "INSERT INTO breakers_aicanned (title, contains, content, position, enabled) VALUES ('sorry', '', 'Nobody is there.', 0, true)"
    )
    return site


def test_every_page_is_readable_by_day_and_night_and_free_of_errors(used: Gateway, visit: Callable[..., Visit]) -> None:
    rita = visit(used)
    for name, path in PAGES.items():
        rita.go(f"/admin/breakers/{path}")
        rita.judge_day_and_night(f"ai-{name}")
    call = used.control("SELECT id FROM breakers_aicall LIMIT 1")[0]["id"]
    model = used.control("SELECT id FROM breakers_aimodel WHERE name = 'small'")[0]["id"]
    for name, path in {"call": f"aicall/{call}/change/", "model": f"aimodel/{model}/change/"}.items():
        rita.go(f"/admin/breakers/{path}")
        rita.judge_day_and_night(f"ai-{name}")
    assert rita.faults == []


def test_who_may_only_look_sees_all_but_changes_nothing(used: Gateway, visit: Callable[..., Visit]) -> None:
    otto = visit(used, "otto")
    for path in PAGES.values():
        if not path.endswith("/add/"):
            page = otto.go(f"/admin/breakers/{path}")
            assert page.locator("[name=_save], .mg form[method=post]").count() == 0, path
    key = used.control("SELECT id FROM breakers_aicredential LIMIT 1")[0]["id"]
    page = otto.go(f"/admin/breakers/aicredential/{key}/change/")
    assert SECRET not in page.content() and page.locator("[name=_save], .mg form[method=post]").count() == 0
    token = page.evaluate("document.cookie.match(/csrftoken=([^;]+)/)?.[1] || ''")
    status = page.evaluate(
        "([path, token]) => fetch(path, {method: 'POST', headers: {'X-CSRFToken': token}}).then(r => r.status)",
        [f"/admin/breakers/aicredential/{key}/retire/", token],
    )
    assert status == 403
    assert otto.faults == ["Failed to load resource: the server responded with a status of 403 (Forbidden)"]


def test_a_call_is_in_the_books_within_a_second(used: Gateway) -> None:
    used.make_key("service_role", "books")
    headers = {"authorization": f"Bearer {used.make_key('service_role', 'books')}"}
    body = {"model": "big", "messages": [{"role": "user", "content": "hi, I am ada@example.com"}], "max_tokens": 5}
    answer = httpx.post(f"{used.base_url}/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    until = time.monotonic() + HANGS
    while not (found := used.control("SELECT * FROM breakers_aicall WHERE id = %s", answer.headers["x-request-id"])):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert float(found[0]["cost"]) == pytest.approx((1000 * 2 + 500 * 8) / 1e6) and found[0]["outcome"] == "ok"
    assert "[email]" in found[0]["request_body"] and "ada@" not in found[0]["request_body"]
    limits = httpx.get(f"{used.base_url}/v1/models", headers=headers)
    assert {"big", "small", "tiny"} <= {each["id"] for each in limits.json()["data"]}


def test_what_was_served_until_sigterm_is_in_the_books(used: Gateway) -> None:
    """The last one: it ends the site."""
    headers = {"authorization": f"Bearer {used.make_key('service_role', 'last')}"}
    body = {"model": "big", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    with httpx.Client(base_url=used.base_url, headers=headers) as client:
        served = [client.post("/v1/chat/completions", json=body).headers["x-request-id"] for _ in range(40)]
    used.stop()
    found = used.control("SELECT id::text FROM breakers_aicall WHERE id::text = ANY(%s)", served)
    assert len(found) == 40
