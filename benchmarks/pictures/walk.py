"""Every page that a person can reach by clicking: one of each kind, found by following links from the dashboard."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from msgspec import Struct
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

_IDS = re.compile(r"/(?:[0-9a-f]{8}-[0-9a-f-]{27}|\d+)(?=/|$)")
_NAMED = re.compile(
    r"(/schemaversion/tables/|/cron-schedulers/:id/|/cron-schedulers/:id/[^/]+/jobs/|/workers/:id/|/queues/:id/[a-z-]+/|/names/)[^/]+"
)
_NOT = re.compile(
    r"/(logout|jsi18n|delete|history|export|file|csv|live|charts|progress|password_change|autocomplete|r/\d+)(/|$)|\.json|/queues/\d+/[0-9a-f]{8}-"
)
MOST = 200


def kind_of(path: str) -> str:
    """A path without its ids: pages of one kind look alike."""
    return _NAMED.sub(r"\1:name", _IDS.sub("/:id", path))


class Opened(Struct, frozen=True):
    """A page that is open now. ``milliseconds``: until its document had arrived. ``status`` 0: it is no page but a file."""

    path: str
    kind: str
    status: int
    milliseconds: float


def walk(page: Page, base: str, start: str = "/admin/") -> Iterator[Opened]:
    """Opens one page of each kind and yields it while it is open; ends where no new kind is linked."""
    seen, ahead = {kind_of(start)}, deque([start])
    while ahead and len(seen) < MOST:
        path = ahead.popleft()
        opened = _open(page, base, path)
        yield opened
        for link in links(page, base) if opened.status == 200 else ():
            if kind_of(link) not in seen:
                seen.add(kind_of(link))
                ahead.append(link)


def _open(page: Page, base: str, path: str) -> Opened:
    began = time.monotonic()
    try:
        answer = page.goto(base + path, wait_until="domcontentloaded")
    except PlaywrightError as error:
        if "Download is starting" not in error.message:
            raise
        return Opened(path, kind_of(path), 0, 0.0)
    took = (time.monotonic() - began) * 1000
    page.wait_for_load_state("load")
    is_page = answer is not None and "html" in (answer.headers.get("content-type") or "")
    return Opened(path, kind_of(path), answer.status if answer and (is_page or answer.status >= 400) else 0, took)


def links(page: Page, base: str) -> list[str]:
    """The paths below /admin/ that this page links to, without their queries."""
    hrefs = page.evaluate(
        "[...document.querySelectorAll('a[href]:not([download])')].map(a => new URL(a.getAttribute('href'), location.href).href)"
    )
    paths = [urlsplit(urljoin(base, href)).path for href in hrefs if href.startswith(base)]
    return [path for path in dict.fromkeys(paths) if path.startswith("/admin/") and not _NOT.search(path)]
