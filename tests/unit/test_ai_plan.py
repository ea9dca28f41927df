"""Who is asked, in which order, how often: the plan of attempts, its budget and its patience."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from breakers.core.ai.budget import RetryBudget
from breakers.core.ai.plan import Deployment, GaveUp, Report, Served, Terms, Try, Wait, cooling, plan
from breakers.core.ai.standing import Standing
from breakers.core.ai.verdict import OK, Kind, Verdict, failure, timeout

A = Deployment(model="a", provider="p", keys=("k1", "k2"))
B = Deployment(model="b", provider="q", context=1000)
C = Deployment(model="c", provider="r", context=9000)
THROTTLED = Verdict(kind=Kind.THROTTLED, status=429, retry_after=5.0)
NO_KEY = Verdict(kind=Kind.KEY, status=401)
LARGER = Verdict(kind=Kind.LARGER, status=400)
CALLER = Verdict(kind=Kind.CALLER, status=400)


class Run:
    """Drives a plan by hand: each attempt takes ``takes`` seconds and ends as ``answers`` says."""

    def __init__(self, answers: Callable[[Try], Verdict], takes: float = 0.1, streamed: bool = True, total: float = 60.0) -> None:
        self.answers, self.takes, self.streamed, self.total = answers, takes, streamed, total
        self.standing, self.budget = Standing(), RetryBudget()
        self.now = 0.0
        self.tries: list[Try] = []
        self.waits: list[float] = []

    def __call__(self, *deployments: Deployment) -> Served | GaveUp:
        self.budget.called(self.now)
        terms = Terms(
            deadline=self.now + self.total, streamed=self.streamed, may_retry=lambda now: self.budget.take(now, 0.2, 3), chance=lambda: 1.0
        )
        steps = plan(deployments, self.standing, terms, self.now)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._do(step))
        except StopIteration as end:
            return end.value

    def _do(self, step: Try | Wait) -> Report:
        if isinstance(step, Wait):
            self.waits.append(step.seconds)
            self.now += step.seconds
            return Report(None, self.now)
        self.tries.append(step)
        self.now += min(self.takes, step.patience)
        return Report(self.answers(step), self.now)

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(step.deployment.model, step.key) for step in self.tries]


def by_model(**verdicts: Verdict) -> Callable[[Try], Verdict]:
    return lambda step: verdicts.get(step.deployment.model, OK)


def test_the_first_that_answers_serves():
    run = Run(lambda _: OK)
    assert run(A, B) == Served(run.tries[0], False) and run.asked == [("a", "k1")]


def test_a_failure_is_tried_once_more_and_then_the_next_model():
    run = Run(by_model(a=failure("status 500")))
    ended = run(A, B)
    assert isinstance(ended, Served) and ended.fallback and run.asked == [("a", "k1"), ("a", "k1"), ("b", "")]
    assert run.waits == [0.1]


def test_a_timeout_is_not_tried_again_at_the_same_place():
    run = Run(by_model(a=timeout("first_token")), takes=30)
    assert isinstance(run(A, B), Served) and run.asked == [("a", "k1"), ("b", "")]


def test_a_429_rotates_the_key_and_both_stay_cooled():
    run = Run(by_model(a=THROTTLED))
    assert isinstance(run(A, B), Served) and run.asked == [("a", "k1"), ("a", "k2"), ("b", "")]
    run.tries.clear()
    assert isinstance(run(A, B), Served) and run.asked == [("b", "")]


def test_the_only_deployment_is_left_alone_until_it_may_be_asked():
    run = Run(lambda _: THROTTLED, takes=0.0)
    only = Deployment(model="only", provider="p")
    ended = [run(only) for _ in range(11)]
    assert len(run.tries) == 1
    assert all(isinstance(end, GaveUp) and end.verdict.kind is Kind.THROTTLED and end.retry_after == 5.0 for end in ended)
    run.now += 5.001
    run(only)
    assert len(run.tries) == 2


def test_a_429_that_does_not_say_how_long_waits_longer_each_time_and_a_success_forgets():
    silent = Verdict(kind=Kind.THROTTLED, status=429)
    standing = Standing()
    assert [standing.cool(("k", "m"), silent.retry_after, at * 100.0) for at in range(3)] == [1.0, 2.0, 4.0]
    standing.answered(("k", "m"))
    assert standing.cool(("k", "m"), None, 1000.0) == 1.0


def test_a_pause_of_no_time_is_no_invitation_to_ask_for_ever():
    run = Run(lambda _: Verdict(kind=Kind.THROTTLED, status=429, retry_after=0.0), takes=0.0)
    assert isinstance(run(A), GaveUp) and run.asked == [("a", "k1"), ("a", "k2")]


def test_what_others_have_told_is_not_told_again():
    told: list[object] = []
    standing = Standing(lambda place, seconds: told.append((place, seconds)))
    run = Run(lambda step: cooling(3.0) if step.key == "k1" else Verdict(kind=Kind.THROTTLED, status=429, retry_after=5.0), takes=0.0)
    run.standing = standing
    assert isinstance(run(A), GaveUp) and told == [(("k2", "a"), 5.0)]


def test_a_shorter_wait_never_replaces_a_longer():
    standing = Standing()
    standing.cool(("k", "m"), 30.0, 0.0)
    standing.cool(("k", "m"), 1.0, 0.0)
    assert standing.wait(("k", "m"), 2.0) == 28.0


def test_a_refused_key_is_retired_for_good_and_the_next_is_used():
    run = Run(lambda step: NO_KEY if step.key == "k1" else OK)
    assert isinstance(run(A), Served) and run.asked == [("a", "k1"), ("a", "k2")]
    run.tries.clear()
    run(A)
    assert run.asked == [("a", "k2")]


def test_a_provider_that_wants_a_key_is_not_asked_without_one():
    run = Run(lambda _: OK)
    ended = run(Deployment(model="locked", provider="p", wants_key=True))
    assert isinstance(ended, GaveUp) and ended.verdict.kind is Kind.KEY and not run.tries


def test_too_long_a_context_goes_to_a_larger_model_only():
    small = Deployment(model="small", provider="p", context=1000)
    run = Run(by_model(small=LARGER))
    assert isinstance(run(small, B, C), Served) and run.asked == [("small", ""), ("c", "")]
    alone = Run(by_model(small=LARGER))(small, B)
    assert isinstance(alone, GaveUp) and alone.verdict.kind is Kind.LARGER


def test_the_callers_own_fault_is_not_tried_elsewhere():
    run = Run(by_model(a=CALLER))
    ended = run(A, B)
    assert isinstance(ended, GaveUp) and ended.verdict is CALLER and len(run.tries) == 1


def test_what_happened_is_told_before_what_was_not_even_tried():
    refused = Verdict(kind=Kind.REFUSED, retry_after=7.0)
    ended = Run(by_model(a=refused, b=failure("status 500")))(A, B)
    assert isinstance(ended, GaveUp) and ended.verdict.kind is Kind.FAILURE and ended.retry_after == 7.0


def test_one_deadline_holds_for_everything():
    run = Run(lambda _: failure("status 500"), takes=4.0, total=10.0)
    run(A, B, C)
    assert run.now <= 10.0 and len(run.tries) <= 3


def test_a_whole_answer_leaves_half_of_the_time_to_the_next():
    run = Run(lambda _: OK, streamed=False)
    run(A, B)
    run(B)
    assert [step.patience for step in run.tries] == [30.0, 60.0 - 0.0]


def test_retries_are_a_share_of_the_calls():
    run = Run(lambda _: failure("status 500"), takes=0.0)
    for _ in range(100):
        run.now = 0.0
        run(B)
    assert len(run.tries) <= 100 + 20
    few = Run(lambda _: failure("status 500"), takes=0.0)
    few(B)
    assert len(few.tries) == 3


def test_the_budget_forgets_after_its_window():
    budget = RetryBudget()
    assert [budget.take(0.0, 0.2, 3) for _ in range(4)] == [True, True, True, False]
    assert budget.take(11.0, 0.2, 3)


DAY = Verdict(kind=Kind.THROTTLED, status=429, retry_after=86_400.0)
ANY = st.sampled_from([OK, failure("x"), timeout("first_token"), DAY, NO_KEY, LARGER, CALLER, Verdict(kind=Kind.MISSING)])


@given(st.lists(ANY, max_size=40), st.floats(0, 20), st.booleans())
def test_whatever_comes_the_plan_ends_within_its_deadline_and_never_asks_a_cooled_or_retired_key(
    seq: list[Verdict], takes: float, streamed: bool
):
    answers = iter(seq)
    run = Run(lambda step: next(answers, OK), takes=takes, streamed=streamed)
    ended = run(A, B, C)
    assert run.now <= 60.0 and len(run.tries) <= 12
    spent = [(step.deployment.model, step.key) for step, verdict in zip(run.tries, seq, strict=False) if verdict in (DAY, NO_KEY)]
    assert len(spent) == len(set(spent))
    assert isinstance(ended, Served) == (bool(run.tries) and (len(run.tries) > len(seq) or seq[len(run.tries) - 1] is OK))
