"""A person at the site in Chromium: logs in, opens pages, notes what goes wrong, has axe-core look at them, takes pictures."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = next((p for p in map(Path, ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")) if p.exists()), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb", "--font-render-hinting=none"]
AXE = Path(__file__).resolve().parents[2] / "tests/acceptance/deno/node_modules/axe-core/axe.min.js"
GRAVE = ("serious", "critical")
PHONE = 390
_WIDTH = "document.documentElement.scrollWidth"
WIDTH, TALLEST, QUALITY, SCALE = 1280, 1800, 50, 0.75


class Fault(Struct, frozen=True):
    """Something that axe-core holds against a page."""

    rule: str
    impact: str
    where: str
    says: str

    def __str__(self) -> str:
        return f"{self.impact} {self.rule}: {self.where} — {self.says}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, as it is installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=FLAGS)
        yield browser
        browser.close()


def open_site(browser: Browser, base: str, name: str, password: str, width: int = WIDTH) -> tuple[BrowserContext, Page]:
    """A logged-in page; animations are off, or pictures would differ by chance."""
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", timezone_id="Europe/Berlin")
    page = context.new_page()
    page.goto(f"{base}/admin/login/?next=/admin/")
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.click("[type=submit]")
    page.wait_for_url(re.compile(r"/admin/$"))
    return context, page


def paint(page: Page, scheme: str) -> None:
    """Light or dark, without loading the page anew: a theme that follows the system looks only once."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", scheme == "dark")
    page.wait_for_timeout(150)


def settle(page: Page) -> None:
    """Scrolls down and up again, so that what waits to be seen is there, and waits until nothing is fetched."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for top in (*range(0, height, 700), 0):
        page.evaluate("top => scrollTo(0, top)", top)
        page.wait_for_timeout(100)
    page.wait_for_timeout(400)


def faults(page: Page, *rules: str) -> list[Fault]:
    """What axe-core finds that is serious or critical; with rules, of those only."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE.read_text("utf-8"))
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = page.evaluate("options => axe.run(document, options).then(found => found.violations)", options)
    return [_fault(each, node) for each in found if each["impact"] in GRAVE for node in each["nodes"]]


def _fault(each: dict[str, Any], node: dict[str, Any]) -> Fault:
    says = " ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])
    return Fault(each["id"], each["impact"], f"{' '.join(map(str, node['target']))} {node['html'][:160]}", says[:240])


def on_a_phone(page: Page) -> int:
    """How many pixels the page is wide on a phone of ``PHONE``: more means that it scrolls sideways as a whole."""
    usual = page.viewport_size
    page.set_viewport_size({"width": PHONE, "height": 800})
    page.wait_for_timeout(120)
    wide = int(page.evaluate(_WIDTH))
    if wide > PHONE:  # what was drawn for a wide window is drawn anew
        page.reload(wait_until="load")
        page.wait_for_timeout(300)
        wide = int(page.evaluate(_WIDTH))
    page.set_viewport_size(usual or {"width": WIDTH, "height": 900})
    return wide


def picture(page: Page, path: Path) -> int:
    """A WebP of the whole page (to ``TALLEST`` pixels); its size in bytes."""
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height, "scale": SCALE}  # type: ignore[index]
    session = page.context.new_cdp_session(page)
    options = {"format": "webp", "quality": QUALITY, "clip": clip, "captureBeyondViewport": True}
    body = base64.b64decode(session.send("Page.captureScreenshot", options)["data"])
    session.detach()
    path.write_bytes(body)
    return len(body)
