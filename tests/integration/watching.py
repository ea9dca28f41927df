"""A watcher in a thread of its own, and what tests wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from django.conf import LazySettings
from django.db import connection, connections

from schema_monitor.models import SchemaChange, SchemaVersion
from schema_monitor.monitor_models import MonitorState
from schema_monitor.watch import Watcher
from tests.waiting import HANGS


def control_url() -> str:
    """Django's test database."""
    names = connection.settings_dict
    return f"postgresql://{names['USER']}:{names['PASSWORD']}@{names['HOST']}:{names['PORT']}/{names['NAME']}"


def point_at(settings: LazySettings, target_url: str, control: str = "") -> None:
    """Everything in this process watches that target."""
    urls = {"target_database_url": target_url, "database_url": control or control_url()}
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, exposed_schemas=("public",), **urls)


@contextmanager
def watching() -> Iterator[Watcher]:
    """A watcher that has captured."""
    watcher = Watcher()

    def run() -> None:
        watcher.run()
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.stop()
        thread.join(HANGS)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until it holds. How long that takes says how busy the machine is."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < HANGS, "waited in vain"
        time.sleep(0.02)


def wait_for_epoch(epoch: int) -> None:
    """Waits until so many versions are stored."""
    wait_for(lambda: SchemaVersion.objects.filter(epoch=epoch).exists())


def wait_for_change(kind: str) -> None:
    """Waits until one of that kind is stored."""
    wait_for(lambda: SchemaChange.objects.filter(kind=kind).exists())


def state() -> MonitorState:
    """What the watcher says of itself."""
    return MonitorState.objects.get()


def wait_for_detector(detector: str) -> None:
    """Waits until that one is in force."""
    wait_for(lambda: MonitorState.objects.filter(detector=detector).exists())


def epochs() -> list[int]:
    """All epochs, in order."""
    return list(SchemaVersion.objects.order_by("epoch").values_list("epoch", flat=True))
