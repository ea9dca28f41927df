"""A watcher in a thread of its own, and what tests wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from django.conf import LazySettings
from django.db import connection, connections

from schema_monitor.models import MonitorState, SchemaVersion
from schema_monitor.watch import Watcher


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
        thread.join(30)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> float:
    """Waits until it holds; the seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - began


def wait_for_epoch(epoch: int, seconds: float = 15) -> float:
    """Waits until so many versions are stored."""
    return wait_for(lambda: SchemaVersion.objects.filter(epoch=epoch).exists(), seconds)


def state() -> MonitorState:
    """What the watcher says of itself."""
    return MonitorState.objects.get()


def wait_for_detector(detector: str, seconds: float = 15) -> None:
    """Waits until that one is in force."""
    wait_for(lambda: MonitorState.objects.filter(detector=detector).exists(), seconds)


def epochs() -> list[int]:
    """All epochs, in order."""
    return list(SchemaVersion.objects.order_by("epoch").values_list("epoch", flat=True))
