"""The demo does what it says: what fits lands untouched, what is known is healed, what is odd is never stored in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import httpx
import psycopg
import pytest

from healing.demo import target
from healing.demo.stories import STORIES, Row, Story
from tests.gateway_process import Gateway

NAMES = [story.table for story in STORIES]


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    gateway = make_gateway().start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def owner(gateway: Gateway) -> Iterator[psycopg.Connection]:
    with psycopg.connect(gateway.owner_url, autocommit=True) as connection:
        assert target.make_tables(connection, STORIES) == list(STORIES)
        gateway.manage("capture_schema")
        yield connection


@pytest.fixture
def client(gateway: Gateway, owner: psycopg.Connection) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311  (no secret)


def told(answer: httpx.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("mendgate-")}


def post(client: httpx.Client, story: Story, row: Row) -> httpx.Response:
    return client.post(f"/rest/v1/{story.table}", json=row)


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_what_fits_lands_untouched(client: httpx.Client, story: Story) -> None:
    answer = post(client, story, story.fits(chance(1)))
    assert (answer.status_code, told(answer)) == (201, set()), answer.text


@pytest.mark.parametrize("story", [s for s in STORIES if s.known], ids=lambda story: story.table)
def test_what_is_known_lands(client: httpx.Client, story: Story) -> None:
    for make in story.known:
        answer = post(client, story, make(chance(1)))
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_what_is_odd_is_never_stored_in_silence(client: httpx.Client, story: Story) -> None:
    for make in story.odd:
        answer = post(client, story, make(chance(1)))
        assert told(answer) & {"mendgate-quarantine", "mendgate-changed"}, (answer.status_code, answer.text)


@pytest.mark.parametrize("story", [s for s in STORIES if s.rename], ids=lambda story: story.table)
def test_the_first_names_still_work_after_a_rename_there_and_back(client: httpx.Client, owner: psycopg.Connection, story: Story) -> None:
    rows = [story.fits(chance(2)), *(make(chance(2)) for make in story.known)]
    for _ in range(2):
        assert target.rename(owner, story)
        assert {post(client, story, row).status_code for row in rows} == {201}


def test_tables_of_somebody_else_are_left_alone(owner: psycopg.Connection) -> None:
    owner.execute("COMMENT ON TABLE devices IS 'mine'")
    try:
        assert [s.table for s in STORIES if s not in target.make_tables(owner, STORIES)] == ["devices"]
    finally:
        owner.execute(f"COMMENT ON TABLE devices IS '{target.MARK}'")


@pytest.mark.parametrize("story", [s for s in STORIES if s.alter], ids=lambda story: story.table)
def test_what_the_demo_adds_it_takes_away_again(owner: psycopg.Connection, story: Story) -> None:
    assert story.alter is not None
    assert [target.swing(owner, story.alter) for _ in range(2)] == list(story.alter)
