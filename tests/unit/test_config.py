"""The environment is read in one place; what is wrong with it has an id and a fix."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from resilience_site.checks import unread
from resilience_site.config import Config, ConfigError, load
from resilience_site.mail_server import mail_server


def read(home: Path, **environment: str) -> Config:
    return load({"MENDGATE_HOME": str(home), **environment})


def codes(config: Config) -> list[str]:
    return [problem.code for problem in config.problems]


def test_nothing_given_is_a_sound_configuration_with_embedded_servers(tmp_path: Path) -> None:
    config = read(tmp_path)
    assert config.problems == ()
    assert (config.host, config.port, config.web_concurrency) == ("127.0.0.1", 8000, 1)
    assert config.exposed_schemas == ("public",)
    assert config.embedded_postgres
    assert config.embedded_redis
    assert config.target_database_url.startswith("postgresql://authenticator:")
    assert config.base_url == "http://127.0.0.1:8000"


def test_generated_secrets_are_private_and_stay(tmp_path: Path) -> None:
    first, second = read(tmp_path), read(tmp_path)
    assert len(first.secret_key) >= 50
    assert first.secret_key == second.secret_key
    assert first.database_url == second.database_url
    for name in ("secret_key", "embedded.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_given_urls_replace_embedded_servers_one_by_one(tmp_path: Path) -> None:
    config = read(tmp_path, TARGET_DATABASE_URL="postgresql://me@db.example/app", REDIS_URL="redis://cache.example/1")
    assert not config.embedded_target
    assert not config.embedded_redis
    assert config.embedded_control
    assert config.target_database_url == "postgresql://me@db.example/app"


def test_lists_are_split_at_commas(tmp_path: Path) -> None:
    config = read(tmp_path, EXPOSED_SCHEMAS=" api, public ,", ALLOWED_HOSTS="a.example,b.example")
    assert config.exposed_schemas == ("api", "public")
    assert config.allowed_hosts == ("a.example", "b.example")


def test_an_audience_is_asked_for_where_one_is_given(tmp_path: Path) -> None:
    assert read(tmp_path).jwt_audience is None
    assert read(tmp_path, JWT_AUDIENCE="authenticated").jwt_audience == "authenticated"


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "jwt"
    path.write_text("x" * 40 + "\n")
    assert read(tmp_path, JWT_SECRET_FILE=str(path)).jwt_secret == "x" * 40


def test_a_database_url_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://me:secret@db.example/app\n")
    assert read(tmp_path, DATABASE_URL_FILE=str(path)).database_url == "postgresql://me:secret@db.example/app"


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"SECRET_KEY": "short"}, "E001"),
        ({"SECRET_KEY_FILE": "/nowhere"}, "E002"),
        ({"AI_API_KEY": "a", "AI_API_KEY_FILE": "/nowhere"}, "E003"),
        ({"PORT": "http"}, "E004"),
        ({"PORT": "70000"}, "E004"),
        ({"PORT": "²"}, "E004"),
        ({"WEB_CONCURRENCY": "0"}, "E004"),
        ({"DATABASE_URL": "mysql://db.example/app"}, "E005"),
        ({"TARGET_DATABASE_URL": "postgresql://db.example:port/app"}, "E005"),
        ({"REDIS_URL": "localhost:6379"}, "E006"),
        ({"JWT_SECRET": "x" * 40, "JWKS_URL": "https://id.example/keys"}, "E007"),
        ({"EXPOSED_SCHEMAS": "public,mendgate"}, "E008"),
        ({"UPSTREAM_SUPABASE_URL": "project.supabase.co"}, "E009"),
        ({"JWT_SECRET": "short"}, "W001"),
        ({"AI_BASE_URL": "http://127.0.0.1:9/v1"}, "W002"),
        ({"HOST": "0.0.0.0"}, "W003"),
    ],
)
def test_a_wrong_value_is_a_problem_with_a_fix(tmp_path: Path, environment: dict[str, str], code: str) -> None:
    config = read(tmp_path, **environment)
    assert codes(config) == [code]
    assert config.problems[0].hint


def test_a_home_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert codes(read(tmp_path / "file" / "home")) == ["E011"]


def test_no_message_quotes_a_secret(tmp_path: Path) -> None:
    config = read(tmp_path, SECRET_KEY="hunter2", DATABASE_URL="mysql://me:hunter2@db", JWT_SECRET="hunter2")
    assert "hunter2" not in repr(config.problems)


@pytest.mark.parametrize(
    "url",
    [
        "redis://[hunter2",
        "redis+sentinel://me:hunter2/service",
        "redis+sentinel://me:hunter2\u2100@one/service",
        "redis+sentinel://hunter2",
    ],
)
def test_a_valkey_address_that_cannot_be_read_is_a_problem_that_quotes_nothing(tmp_path: Path, url: str) -> None:
    config = read(tmp_path, REDIS_URL=url)
    assert codes(config) == ["E006"] and "hunter2" not in repr(config.problems)


def test_a_home_that_cannot_be_written_is_a_problem_not_a_crash() -> None:
    assert codes(load({"MENDGATE_HOME": "/proc"})) == ["E011"]


def test_every_problem_has_an_id_of_its_own(tmp_path: Path) -> None:
    assert codes(read(tmp_path, DEPLOYED="maybe", DEPLOYMENT="maybe")) == ["E016", "E020"]


def test_errors_stop_and_warnings_do_not(tmp_path: Path) -> None:
    assert read(tmp_path, JWT_SECRET="short").require_sound()
    with pytest.raises(ConfigError, match=r"mendgate\.E004 PORT is 'x'\. Fix: Set PORT"):
        read(tmp_path, PORT="x").require_sound()


def test_alerts_reach_loopback_only_where_everything_is_one_machine(tmp_path: Path) -> None:
    assert read(tmp_path).alert_networks == ("127.0.0.0/8", "::1/128")
    apart = {"DATABASE_URL": "postgresql://u:p@db.example/control"}
    assert read(tmp_path, **apart).alert_networks == ()
    assert read(tmp_path, ALERT_NETWORKS="10.1.0.0/16", **apart).alert_networks == ("10.1.0.0/16",)
    assert codes(read(tmp_path, ALERT_NETWORKS="somewhere")) == ["E013"]


def test_metrics_are_on_or_off(tmp_path: Path) -> None:
    assert read(tmp_path).metrics and not read(tmp_path, METRICS="off").metrics
    assert codes(read(tmp_path, METRICS="some")) == ["E014"]


def test_a_mail_server_is_a_url_with_its_usual_port(tmp_path: Path) -> None:
    given = read(tmp_path, EMAIL_URL="smtp+tls://ann:secret%21@mail.example", BASE_URL="https://gate.example/")
    assert given.links_url == "https://gate.example"
    assert given.email_url is not None
    server = mail_server(given.email_url)
    assert (server["EMAIL_HOST"], server["EMAIL_PORT"], server["EMAIL_HOST_PASSWORD"]) == ("mail.example", 587, "secret!")
    assert server["EMAIL_USE_TLS"] is True
    assert codes(read(tmp_path, EMAIL_URL="mail.example")) == ["E012"]


def test_where_it_is_deployed_nothing_is_made_up(tmp_path: Path) -> None:
    config = read(tmp_path, DEPLOYED="on", DATABASE_URL="postgresql://me@db.example/control", SECRET_KEY="x" * 40)
    assert codes(config) == ["E017"]
    assert config.problems[0].message.startswith("TARGET_DATABASE_URL, REDIS_URL not given")
    assert config.target_database_url == ""
    assert list(tmp_path.iterdir()) == []
    assert codes(read(tmp_path, DEPLOYED="maybe")) == ["E016"]


def test_static_files_may_lie_beside_the_code(tmp_path: Path) -> None:
    assert read(tmp_path).static == tmp_path / "static"
    assert read(tmp_path, STATIC_DIR="/app/static").static == Path("/app/static")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgre://a:secret@db.example/app", "it does not begin with postgresql: or postgres:"),
        ("postgresql://a:sec#ret@db.example:5432/app", "in a password write"),
        ("postgresql://a:[secret]@db.example:5432/app", "in a password write"),
        ("postgresql:", "it names no host"),
    ],
)
def test_a_url_that_cannot_be_used_says_why_and_none_of_its_password(tmp_path: Path, url: str, why: str) -> None:
    (problem,) = read(tmp_path, TARGET_DATABASE_URL=url).problems
    assert problem.code == "E005" and why in problem.message and "sec" not in problem.message + problem.hint


def test_mails_may_go_to_the_log(tmp_path: Path) -> None:
    assert read(tmp_path, EMAIL_URL="consolemail://").problems == ()
    assert mail_server("consolemail://")["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend"


def test_settings_in_a_file_that_nobody_read_are_told(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert unread(path, {}) == []
    path.write_text("# ours\nexport PORT=8001\nHOST=here\nbroken line\n")
    (told,) = unread(path, {"HOST": "here"})
    assert told.id == "mendgate.W004" and ".env names PORT, which" in told.msg and told.hint == "Run this before: set -a; . ./.env; set +a"
    assert unread(path, {"HOST": "here", "PORT": "8001"}) == []
