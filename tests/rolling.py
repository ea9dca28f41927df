"""Callers that write through a balancer while what stands behind it is renewed; what they were told."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

TABLE = "CREATE TABLE notes (id int PRIMARY KEY, body text)"
EACH = 1_000_000
"""Ids of one caller."""


class Sent:
    """``acknowledged``: ids of rows that were said to be stored. ``failures``: whatever else was answered, or was not."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.failures: list[str] = []
        self.seconds: list[float] = []
        self.over = threading.Event()


@contextmanager
def load(port: int, key: str, callers: int = 4, pause: float = 0.01) -> Iterator[Sent]:
    """Callers that keep their connection for as long as they may; the last one opens another for each write."""
    sent = Sent()
    threads = [threading.Thread(target=_write, args=(sent, port, key, number, number == callers - 1, pause)) for number in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        sent.over.set()
        for thread in threads:
            thread.join()


def _write(sent: Sent, port: int, key: str, number: int, anew: bool, pause: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
    for row in range(number * EACH, (number + 1) * EACH):
        if sent.over.wait(pause):
            break
        began = time.perf_counter()
        try:
            connection.request("POST", "/rest/v1/notes", json.dumps({"id": row, "body": "x"}), {"apikey": key})
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            sent.failures.append(f"{row}: {type(error).__name__} {error}")
            connection.close()
            continue
        sent.seconds.append(time.perf_counter() - began)
        if answer.status == 201:
            sent.acknowledged.append(row)
        else:
            sent.failures.append(f"{row}: {answer.status} {said!r}")
        if anew:
            connection.close()
    connection.close()
