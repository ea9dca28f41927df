"""Runs a Python program that ends when the one that started it ends: ``python -m resilience_site.child …``.

Linux tells a process when its parent is gone (prctl); elsewhere this only runs the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask to be told, then become the program."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit("the parent ended before we began")
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606  (our own interpreter)


if __name__ == "__main__":
    main()
