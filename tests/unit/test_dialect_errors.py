"""Every error has four keys and PostgREST's status."""

from __future__ import annotations

import msgspec
import pytest

from healing.core.types import Failure
from healing.gateway.cors import EXPOSED, cors_headers, is_preflight, preflight
from healing.gateway.errors import from_failure, not_singular, unauthorized
from healing.gateway.replay import _of_error


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("23505", 409), ("23503", 409), ("23502", 400), ("22P02", 400), ("42703", 400), ("42P01", 404), ("42883", 404), ("42501", 403),
        ("25006", 405), ("08006", 503), ("53300", 503), ("53400", 500), ("54001", 500), ("57014", 504), ("57P01", 503), ("40001", 500),
        ("P0001", 400), ("P0002", 500), ("PT402", 402), ("PTxyz", 500), ("PT999", 500), ("21000", 500), ("28P01", 403), ("XX000", 500),
        ("PGRST001", 503), ("PGRST003", 504),
    ],
)  # fmt: skip
def test_a_sqlstate_has_its_status(code: str, status: int):
    assert from_failure(Failure(code, "said"), authenticated=True).status == status


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("57014", "failed"), ("23502", "failed"), ("PGRST003", "unavailable"), ("57P01", "unavailable"), ("53100", "unavailable")],
)
def test_a_replay_that_runs_out_of_time_counts_as_a_try_and_a_database_that_is_away_does_not(code: str, outcome: str):
    assert _of_error(from_failure(Failure(code, "said"), authenticated=True)).outcome == outcome


def test_a_missing_right_is_401_for_nobody_and_403_for_somebody():
    nobody = from_failure(Failure("42501", "no"), authenticated=False)
    assert (nobody.status, nobody.headers) == (401, (("WWW-Authenticate", "Bearer"),))
    assert from_failure(Failure("42501", "no"), authenticated=True).headers == ()


def test_an_unavailable_database_says_when_to_come_back_in_whole_seconds():
    assert dict(from_failure(Failure("08006", "gone"), authenticated=True).headers)["Retry-After"].isdigit()


def test_a_body_has_exactly_four_keys():
    body = msgspec.json.decode(from_failure(Failure("23505", "m", "d", "h"), authenticated=True).to_body())
    assert body == {"code": "23505", "message": "m", "details": "d", "hint": "h"}
    assert set(msgspec.json.decode(not_singular(2).to_body())) == {"code", "message", "details", "hint"}


def test_a_function_can_set_the_whole_answer():
    said = '{"code":"123","message":"Payment required","details":"d","hint":"h"}'
    error = from_failure(Failure("PGRST", said, '{"status":402,"headers":{"X-Why":"money"}}'), authenticated=True)
    assert (error.status, error.code, error.message, error.headers) == (402, "123", "Payment required", (("X-Why", "money"),))
    assert from_failure(Failure("PGRST", "no json", None), authenticated=True).code == "PGRST121"


def test_a_wrong_token_is_challenged():
    assert unauthorized("PGRST301", "JWT expired").headers[0][1].startswith('Bearer error="invalid_token"')
    assert unauthorized("PGRST302", "Anonymous access is disabled").headers == (("WWW-Authenticate", "Bearer"),)


def test_a_preflight_echoes_what_was_asked():
    headers = {"origin": "http://a", "access-control-request-method": "POST", "access-control-request-headers": "x-mine, apikey"}
    assert is_preflight("OPTIONS", headers)
    assert dict(preflight(headers).headers)["Access-Control-Allow-Headers"] == "x-mine, apikey"


def test_our_headers_can_be_read_by_browsers():
    for name in (
        "Content-Range",
        "Content-Profile",
        "Location",
        "Preference-Applied",
        "Mendgate-Receipt",
        "Mendgate-Quarantine",
        "Mendgate-Idempotent",
    ):
        assert name in EXPOSED
    assert cors_headers(None) == []
