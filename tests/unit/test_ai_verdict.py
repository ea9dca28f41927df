"""What an answer of a provider means."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.core.ai.complete import Whole, content_of, read_whole
from breakers.core.ai.plan import GaveUp
from breakers.core.ai.retry_after import MOST, retry_after
from breakers.core.ai.tokens import Tokens
from breakers.core.ai.verdict import Kind, Verdict, about_request, of_error, of_status
from breakers.gateway.ai.endings import of_ending

NOW = 1_790_000_000.0


def error(message: str = "x", **more: object) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, b"", Kind.FAILURE),
        (503, b"<html>", Kind.FAILURE),
        (529, error("Overloaded"), Kind.FAILURE),
        (408, b"", Kind.FAILURE),
        (302, b"", Kind.FAILURE),
        (204, b"", Kind.FAILURE),
        (429, error(code="rate_limit_exceeded"), Kind.THROTTLED),
        (429, error(code="insufficient_quota"), Kind.THROTTLED),
        (429, error("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 60020.", type="tokens"), Kind.LARGER),
        (401, error(code="invalid_api_key"), Kind.KEY),
        (402, b"", Kind.KEY),
        (403, error("not allowed"), Kind.KEY),
        (403, b"", Kind.KEY),
        (403, b"<html>Access denied</html>", Kind.FAILURE),
        (403, error("Your input was flagged by moderation"), Kind.FILTER),
        (403, error("The request was blocked by a guardrail"), Kind.FILTER),
        (403, error("You do not have permission to access the File abc or it may not exist."), Kind.MISSING),
        (402, error("This request requires more credits, or fewer max_tokens. You can only afford 2000"), Kind.MISSING),
        (403, error(code="model_not_found"), Kind.MISSING),
        (404, error(code="model_not_found"), Kind.MISSING),
        (400, error(code="context_length_exceeded"), Kind.LARGER),
        (400, error("request (9007 tokens) exceeds the available context size", code=400, type="exceed_context_size_error"), Kind.LARGER),
        (400, error("This model's maximum context length is 8192 tokens"), Kind.LARGER),
        (413, b"", Kind.LARGER),
        (400, error(code="content_filter"), Kind.FILTER),
        (400, error("Invalid value for 'temperature'."), Kind.CALLER),
        (422, b'{"error":"text"}', Kind.CALLER),
        (400, b'[{"error":{"code":400,"message":"The input token count exceeds the context window"}}]', Kind.LARGER),
        (400, b"[" * 100_000, Kind.CALLER),
    ],
)
def test_each_status_has_its_meaning(status: int, body: bytes, kind: Kind):
    assert of_status(status, {}, body, NOW).kind is kind


def test_only_errors_that_sdks_can_read_are_handed_through_and_never_those_about_our_key():
    assert of_status(400, {}, error("mine"), NOW).body == error("mine")
    assert of_status(400, {}, b"<html>", NOW).body == b""
    assert of_status(401, {}, error("Incorrect API key provided: sk-secret"), NOW).body == b""


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"message": "Provider returned error", "code": "upstream_error"}, Kind.FAILURE),
        ({"message": "busy", "code": 429}, Kind.THROTTLED),
        ({"message": "busy", "code": "rate_limit_exceeded"}, Kind.THROTTLED),
        ({"message": "x", "code": 400}, Kind.FAILURE),
        ({"message": "x", "code": 502}, Kind.FAILURE),
        ({"message": "x", "code": "context_length_exceeded"}, Kind.LARGER),
        ({"message": "cannot parse the tool get_billing_info", "code": 500}, Kind.FAILURE),
        ({"message": "cannot parse the tool rate_limit", "code": 500}, Kind.FAILURE),
        ({"message": "x", "type": "authentication_error"}, Kind.KEY),
        ("invalid_api_key", Kind.FAILURE),
        ("text", Kind.FAILURE),
        (["odd"], Kind.FAILURE),
    ],
)
def test_an_error_inside_a_200_is_a_failure_unless_its_code_says_what_else(said: object, kind: Kind):
    assert of_error(said).kind is kind


@pytest.mark.parametrize("said", ["flagged by moderation", {"code": 42, "message": "flagged"}, {"code": True, "message": "flagged"}])
def test_an_odd_refusal_inside_a_200_is_still_told_to_the_caller(said: object):
    told = of_ending(GaveUp(of_error(said), None))
    assert (told.status, told.type) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "99999999"}, MOST),
        ({"Retry-After": "Fri, 99 Foo 2026 00:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_every_spelling(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers, NOW) == seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_a_bounded_wait_or_none(text: str):
    seconds = retry_after({"Retry-After": text}, NOW)
    assert seconds is None or 0 <= seconds <= MOST


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty body"),
        (b"  \n ", "empty body"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"\xff\xfe{]", "no JSON"),
        (b'{"choices":[{"message":{"conte', "no JSON"),
        (b'{"choices":[]}', "empty choices"),
        (b'{"choices":null}', "empty choices"),
        (b"{}", "empty choices"),
        (b"[]", "no JSON"),
        (b'{"choices":[{}]}', "a choice without a message"),
        (b'{"error":{"message":"x"},"choices":[{"message":{}}]}', "error inside 200"),
    ],
)
def test_a_200_that_is_no_answer_is_a_failure(body: bytes, reason: str):
    verdict = read_whole(body)
    assert isinstance(verdict, Verdict) and (verdict.kind, verdict.reason) == (Kind.FAILURE, reason)


def test_a_whole_answer_gives_its_usage():
    body = b'{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":5,"completion_tokens":1},"error":null}'
    assert read_whole(body) == Whole(Tokens(5, 1), len(body))
    assert content_of(body) == "hi"
    assert isinstance(read_whole(b'{"data":[{"embedding":[1]}]}', embeddings=True), Whole)
    assert isinstance(read_whole(b'{"data":[]}', embeddings=True), Verdict)


@pytest.mark.parametrize(
    ("status", "body", "sure"),
    [
        (401, b"", True),
        (402, b"", True),
        (403, b"", False),
        (403, error("You are not allowed to invalid_api_key"), False),
        (403, error(code="invalid_api_key"), True),
        (500, b"", True),
    ],
)
def test_a_403_that_names_no_reason_is_not_surely_about_the_key(status: int, body: bytes, sure: bool):
    assert of_status(status, {}, body, 0.0).sure is sure


def test_where_the_key_is_good_it_was_the_request_and_its_caller_is_told():
    said = about_request(of_status(403, {}, error("not for you"), 0.0))
    assert (said.kind, said.status, said.sure) == (Kind.MISSING, 403, True) and b"not for you" in said.body
