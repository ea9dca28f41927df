"""Django's settings. Values come from ``resilience_site.config``, never from the environment directly."""

from __future__ import annotations

from pathlib import Path

import environ
from django.templatetags.static import static
from django.urls import reverse_lazy

from breakers.valkey_address import queue_settings
from resilience_site.config import config
from resilience_site.mail_server import mail_server

BASE_DIR = Path(__file__).resolve().parent.parent
MENDGATE = config()

SECRET_KEY = MENDGATE.secret_key
SECRET_KEY_FALLBACKS = list(MENDGATE.secret_key_fallbacks)
DEBUG = False
ALLOWED_HOSTS = list(MENDGATE.allowed_hosts)

INSTALLED_APPS = [
    "resilience_site",  # first: its rqworker and rqcron have our defaults
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "django_rq",
    "ninja",  # installed so that its API docs use our static files, not a CDN
    "schema_monitor",
    "breakers",
    "metrics",
    "healing",
    "optimizer",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "resilience_site.without_nul.without_nul",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "resilience_site.urls"
ASGI_APPLICATION = "resilience_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        **(environ.Env.db_url_config(MENDGATE.database_url) if MENDGATE.database_url else {"ENGINE": "django.db.backends.postgresql"}),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

RQ_QUEUES = {
    name: {
        **queue_settings(MENDGATE.redis_url),
        "DEFAULT_TIMEOUT": 300,
        # Pickle would let whoever writes to Redis run code here.
        "SERIALIZER": "rq.serializers.JSONSerializer",
    }
    for name in ("default", "ai")  # what waits for an AI has a worker of its own
}
REPLAY_RATE = MENDGATE.replay_rate
ASSIST_SECONDS = MENDGATE.assist_seconds
ASSIST_CALLS_AN_HOUR = MENDGATE.assist_calls_an_hour
ASSIST_DOLLARS_A_DAY = MENDGATE.assist_dollars_a_day
ASSIST_KEPT_DAYS = MENDGATE.assist_kept_days
TRANSACTIONS_KEPT_DAYS = MENDGATE.transactions_kept_days

EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = MENDGATE.email_from
if MENDGATE.email_url:
    vars().update(mail_server(MENDGATE.email_url))

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
SESSION_COOKIE_NAME = "mendgate_session"
CSRF_COOKIE_NAME = "mendgate_csrf"

# No inline script anywhere. The theme's Alpine.js evaluates its attributes, and it and the charts set styles: these two must be allowed.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
if MENDGATE.links_url.startswith("https:"):
    # Whoever ends TLS in front of us says so by this header. Programs that come by the inside, without TLS, are not sent away.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_REDIRECT_EXEMPT = [r"^api/", r"^metrics$"]
    SECURE_HSTS_SECONDS = 30 * 24 * 3600
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # other names below the domain are not ours to decide about
else:
    # They ask for TLS: set BASE_URL=https://…
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = MENDGATE.static  # collected by ``up``, served by the web server itself

UNFOLD = {
    "SITE_TITLE": "Mendgate",
    "SITE_HEADER": "Mendgate",
    "SITE_URL": None,  # the dashboard is all there is
    "SITE_SYMBOL": "healing",
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("healing/admin.css")],
    "SCRIPTS": [lambda request: static("healing/pages.js")],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("healing/icon.svg")}],
    "DASHBOARD_CALLBACK": "healing.admin.dashboard.context",
    "SIDEBAR": {"show_search": True, "navigation": "healing.admin.navigation.sidebar"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {name: {"level": "WARNING"} for name in ("httpx", "rq.cron", "rq.worker")},  # a line per request or job is noise
}
