"""The board of breakers in a real browser, on the real web process and a real Valkey: it moves by itself, and people can act."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from breakers.core.types import Outcome
from breakers.registry import Open, Registry
from resilience_site.wiring import namespace_of
from tests.acceptance.visitor import CHROMIUM, Visit, browser, contexts, visit
from tests.gateway_process import Gateway
from tests.waiting import HANGS

__all__ = ["browser", "contexts", "visit"]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium: apt-get install chromium")
BOARD = "/admin/breakers/breakerconfig/"
SEED = "from tests.acceptance.admin_seed import people; people(); from tests.acceptance.breakers_seed import seed; seed()"


@pytest.fixture(scope="module")
def site(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A web process with people and an hour of history."""
    gateway = make_gateway()
    gateway.start()
    gateway.manage("shell", "-c", SEED)
    gateway.make_key()
    gateway.control("UPDATE healing_apikey SET last_used_at = now()")  # the dashboard waits for no first write
    return gateway


@pytest.fixture
def elsewhere(site: Gateway) -> Iterator[Registry]:
    """Another process's breakers, shared with the site's."""
    registry = Registry()
    registry.connect(site.environment["REDIS_URL"], namespace=namespace_of(site.control_url))
    yield registry
    registry.close()


def fail(registry: Registry, name: str) -> None:
    """It fails until it is open."""
    breaker, ends = registry.get(name), time.monotonic() + HANGS
    while not (breaker.view().shared and breaker.view().state == "open"):
        assert time.monotonic() < ends
        try:
            breaker.acquire().settle(Outcome.FAILURE, error="TimeoutError: no answer for ann@example.com")
        except Open:
            time.sleep(0.02)


def pk(site: Gateway, name: str) -> int:
    return int(site.control("SELECT id FROM breakers_breakerconfig WHERE name = %s", name)[0]["id"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_readable_and_free_of_errors(site: Gateway, visit: Callable[..., Visit], scheme: str) -> None:
    rita = visit(site, scheme=scheme)
    for name, path in (
        ("breakers", BOARD), ("breakers_day", f"{BOARD}?span=day"), ("breaker", f"{BOARD}{pk(site, 'lovable-ai')}/change/"),
        ("breaker_events", "/admin/breakers/breakerevent/"),
    ):  # fmt: skip
        rita.go(path)
        rita.judge(name)
        rita.shoot(f"{name}-{scheme}")
    assert rita.faults == []


def test_an_opening_elsewhere_shows_by_itself_with_its_why(site: Gateway, visit: Callable[..., Visit], elsewhere: Registry) -> None:
    rita = visit(site)
    page = rita.go(BOARD)
    page.evaluate("window.stays = true")
    page.evaluate("window.scrollTo(0, 300)")
    before = page.evaluate("window.scrollY")
    fail(elsewhere, "lovable-ai")
    card = page.locator(f"#breaker-{pk(site, 'lovable-ai')}")
    card.get_by_text("calls failed").first.wait_for()
    assert card.locator(".mg-state").first.inner_text() == "open"
    page.get_by_text("breakers is open: lovable-ai").wait_for()
    page.locator("[data-mg-region=recent]").get_by_text("For instance:").first.wait_for()
    assert "ann@example.com" not in page.content()
    assert page.evaluate("window.stays") is True, "without a reload"
    assert abs(page.evaluate("window.scrollY") - before) < 40, "nothing jumps"
    rita.shoot("breakers_open-light")
    assert rita.faults == []
    dashboard = visit(site, scheme="dark").go("/admin/")
    assert dashboard.get_by_text("Breaker lovable-ai is open since").first.is_visible()


def test_forcing_open_by_keyboard_asks_for_a_reason_and_holds_in_other_processes(
    site: Gateway,
    visit: Callable[..., Visit],
    elsewhere: Registry,
) -> None:
    elsewhere.get("healing-ai")
    rita = visit(site)
    page = rita.go(BOARD)
    number = pk(site, "healing-ai")
    while not page.locator(f"#breaker-{number}.mg-chosen").count():
        page.keyboard.press("j")
    page.keyboard.press("o")
    page.keyboard.type("Costs too much today")
    page.locator(f"#breaker-{number}").get_by_role("button", name="Force open").click()
    page.get_by_text("healing-ai is forced open").wait_for()
    assert "rita did it" in page.locator(f"#breaker-{number}").inner_text()
    rita.shoot("breakers_forced-light")
    ends = time.monotonic() + HANGS
    while elsewhere.get("healing-ai").view().state != "forced_open":
        assert time.monotonic() < ends
        time.sleep(0.01)
    decisions = site.control("SELECT who, action, why FROM healing_decision WHERE kind = 'breaker' ORDER BY id DESC LIMIT 1")
    assert decisions == [{"who": "rita", "action": "force open", "why": "healing-ai: Costs too much today"}]
    page = rita.go(f"{BOARD}{number}/change/")
    page.locator("[data-mg-override] summary").click()
    page.fill("[data-mg-override] input[name=why]", "Budget is back")
    page.get_by_role("button", name="Back to normal").click()
    page.get_by_text("is back to normal").wait_for()
    ends = time.monotonic() + HANGS
    while elsewhere.get("healing-ai").view().state != "closed":
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert rita.faults == []


def test_an_edit_is_a_version_with_a_reason_and_can_be_restored(site: Gateway, visit: Callable[..., Visit]) -> None:
    rita = visit(site)
    path = f"{BOARD}{pk(site, 'lovable-ai')}/change/"
    page = rita.go(path)
    page.fill("#id_failure_rate", "250")
    page.fill("#id_why", "More patience")
    page.locator("[name=_continue]").click()
    page.get_by_text("less than or equal to 100").first.wait_for()
    page.fill("#id_failure_rate", "80")
    page.fill("#id_ramp", "20, 50")
    page.locator("[name=_continue]").click()
    page.locator("#versions").get_by_text("More patience").wait_for()
    assert "failure rate" in page.locator("#versions").inner_text()
    assert page.get_by_text("Valkey is away").count() == 0
    rita.shoot("breaker_edited-light")
    now = site.control("SELECT failure_rate, ramp, version FROM breakers_breakerconfig WHERE name = 'lovable-ai'")[0]
    assert (now["failure_rate"], now["ramp"]) == (0.8, [0.2, 0.5])
    page.locator("#versions").get_by_role("button", name="Restore").first.click()
    page.get_by_text("is set as in version").wait_for()
    assert site.control("SELECT failure_rate FROM breakers_breakerconfig WHERE name = 'lovable-ai'")[0]["failure_rate"] == 0.5
    assert rita.faults == []


def test_who_may_only_look_sees_the_board_without_buttons(site: Gateway, visit: Callable[..., Visit]) -> None:
    otto = visit(site, "otto")
    page = otto.go(BOARD)
    assert page.locator(".mg-breaker-name").get_by_text("lovable-ai").is_visible()
    assert page.get_by_text("Override…").count() == 0
    page = otto.go(f"{BOARD}{pk(site, 'lovable-ai')}/change/")
    assert page.get_by_role("button", name="Restore").count() == 0


def test_the_board_rests_while_hidden_and_says_when_it_lost_the_server(site: Gateway, visit: Callable[..., Visit]) -> None:
    rita = visit(site)
    page = rita.go(BOARD)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.wait_for_timeout(2500)
    seen = len(asked)
    page.wait_for_timeout(2500)
    assert len(asked) == seen <= 1
    page.route("**/live/**", lambda route: route.abort())
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false}); document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_text("The server does not answer, trying again.").wait_for()
