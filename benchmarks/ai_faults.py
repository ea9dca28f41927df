"""The sixteen faults of a service, as a table: ``python -m benchmarks.ai_faults``.

For each fault a model whose only provider has it, plain and streamed, with another model to fall back to. Shown: what the caller got,
after how long, and how often the faulty one was asked. Passed: within the limit, a whole answer of the other model or, where words had
gone out, an error and no end; nothing twice.
"""

from __future__ import annotations

import sys

from benchmarks.figures import figure
from benchmarks.web_process import web_process
from tests import ai_rows
from tests.acceptance.ai_stage import AiStage, Told
from tests.ai_faults import SIXTEEN, Asked, far_ai
from tests.ai_rows import QUICK

LATE = QUICK.total + 0.5


def main() -> int:
    """Tries each, prints; 1 where one does not pass."""
    with far_ai() as far, web_process() as gateway:
        stage = AiStage(gateway, far)
        ai_rows.disable(gateway, "ai-gateway")
        put(stage)
        print(f"one deadline of {QUICK.total} s; connecting {QUICK.connect}, first word {QUICK.first_token}, between words {QUICK.stall}\n")
        print(f"{'fault':36}{'plain':>40}{'streamed':>44}")
        passed = [row(stage, title, fault) for title, fault in SIXTEEN.items()]
        stage.close()
    figure("faults of an AI service that pass", f"{sum(passed)} of 16", "16 of 16", all(passed))
    return int(not all(passed))


def put(stage: AiStage) -> None:
    """A faulty provider for each, and a good one."""
    providers, models = [ai_rows.provider("good", stage.far.base_url())], [ai_rows.model("well", "good")]
    for fault in SIXTEEN.values():
        for kind in ("plain", "stream"):
            providers.append(ai_rows.provider(f"{kind}-{fault}", stage.far.base_url(fault), f"sk-{fault}"))
            models.append(ai_rows.model(f"{kind}-{fault}", f"{kind}-{fault}", "well"))
    stage.put(ai_rows.snapshot(providers, models))


def row(stage: AiStage, title: str, fault: str) -> bool:
    """One line; whether it passed."""
    told = {kind: stage.ask(f"{kind}-{fault}", stream=kind == "stream") for kind in ("plain", "stream")}
    asked = {kind: stage.asked(f"{kind}-{fault}") for kind in told}
    good = [each.sent for each in stage.asked("well")]
    passed = all(sound(told[kind], asked[kind], good) for kind in told)
    print(f"{title:36}{said(told['plain'], asked['plain']):>40}{said(told['stream'], asked['stream']):>44}  {'' if passed else 'FAILED'}")
    return passed


def sound(told: Told, asked: list[Asked], good: list[str]) -> bool:
    """Whether the caller got what it should."""
    if told.seconds > LATE or told.torn:
        return False
    if told.text and told.error:  # words had gone out
        return not told.done and asked[0].sent.startswith(told.text)
    return told.text in good if told.status == 200 else bool(told.error) and told.status == 504


def said(told: Told, asked: list[Asked]) -> str:
    """What the caller got."""
    if told.text and told.error:
        what = "its words, then an error"
    elif told.status == 200:
        what = f"the other model ({told.fallback})" if told.fallback else "its answer"
    else:
        what = str(told.status)
    return f"{what}, {told.seconds:.2f} s, asked {len(asked)} ×"


if __name__ == "__main__":
    sys.exit(main())
