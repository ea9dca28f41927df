"""``python -m benchmarks.pictures``: every page of the demo in light and dark into docs/screenshots, and what axe-core says of each.

Fails where a page answers an error, a script of it raises, axe-core finds something serious or critical, or a phone has to scroll it
sideways.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from playwright.sync_api import Page

from benchmarks.pictures.demo import ROOT, Site, demo
from benchmarks.pictures.visit import CHROMIUM, PHONE, Fault, chromium, faults, on_a_phone, open_site, paint, picture, settle
from benchmarks.pictures.walk import Opened, walk

OUT = ROOT / "docs/screenshots"
SCHEMES = ("light", "dark")
NOT_SHOWN = re.compile(
    r"^/admin/(django_rq/dashboard/(cron|workers|queues/:id/.+)|queues/|auth/.+/(add|password)/"
    r"|(auth|breakers|healing|metrics|optimizer|schema_monitor)/$)"
)
"""Walked and judged, but worth no picture: lists of lists, and pages that name the machine."""
FILL_SECONDS = 150.0


class Taken(Struct, frozen=True):
    """A page with its pictures and faults."""

    opened: Opened
    title: str
    faults: tuple[Fault, ...]
    errors: tuple[str, ...]
    bytes: int
    phone: int = 0
    """How wide it is on a phone."""

    @property
    def fine(self) -> bool:
        """Nothing is wrong with it."""
        return self.opened.status == 200 and not self.faults and not self.errors and self.phone <= PHONE


def main() -> int:
    """Walks, judges, takes pictures; prints one line a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", nargs=3, metavar=("URL", "USER", "PASSWORD"), help="a site that runs already, instead of a fresh demo")
    parser.add_argument("--fill", type=float, default=FILL_SECONDS, help="seconds that the demo's traffic runs before (default: 150)")
    parser.add_argument("--only-judge", action="store_true", help="take no pictures")
    options = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("no Chromium: apt-get install chromium")
    with _site(options.site, options.fill) as site, chromium() as browser:
        context, page = open_site(browser, site.base, site.user, site.password)
        taken = list(_told(_all(page, site.base, None if options.only_judge else OUT)))
        context.close()
    if not options.only_judge:
        (OUT / "README.md").write_text(index(taken), "utf-8")
    wrong = [each for each in taken if not each.fine]
    print(f"{len(taken)} pages, {sum(each.bytes for each in taken) / 1e6:.1f} MB of pictures, {len(wrong)} with faults")
    return 1 if wrong else 0


@contextmanager
def _site(given: list[str] | None, fill: float) -> Iterator[Site]:
    if given:
        yield Site(*given)
        return
    with demo() as site:
        print(f"the demo runs at {site.base}; it fills for {fill:.0f} s", flush=True)
        time.sleep(fill)
        yield site


def _all(page: Page, base: str, out: Path | None) -> Iterator[Taken]:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    if out:
        out.mkdir(exist_ok=True)
        for old in out.glob("*.webp"):
            old.unlink()
    for opened in walk(page, base):
        if opened.status == 0:
            continue  # a file
        yield _take(page, opened, out, errors)
        errors.clear()


def _take(page: Page, opened: Opened, out: Path | None, errors: list[str]) -> Taken:
    if opened.status != 200:
        return Taken(opened, "", (), (), 0)
    settle(page)
    size, found, shown = 0, [], out is not None and not NOT_SHOWN.match(opened.kind)
    for scheme in SCHEMES:
        paint(page, scheme)
        found += faults(page)
        if out is not None and shown:
            size += picture(page, out / f"{name_of(opened.kind)}-{scheme}.webp")
    return Taken(opened, page.title().partition("|")[0].strip(), tuple(found), tuple(errors), size, on_a_phone(page))


def _told(taken: Iterator[Taken]) -> Iterator[Taken]:
    for each in taken:
        word = "fine" if each.fine else _wrong(each)
        print(f"{each.opened.milliseconds:6.0f} ms {each.bytes / 1000:6.0f} kB  {each.opened.path}  {word}", flush=True)
        for fault in (*dict.fromkeys(map(str, each.faults)), *each.errors):
            print(f"            {fault}", flush=True)
        yield each


def _wrong(taken: Taken) -> str:
    wide = f", {taken.phone} px wide on a phone" if taken.phone > PHONE else ""
    return f"status {taken.opened.status}, {len(taken.faults)} faults, {len(taken.errors)} errors{wide}"


def name_of(kind: str) -> str:
    """A picture's name: the path without what is the same for all."""
    short = kind.removeprefix("/admin/").replace("/:id/change/", "-one").replace(":id", "one").replace(":name", "one").strip("/")
    return re.sub(r"[^a-z0-9]+", "-", short.lower()).strip("-") or "dashboard"


def index(taken: list[Taken]) -> str:
    """The page that shows them all."""
    rows = [
        f"| {each.title}<br>`{each.opened.kind}` | ![{each.title}, light]({name}-light.webp) | ![{each.title}, dark]({name}-dark.webp) |"
        for each in taken
        if each.bytes and (name := name_of(each.opened.kind))
    ]
    head = "Every page of the demo, light and dark, as `make screenshots` took them. axe-core finds nothing serious on any."
    return "\n".join(["# Pages", "", head, "", "| page | light | dark |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.exit(main())
