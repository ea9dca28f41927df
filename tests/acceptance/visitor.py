"""A person at the site in a real browser, for tests: logged in once a module, however many tests look.

With ``MENDGATE_SHOTS=<directory>`` what is looked at is photographed, light and dark.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks.pictures.visit import AXE
from benchmarks.pictures.visit import faults as axe_faults
from tests.gateway_process import Gateway
from tests.waiting import HANGS

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Contexts = dict[tuple[str, str, str, int], BrowserContext]
LEAST = 4.4
"""The contrast that any text of ours has."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as it is installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def contexts(browser: Browser) -> Iterator[Contexts]:
    """By site, person, scheme and width: each logs in once, and fetches what all pages have in common once."""
    contexts: Contexts = {}
    yield contexts
    for context in contexts.values():
        context.close()


class Visit:
    """A page of somebody who is logged in; it notes what goes wrong on it."""

    def __init__(self, context: BrowserContext, base: str, scheme: str) -> None:
        self.base, self.scheme, self.faults = base, scheme, list[str]()
        self.page: Page = context.new_page()
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.faults.append(str(e)))
        self.page.on("request", lambda r: None if r.url.startswith((base, "data:", "blob:")) else self.faults.append(f"fetched {r.url}"))

    def log_in(self, user: str) -> None:
        """By the form; then the dashboard is open."""
        self.go("/admin/")
        self.page.fill("#id_username", user)
        self.page.fill("#id_password", "pw")
        self.page.click("[type=submit]")
        self.page.wait_for_url(re.compile(r"/admin/$"))

    def go(self, path: str) -> Page:
        """Open a page of the site."""
        answer = self.page.goto(self.base + path, wait_until="load")
        assert answer is not None
        assert answer.status < 400, f"{path}: {answer.status}"
        return self.page

    def judge(self, name: str) -> None:
        """Readable by our own count; and axe-core finds nothing serious (by day only: what depends on the colours is counted at night)."""
        assert worst_contrast(self.page) >= LEAST, (name, self.page.evaluate("window.mgWorst"))
        if AXE.exists() and self.scheme == "light":
            assert axe_faults(self.page) == [], name

    def judge_day_and_night(self, name: str) -> None:
        """The same, and then with the colours of the night, without loading it anew. Photographs both."""
        self.judge(name)
        self.shoot(f"{name}-light")
        self.page.emulate_media(color_scheme="dark")
        self.page.evaluate(NIGHT)
        assert worst_contrast(self.page) >= LEAST, (name, "dark", self.page.evaluate("window.mgWorst"))
        self.shoot(f"{name}-dark")
        self.page.emulate_media(color_scheme="light")

    def shoot(self, name: str) -> None:
        """A picture, where asked for."""
        if folder := os.environ.get("MENDGATE_SHOTS"):
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def visit(browser: Browser, contexts: Contexts) -> Iterator[Callable[..., Visit]]:
    """Opens the site as a user, light or dark. Where they look for the first time the dashboard is open, else nothing yet."""
    visits: list[Visit] = []

    def open_as(gateway: Gateway, user: str = "rita", scheme: Any = "light", width: int = 1280) -> Visit:
        key = (gateway.base_url, user, scheme, width)
        known = [context for (*who, _, _), context in contexts.items() if who == [gateway.base_url, user]]
        if new := key not in contexts:
            session = known[0].storage_state() if known else None
            contexts[key] = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, storage_state=session)
            contexts[key].set_default_timeout(HANGS * 1000)
        visits.append(Visit(contexts[key], gateway.base_url, scheme))
        if new and not known:
            visits[-1].log_in(user)
        return visits[-1]

    yield open_as
    for each in visits:
        each.page.close()


NIGHT = """() => {
  const still = new CSSStyleSheet();
  still.replaceSync('* { transition: none !important }');  // a colour that fades says nothing yet
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, still];
  document.documentElement.classList.add('dark');
}"""
"""A theme that follows the system looks only once."""
CONTRAST = """() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const seen = new Map();
  const rgb = c => {
    if (!seen.has(c)) {
      canvas.clearRect(0,0,1,1); canvas.fillStyle = c; canvas.fillRect(0,0,1,1);
      seen.set(c, [...canvas.getImageData(0,0,1,1).data]);
    }
    return seen.get(c);
  };
  const linear = v => { v /= 255; return v <= .03928 ? v/12.92 : ((v+.055)/1.055)**2.4; };
  const light = c => { const [r,g,b] = c.map(linear); return .2126*r+.7152*g+.0722*b; };
  let worst = 21, where = '';
  for (const e of document.querySelectorAll('.mg *')) {
    if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    let back = e, colour = [0,0,0,0];
    while (back) { colour = rgb(getComputedStyle(back).backgroundColor); if (colour[3] > 250) break; back = back.parentElement; }
    if (!back) colour = [255,255,255,255];
    const a = light(rgb(getComputedStyle(e).color).slice(0,3)), b = light(colour.slice(0,3));
    const ratio = (Math.max(a,b)+.05)/(Math.min(a,b)+.05);
    if (ratio < worst) { worst = ratio; where = e.outerHTML.slice(0, 200); }
  }
  window.mgWorst = where;
  return worst;
}"""


def worst_contrast(page: Page) -> float:
    """The lowest contrast of any text of ours (WCAG asks 4.5 of small text); ``opacity`` is not counted."""
    return float(page.evaluate(CONTRAST))
