"""Keeps scans for the page of functions, and forgets the details of old ones."""

from __future__ import annotations

from django.db import transaction

from healing.scan.report import as_json
from healing.scan.scanning import Scan
from healing.scan_models import ScanRun

DETAILED = 5
"""scans of a folder whose functions and findings are kept."""
KEPT = 400
"""scans of a folder whose numbers are kept: one a day for a year."""


@transaction.atomic
def record(found: Scan) -> ScanRun:
    """One more scan of its folder."""
    told, counts = as_json(found), found.totals
    run = ScanRun.objects.create(
        folder=found.root[-500:], epoch=found.epoch, direct=counts.direct, partly=counts.partly, moved=counts.moved, nothing=counts.nothing,
        calls=counts.calls, writes=counts.writes, ai=counts.ai, errors=counts.errors, warnings=counts.warnings, notes=counts.notes,
        functions=told["functions"], order=told["order"], findings=told["findings"],
    )  # fmt: skip
    _forget(run.folder)
    return run


def _forget(folder: str) -> None:
    """Steps: the oldest scans go; those before the newest few lose their details."""
    ids = list(ScanRun.objects.filter(folder=folder).values_list("id", flat=True))
    ScanRun.objects.filter(id__in=ids[KEPT:]).delete()
    ScanRun.objects.filter(id__in=ids[DETAILED:KEPT]).exclude(functions=[]).update(functions=[], order=[], findings=[])
