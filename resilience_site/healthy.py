"""Whether a process of this container is well: ``python -m resilience_site.healthy web|worker|ai|scheduler|watcher``. Exit code 0 or 1.

Free of Django: a probe costs a few hundredths of a second. ``web`` asks ``/readyz`` on this host, the others look at their pulse.
"""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from resilience_site import pulse
from resilience_site.config import Config, config

PULSES = {"worker": "default", "ai": "ai", "scheduler": "scheduler", "watcher": "watcher"}
"""A worker's pulse has the name of its queue."""
PATIENCE = 4.0


def main(words: list[str]) -> str | None:
    """None when well, else what is wrong."""
    match words:
        case ["web"]:
            return web(config())
        case [name] if name in PULSES:
            return beating(config(), PULSES[name])
        case _:
            return f"usage: python -m resilience_site.healthy {'|'.join(('web', *PULSES))}"


def web(config: Config) -> str | None:
    """What ``/readyz`` objects to."""
    parts = urlsplit(config.base_url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read(500).decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        return f"web does not answer: {error}"
    finally:
        connection.close()
    return None if answer.status == 200 else f"web is not ready: {said}"


def beating(config: Config, name: str) -> str | None:
    """What its pulse says."""
    age = pulse.age(config.home, name)
    if age is None:
        return f"no pulse of {name} in {config.home}: it did not start, or runs on another MENDGATE_HOME"
    return None if age <= pulse.OLDEST else f"the last pulse of {name} was {age:.0f} s ago, at most {pulse.OLDEST:.0f} are sound"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
