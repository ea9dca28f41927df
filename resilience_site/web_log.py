"""What the server itself logs, in the web process."""

from __future__ import annotations

import logging
import re
from typing import Any, cast

from granian.log import LOGGING_CONFIG

_CUT = re.compile(r"^(?:[\w.]+\.)?CutOff: (\w+)\s*\Z", re.MULTILINE)


class CutAnswers(logging.Filter):
    """An answer that broke off upstream ends here by an exception, so that it does not look whole. The server would log it with its
    traceback, as if it were a fault of ours: one line says it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        if found := _CUT.search(record.getMessage()):
            record.msg = f"An upstream broke off in the middle of an answer ({found[1]}); so did the answer to the caller"
            record.args, record.levelno, record.levelname = (), logging.WARNING, "WARNING"
        return True


def logging_config() -> dict[str, Any]:
    """The server's own, with these filters."""
    handlers = cast("dict[str, Any]", LOGGING_CONFIG["handlers"])
    return {
        "filters": {"cut_answers": {"()": CutAnswers}},
        "handlers": {**handlers, "console": {**handlers["console"], "filters": ["cut_answers"]}},
    }
