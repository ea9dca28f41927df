"""``manage.py`` kept open: the real commands with a gateway's environment, without paying Django's start for each.

    console = Console(gateway.environment); console.run("capture_schema")
Run as a program it is the other end: a JSON array of words a line in, a JSON array [ended well, output] a line out.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import traceback

from tests.gateway_process import ROOT


class Console:
    """One operator at one gateway. Close it (it is a context manager)."""

    def __init__(self, environment: dict[str, str]) -> None:
        words = [sys.executable, "-m", "tests.acceptance.console"]
        self.process = subprocess.Popen(words, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=20)

    def run(self, *words: str) -> str:
        """What the command printed; an AssertionError with what it said where it failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        fine, output = json.loads(self.process.stdout.readline())
        assert fine, f"{words}: {output}"
        return str(output)


def main() -> None:
    """Serve commands until the input ends."""
    import django
    from django.core.management import call_command

    answers = sys.stdout
    sys.stdout = sys.stderr  # what is printed past the command's own output must not look like an answer
    django.setup()
    for line in sys.stdin:
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                call_command(*json.loads(line))
            answer = [True, said.getvalue()]
        except (Exception, SystemExit):
            answer = [False, said.getvalue() + traceback.format_exc()]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
