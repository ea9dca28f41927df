"""A target that is given gets what is needed, and nothing that nobody gave."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from resilience_site import target_setup
from resilience_site.embedded import EmbeddedPostgres
from resilience_site.target_setup import TargetError

numbers = itertools.count()


@pytest.fixture
def foreign(postgres: EmbeddedPostgres) -> Iterator[tuple[str, str]]:
    """Somebody else's database: (URL of its plain owner "boss", URL of the superuser)."""
    name = f"foreign_{next(numbers)}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE boss_{name} LOGIN PASSWORD 'pw' CREATEROLE")
        superuser.execute(f"CREATE DATABASE {name} OWNER boss_{name}")
    port = postgres.state.postgres_port
    yield f"postgresql://boss_{name}:pw@127.0.0.1:{port}/{name}", postgres.url(name)
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as superuser:
        superuser.execute(f"DROP DATABASE {name}")
        superuser.execute(f"DROP ROLE boss_{name}")


def test_a_login_that_may_not_act_as_the_roles_is_told_the_grant(foreign: tuple[str, str]) -> None:
    with pytest.raises(TargetError, match=r"cannot act as anon .* run GRANT anon TO boss_foreign"):
        target_setup.prepare(foreign[0], ["public"])


def test_a_refused_setup_installs_nothing(foreign: tuple[str, str]) -> None:
    with pytest.raises(TargetError):
        target_setup.prepare(foreign[0], ["public"])
    with psycopg.connect(foreign[1]) as superuser:
        assert superuser.execute("SELECT to_regnamespace('mendgate')").fetchone() == (None,)


def test_roles_that_exist_keep_exactly_their_rights(foreign: tuple[str, str]) -> None:
    url, superuser_url = foreign
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        superuser.execute("CREATE TABLE secret (id int)")
        user = psycopg.conninfo.conninfo_to_dict(url)["user"]
        superuser.execute(f"GRANT anon, authenticated, service_role TO {user}")
        before = superuser.execute(
            "SELECT relacl, (SELECT nspacl FROM pg_namespace WHERE nspname = 'public') FROM pg_class WHERE relname = 'secret'"
        ).fetchone()
        target_setup.prepare(url, ["public"])
        target_setup.prepare(url, ["public"])
        after = superuser.execute(
            "SELECT relacl, (SELECT nspacl FROM pg_namespace WHERE nspname = 'public') FROM pg_class WHERE relname = 'secret'"
        ).fetchone()
        assert before == after
        assert superuser.execute("SELECT to_regclass('mendgate.receipts') IS NOT NULL").fetchone() == (True,)
    assert all(finding.ok for finding in target_setup.examine(url))


def test_a_database_that_does_not_answer_is_told_with_the_fix() -> None:
    with pytest.raises(TargetError, match=r"does not answer.*check host and port in TARGET_DATABASE_URL"):
        target_setup.prepare("postgresql://nobody:secret-word@127.0.0.1:1/none", ["public"])


def test_a_login_that_is_refused_is_told_with_the_reason_and_without_its_password(foreign: tuple[str, str]) -> None:
    wrong = re.sub(r":[^:@/]+@", ":secret-word@", foreign[0])
    with pytest.raises(TargetError, match=r"refuses the login: password .* check user, password and database") as told:
        target_setup.prepare(wrong, ["public"])
    assert "secret-word" not in str(told.value)
    (finding,) = target_setup.examine(wrong)
    assert not finding.ok and finding.fix.startswith("Check user, password") and "Fix:" not in finding.state


def test_doctor_names_what_is_missing(foreign: tuple[str, str]) -> None:
    findings = {finding.part: finding for finding in target_setup.examine(foreign[0])}
    assert findings["target"].ok
    assert not findings["role anon"].ok
    assert "GRANT anon TO" in findings["role anon"].fix
    assert not findings["schema mendgate"].ok


def test_roles_that_are_missing_are_made_with_the_least_rights(
    tmp_path_factory: pytest.TempPathFactory, postgres: EmbeddedPostgres
) -> None:
    home = postgres.home / "bare"
    with BarePostgres(home, durable=False) as bare:
        url = bare.url("postgres")
        with psycopg.connect(url, autocommit=True) as superuser:
            superuser.execute("CREATE TABLE public.orders (id int)")
        target_setup.prepare(url, ["public"])
        with psycopg.connect(url, autocommit=True) as superuser:
            superuser.execute("CREATE TABLE public.later (id int)")
            superuser.execute("SET ROLE service_role")
            superuser.execute("INSERT INTO orders VALUES (1)")
            superuser.execute("INSERT INTO later VALUES (1)")
            for role in ("anon", "authenticated"):
                superuser.execute("RESET ROLE")
                superuser.execute(f"SET ROLE {role}")
                for table in ("orders", "later"):
                    with pytest.raises(errors.InsufficientPrivilege):
                        superuser.execute(f"SELECT * FROM {table}")


class BarePostgres(EmbeddedPostgres):
    """A Postgres as anybody has it: no roles of ours."""

    def start(self) -> BarePostgres:
        super(EmbeddedPostgres, self).start()
        return self
