"""The one place that reads the environment. Free of Django, so that the fast path may use it.

A wrong value never stops the reading: it becomes a ``Problem`` with an id and a fix, which the system check
(``resilience_site.checks``) and the web process show before anything starts.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_network
from pathlib import Path

import msgspec

from breakers import valkey_address
from resilience_site import embedded_state
from resilience_site.config_reader import Problem, Reader
from resilience_site.private_files import create_private

__all__ = ["Config", "ConfigError", "Problem", "config", "load"]

DEPLOYMENTS = ("production", "staging", "development")
RESERVED_SCHEMAS = {"mendgate", "pg_catalog", "information_schema"}
EMAIL_SCHEMES = ("smtp", "smtp+tls", "smtp+ssl", "consolemail")
GIVEN_WHERE_DEPLOYED = ("DATABASE_URL", "TARGET_DATABASE_URL", "REDIS_URL", "SECRET_KEY")
LOOPBACK = ("127.0.0.0/8", "::1/128")
ANY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104  (recognised, not bound)


class ConfigError(Exception):
    """The environment is wrong; the message lists each problem with its fix."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, resolved. ``embedded_*`` tell which servers we run ourselves."""

    host: str
    port: int
    home: Path
    static: Path
    """What pages load besides themselves; the web server reads it here."""
    database_url: str
    target_database_url: str
    scratch_database_url: str | None
    ddl_database_url: str | None
    """A login that may run approved migrations on the target; None where nobody allowed it."""
    redis_url: str
    embedded_control: bool
    embedded_target: bool
    embedded_redis: bool
    secret_key: str
    secret_key_fallbacks: tuple[str, ...]
    exposed_schemas: tuple[str, ...]
    jwt_secret: str | None
    jwks_url: str | None
    jwt_audience: str | None
    upstream_supabase_url: str | None
    upstream_anon_key: str | None
    upstream_service_key: str | None
    ai_base_url: str | None
    ai_api_key: str | None
    ai_model: str | None
    allowed_hosts: tuple[str, ...]
    public_url: str | None
    email_url: str | None
    email_from: str
    alert_networks: tuple[str, ...]
    web_concurrency: int
    pool_size: int
    statement_timeout: int
    drain_seconds: int
    """How long a web process that was told to stop says that it is not ready, and serves on."""
    stop_seconds: int
    """How long it then waits for what is under way."""
    replay_rate: int
    """Replays of kept writes a second, at most, over all workers."""
    assist_seconds: int
    assist_calls_an_hour: int
    assist_dollars_a_day: int
    assist_kept_days: int
    transactions_kept_days: int
    pooler_mode: str
    """``transaction`` or ``session``: what a pooler before one of the databases does, if there is one."""
    metrics: bool
    deployment: str
    """production, staging or development"""
    deployment_given: bool
    otlp_endpoint: str | None
    problems: tuple[Problem, ...]

    @property
    def embedded_postgres(self) -> bool:
        """Whether our own Postgres serves at least one of the two databases."""
        return self.embedded_control or self.embedded_target

    @property
    def base_url(self) -> str:
        """Where a person on this machine finds us."""
        host = "127.0.0.1" if self.host in ANY_ADDRESS else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def links_url(self) -> str:
        """What links in alerts begin with: where people find us, wherever they read them."""
        return self.public_url or self.base_url

    def require_sound(self) -> Config:
        """Itself, or ``ConfigError`` that says each fix."""
        errors = [p for p in self.problems if p.is_error]
        if errors:
            raise ConfigError("\n".join(f"{p.id} {p.message} Fix: {p.hint}" for p in errors))
        return self


@cache
def config() -> Config:
    """The configuration of this process, read once."""
    return load(os.environ)


def load(environ: Mapping[str, str]) -> Config:
    """Read a configuration. Creates MENDGATE_HOME with generated secrets where something is not given."""
    read = Reader(environ)
    deployed = _deployed(read)
    home = _home(read)
    state = None if deployed else _state(read, home)
    database_url = read.postgres_url("DATABASE_URL")
    target_url = read.postgres_url("TARGET_DATABASE_URL")
    scratch_url = read.postgres_url("SCRATCH_DATABASE_URL")
    redis_url = _redis_url(read)
    host = read.text("HOST") or "127.0.0.1"
    return Config(
        host=host,
        port=read.integer("PORT", 8000, 1, 65535),
        home=home,
        static=Path(read.text("STATIC_DIR") or home / "static"),
        database_url=database_url or (state.control_url if state else ""),
        target_database_url=target_url or (state.target_url if state else ""),
        ddl_database_url=_ddl_url(read, target_url, state),
        scratch_database_url=scratch_url or (state.scratch_url if state and not database_url else None),
        redis_url=redis_url or (state.redis_url if state else ""),
        embedded_control=not database_url,
        embedded_target=not target_url,
        embedded_redis=not redis_url,
        secret_key=_secret_key(read, home, keep=not deployed),
        secret_key_fallbacks=read.words("SECRET_KEY_FALLBACKS", secret=True),
        exposed_schemas=_schemas(read),
        jwt_secret=_jwt_secret(read),
        jwks_url=read.http_url("JWKS_URL"),
        jwt_audience=read.text("JWT_AUDIENCE") or None,
        upstream_supabase_url=read.http_url("UPSTREAM_SUPABASE_URL"),
        upstream_anon_key=read.secret("UPSTREAM_ANON_KEY"),
        upstream_service_key=read.secret("UPSTREAM_SERVICE_KEY"),
        ai_base_url=read.http_url("AI_BASE_URL"),
        ai_api_key=read.secret("AI_API_KEY"),
        ai_model=_ai_model(read),
        allowed_hosts=_allowed_hosts(read, host),
        public_url=read.http_url("BASE_URL"),
        email_url=read.url("EMAIL_URL", EMAIL_SCHEMES, "E012", "smtp+tls://user:password@mail.example:587", secret=True),
        email_from=read.text("EMAIL_FROM") or "mendgate@localhost",
        alert_networks=_alert_networks(read, embedded=not database_url),
        web_concurrency=read.integer("WEB_CONCURRENCY", 1, 1, 256),
        pool_size=read.integer("POOL_SIZE", 10, 2, 1000),
        statement_timeout=read.integer("STATEMENT_TIMEOUT", 30, 1, 600),
        drain_seconds=read.integer("DRAIN_SECONDS", 0, 0, 3600),
        stop_seconds=read.integer("STOP_SECONDS", 10, 1, 3600),
        replay_rate=read.integer("REPLAY_RATE", 1000, 1, 100_000),
        assist_seconds=read.integer("ASSIST_SECONDS", 30, 1, 120),
        assist_calls_an_hour=read.integer("ASSIST_CALLS_AN_HOUR", 120, 0, 1_000_000),
        assist_dollars_a_day=read.integer("ASSIST_DOLLARS_A_DAY", 5, 0, 1_000_000),
        assist_kept_days=read.integer("ASSIST_KEPT_DAYS", 400, 1, 36_500),
        transactions_kept_days=read.integer("TRANSACTIONS_KEPT_DAYS", 90, 1, 36_500),
        pooler_mode=_pooler_mode(read),
        metrics=_metrics(read),
        deployment=_deployment(read, host, own=not (database_url or target_url or redis_url)),
        deployment_given=bool(read.text("DEPLOYMENT")),
        otlp_endpoint=read.http_url("OTEL_EXPORTER_OTLP_ENDPOINT"),
        problems=tuple(read.problems),
    )


def _deployed(read: Reader) -> bool:
    """Whether nothing may be made up here: what a container makes for itself is gone with it, and no other host has it."""
    given = (read.text("DEPLOYED") or "off").lower()
    if given not in ("on", "off"):
        read.problem("E016", "DEPLOYED is neither on nor off.", "Leave it out (off), or set DEPLOYED=on where nothing may be generated.")
    missing = [name for name in GIVEN_WHERE_DEPLOYED if not (read.text(name) or read.text(f"{name}_FILE"))]
    if given == "on" and missing:
        read.problem("E017", f"{', '.join(missing)} not given, and DEPLOYED=on makes nothing up.", "Give each, or its _FILE variant.")
    return given == "on"


def _redis_url(read: Reader) -> str | None:
    """One Valkey, or sentinels. A cluster is refused: our scripts and RQ's queues want one."""
    given = read.secret("REDIS_URL")
    scheme = given.partition(":")[0].lower() if given else ""
    if scheme in valkey_address.CLUSTER_SCHEMES:
        read.problem("E018", "REDIS_URL names a Valkey Cluster, which cannot be used.", valkey_address.INSTEAD_OF_CLUSTER)
        return None
    if not given or scheme not in valkey_address.SENTINEL_SCHEMES:
        return read.url("REDIS_URL", valkey_address.SCHEMES, "E006", "redis://127.0.0.1:6379/0", secret=True)
    try:
        valkey_address.sentinels(given)
    except ValueError as error:
        example = "redis+sentinel://user:password@one:26379,two:26379/service/0"
        read.problem("E006", f"REDIS_URL is no URL of sentinels: {error}.", f"Write it like {example}")
        return None
    return given


def _ddl_url(read: Reader, target_url: str | None, state: embedded_state.State | None) -> str | None:
    """The login that may run approved migrations; None (and so by default) where nobody may."""
    given, allowed = read.postgres_url("DDL_DATABASE_URL"), (read.text("ALLOW_DDL") or "off").lower()
    if allowed not in ("on", "off"):
        read.problem("E015", "ALLOW_DDL is neither on nor off.", "Leave it out (off), or set ALLOW_DDL=on to let Mendgate run migrations.")
    if allowed != "on":
        return None
    return given or target_url or (state.owner_url if state else None)


def _home(read: Reader) -> Path:
    home = Path(read.text("MENDGATE_HOME") or ".mendgate").expanduser()
    if not home.is_absolute():
        home = Path(__file__).resolve().parent.parent / home
    try:
        home.mkdir(parents=True, exist_ok=True)
        writable = os.access(home, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        read.problem("E011", f"MENDGATE_HOME ({home}) cannot be written.", "Set MENDGATE_HOME to a directory of this user.")
    return home


def _state(read: Reader, home: Path) -> embedded_state.State | None:
    try:
        return embedded_state.load(home) if home.is_dir() else None
    except OSError:
        if not any(problem.code == "E011" for problem in read.problems):
            read.problem("E011", f"MENDGATE_HOME ({home}) cannot be written.", "Set MENDGATE_HOME to a directory of this user.")
        return None


def _secret_key(read: Reader, home: Path, *, keep: bool) -> str:
    given = read.secret("SECRET_KEY")
    if given is None and not keep:
        return secrets.token_urlsafe(48)  # nothing starts with it: E017
    if given is None:
        path = home / "secret_key"
        try:
            return path.read_text("utf-8").strip() if path.exists() else create_private(path, secrets.token_urlsafe(48)).strip()
        except OSError:
            return secrets.token_urlsafe(48)
    if len(given) < 32:
        read.problem(
            "E001", "SECRET_KEY is shorter than 32 characters.", "Leave it out (one is made and kept), or set a longer random one."
        )
    return given


def _schemas(read: Reader) -> tuple[str, ...]:
    schemas = read.words("EXPOSED_SCHEMAS")
    reserved = [s for s in schemas if s in RESERVED_SCHEMAS]
    if reserved:
        read.problem("E008", f"EXPOSED_SCHEMAS names {', '.join(reserved)}.", "Remove it: these schemas are never served.")
    return tuple(s for s in schemas if s not in RESERVED_SCHEMAS) or ("public",)


def _jwt_secret(read: Reader) -> str | None:
    value = read.secret("JWT_SECRET")
    if value is not None and read.text("JWKS_URL"):
        read.problem("E007", "JWT_SECRET and JWKS_URL are both set.", "Keep the one that signs your tokens, unset the other.")
    if value is not None and len(value.encode()) < 32:
        read.problem("W001", "JWT_SECRET is shorter than 32 bytes.", "Use a longer one: HS256 is only as strong as its secret.")
    return value


def _ai_model(read: Reader) -> str | None:
    model = read.text("AI_MODEL")
    if read.text("AI_BASE_URL") and not model:
        read.problem("W002", "AI_BASE_URL is set but AI_MODEL is not.", "Set AI_MODEL, or healing by AI stays off.")
    return model


def _pooler_mode(read: Reader) -> str:
    given = (read.text("POOLER_MODE") or "transaction").lower()
    if given not in ("transaction", "session"):
        read.problem("E019", "POOLER_MODE is neither transaction nor session.", "Leave it out (transaction): it works with both.")
    return given


def _metrics(read: Reader) -> bool:
    given = (read.text("METRICS") or "on").lower()
    if given not in ("on", "off"):
        read.problem("E014", "METRICS is neither on nor off.", "Leave it out (on), or set METRICS=off to observe nothing.")
    return given != "off"


def _deployment(read: Reader, host: str, *, own: bool) -> str:
    """What is given; else development only where every server is our own and nobody outside this machine is served."""
    given = (read.text("DEPLOYMENT") or "").lower()
    if given in DEPLOYMENTS:
        return given
    if given:
        read.problem("E020", "DEPLOYMENT is neither production, staging nor development.", "Set one of the three, or leave it out.")
    return "development" if own and not given and host in ("127.0.0.1", "::1", "localhost") else "production"


def _alert_networks(read: Reader, *, embedded: bool) -> tuple[str, ...]:
    """Networks besides the public one. With our own databases everything is one machine: what is entered in the dashboard gains nothing
    by reaching it, and trying a webhook out needs it."""
    given = read.words("ALERT_NETWORKS")
    try:
        for each in given:
            ip_network(each)
    except ValueError:
        read.problem("E013", "ALERT_NETWORKS names what is no network.", "Write networks like 10.1.0.0/16,127.0.0.1/32 (or none).")
        return ()
    return given or (LOOPBACK if embedded else ())


def _allowed_hosts(read: Reader, host: str) -> tuple[str, ...]:
    given = read.words("ALLOWED_HOSTS")
    if given:
        return given
    if host in ANY_ADDRESS:
        read.problem(
            "W003", "HOST listens everywhere but ALLOWED_HOSTS is not set.", "Set ALLOWED_HOSTS to the names people use for the dashboard."
        )
    loopback = ("localhost", "127.0.0.1", "[::1]")
    return loopback if host in ANY_ADDRESS or host in loopback else (*loopback, host)
