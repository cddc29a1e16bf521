"""Every setting, read from the environment (`.env.example` lists the names); refuses an insecure production."""

import os
import re
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import environ
from botocore.config import Config
from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _
from kombu.entity import Exchange, Queue

from clearance import embedded

BASE_DIR = Path(__file__).resolve().parent.parent


class Env(environ.Env):  # type: ignore[misc]
    """The environment, which says in a sentence which variable has a value that is none of its kind."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except (ValueError, ArithmeticError) as error:
            raise ImproperlyConfigured(f"{var} can't be {self.ENVIRON.get(var)!r}.") from error

    @classmethod
    def db_url_config(cls, url: str, engine: str | None = None) -> dict[str, Any]:
        config: dict[str, Any] = {}
        with suppress(ValueError), catch_warnings(action="ignore"):
            config = super().db_url_config(url, engine)
        if not config.get("ENGINE") or not config.get("NAME"):  # the address is not told: it holds a password
            raise ImproperlyConfigured(
                "DATABASE_URL, DATABASE_OWNER_URL and DATABASE_REPLICA_URL look like"
                " postgresql://user:password@host:5432/clearance, or are empty."
            )
        return config


env = Env()

# Security ------------------------------------------------------------------------------------------------------------
# Without a database of its own it is somebody's own machine: production names its servers, and can't start any itself.
DEBUG = env.bool("DEBUG", default=not env("DATABASE_URL", default=""))
SECRET_KEY = env("SECRET_KEY", default="development-only-key-that-production-refuses" if DEBUG else "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)

if not DEBUG:
    if len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5 or "development" in SECRET_KEY:
        raise ImproperlyConfigured("Set SECRET_KEY to at least 50 random characters (or DEBUG=1 on your own machine).")
    if "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS may not be '*': name the hosts that serve Clearance.")
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^api/v1/health", r"^metrics$"]  # asked for inside, without https
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # Names by which a browser knows that nobody but this host, by https, has set them.
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
SESSION_ENGINE = "accounts.backends"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# Scripts and styles are files of our own, never written into a page; what else a page needs, its view says (I15).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],  # icons in the style sheets of Swagger UI and of the browsable API
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# Pages of other origins that may call the API, with a token: a browser sends them no cookies of ours.
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [*default_headers, "idempotency-key", "if-match", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    "ETag",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-ID",
]

# Apps ----------------------------------------------------------------------------------------------------------------
# From the ground up: each knows those before it, none of those after it.
OUR_APPS = ["outbox", "audit", "accounts", "alerts", "shipments", "workflow", "metrics"]
INSTALLED_APPS = [
    "clearance.admin.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "django_filters",
    "corsheaders",
    "csp",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    *OUR_APPS,
    "simple_history",  # after audit, whose commands take the place of its own
]
MIDDLEWARE = [
    "clearance.middleware.RequestContext",
    "django.middleware.security.SecurityMiddleware",
    "clearance.middleware.PermissionsPolicy",
    "csp.middleware.CSPMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "clearance.middleware.ApiPaths",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.doors.middleware.PersonalSettings",
    "accounts.doors.middleware.RateLimit",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "clearance.urls"
WSGI_APPLICATION = "clearance.wsgi.application"
APPEND_SLASH = True
ADMIN_PATH = env("ADMIN_PATH", default="admin/").strip("/") + "/"
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

# Database and cache --------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url_config(env("DATABASE_URL", default="") or embedded.database_url())}
# The owner migrates and nothing else; web, worker and beat never learn its address (decision 0013).
if owner_url := env("DATABASE_OWNER_URL", default="") or (
    "" if env("DATABASE_URL", default="") else embedded.owner_url()
):
    DATABASES["owner"] = env.db_url_config(owner_url) | {"ENGINE": "clearance.postgresql"}
DATABASES["default"] |= {
    "ENGINE": "clearance.postgresql",  # tells the database who acts
    "CONN_MAX_AGE": 0,  # the pool keeps the connections
    "OPTIONS": {
        # A machine that is gone says nothing, not even that: after so long nobody waits for it any more.
        "connect_timeout": 2,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": 5000,
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": {
            "min_size": 1,
            "max_size": env.int("DB_POOL_SIZE", default=20) + env.int("DB_MAX_OVERFLOW", default=10),
            "timeout": 10,  # while all are in use; a server that is away is known at once (decision 0025)
        },
    },
}
if replica_url := env("DATABASE_REPLICA_URL", default=""):
    replica = env.db_url_config(replica_url)
    # Whoever waits for a replica that is gone reads from the main database instead.
    pool = {"pool": {**DATABASES["default"]["OPTIONS"]["pool"], "timeout": 2}}
    DATABASES["replica"] = {**DATABASES["default"], **replica, "OPTIONS": {**replica.get("OPTIONS", {}), **pool}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env("REDIS_URL", default="") or embedded.redis_url()
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": f"clearance:{DATABASES['default']['NAME']}",  # two databases may share one Redis
        "OPTIONS": {"socket_connect_timeout": 0.1, "socket_timeout": 0.5},  # a slow Redis is worth less than none
    }
}

# People --------------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.Sessions"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "full_name", "phone")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "accounts.rules.FourKindsOfCharacters"},
]
LOGIN_URL = "admin:login"
ACCESS_TOKEN_LIFETIME = timedelta(minutes=30)
REFRESH_TOKEN_LIFETIME = timedelta(days=7)

# An OpenID provider (I8): with a client, people sign in through it; with an audience, its tokens open the API.
OIDC_ISSUER = env("OIDC_ISSUER", default="") or (
    f"https://{domain}/" if (domain := env("AUTH0_DOMAIN", default="")) else ""
)
OIDC_CLIENT_ID = env("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env("OIDC_CLIENT_SECRET", default="")
OIDC_AUDIENCE = env("OIDC_AUDIENCE", default="") or env("AUTH0_AUDIENCE", default="")
OIDC_CLAIMS = {
    "department": env("OIDC_DEPARTMENT_CLAIM", default=""),
    "role": env("OIDC_ROLE_CLAIM", default=""),
    "divisions": env("OIDC_DIVISIONS_CLAIM", default=""),
}
if OIDC_ISSUER and not re.match(r"https://[^/]|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", OIDC_ISSUER):
    raise ImproperlyConfigured("OIDC_ISSUER begins with https:// (http:// on this machine only).")
if OIDC_AUDIENCE and OIDC_AUDIENCE == OIDC_CLIENT_ID:
    raise ImproperlyConfigured("OIDC_AUDIENCE is the API's own name at the provider, not OIDC_CLIENT_ID.")
if set(env.list("AUTH0_ALGORITHMS", default=[])) - {"RS256"}:
    raise ImproperlyConfigured("AUTH0_ALGORITHMS: only RS256 is accepted.")

# Language and time ---------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ar", _("Arabic"))]
LOCALE_PATHS = [BASE_DIR / "clearance" / "locale"]
FORMAT_MODULE_PATH = "clearance.formats"  # day first; Django's own English would read 05/04 as the 4th of May
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Muscat"

# Files ---------------------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
UPLOAD_LIMIT_BYTES = env.int("UPLOAD_LIMIT_MB", default=10) * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = UPLOAD_LIMIT_BYTES

# API -----------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.doors.authentication.BearerAuthentication",
        "accounts.doors.authentication.KeyAuthentication",
        "accounts.doors.authentication.StaffSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "accounts.doors.permissions.MayRead",
    ],
    "DEFAULT_RENDERER_CLASSES": ["clearance.api.rendering.JSON", "clearance.api.rendering.BrowsableAPI"],
    "DEFAULT_PARSER_CLASSES": ["clearance.api.parsing.JSON"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "clearance.api.rendering.Negotiation",
    "DEFAULT_METADATA_CLASS": "clearance.api.rendering.Metadata",
    "DEFAULT_PAGINATION_CLASS": "clearance.api.paging.Pages",
    "DEFAULT_SCHEMA_CLASS": "clearance.api.schema.Operation",
    "EXCEPTION_HANDLER": "clearance.api.refusals.refuse",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
RATE_LIMIT_PER_MINUTE = env.int("RATE_LIMIT_PER_MINUTE", default=100)
SPECTACULAR_SETTINGS = {
    "TITLE": "Clearance API",
    "VERSION": "1.0.0",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "Department": "accounts.choices.Department",
        "RoleWithin": "accounts.choices.Role",
        "SeverityEnum": "outbox.choices.Severity",
        "WorkingDepartment": "accounts.choices.DEPARTMENTS",
        "KeyState": "accounts.choices.KeyState",
        "ServiceRole": "accounts.choices.SERVICE_ROLE_CHOICES",
        "HealthStatus": "clearance.health.STATUSES",
        "ShipmentStatus": "shipments.choices.Status",
        "StepStatus": "workflow.choices.StepStatus",
    },
    "PREPROCESSING_HOOKS": [],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "clearance.api.schema.describe_conventions",
    ],
}

# Background work -----------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="") or embedded.as_broker_url(REDIS_URL)
CELERY_RESULT_BACKEND = env("CELERY_RESULT_BACKEND", default="") or embedded.as_broker_url(REDIS_URL)
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# A worker that names no queues takes from these, in this order: an alert is raised before any mail goes out.
CELERY_TASK_QUEUES = [Queue(name, Exchange(name), routing_key=name) for name in ("alerts", "mail", "default")]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "alerts.tasks.sweep": "alerts",
    "outbox.tasks.deliver": "mail",
    "outbox.tasks.deliver_texts": "mail",
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_SOFT_TIME_LIMIT = 570
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_RESULT_EXPIRES = timedelta(hours=24)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # wait for Redis for as long as it takes
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "queue_order_strategy": "priority",
    "visibility_timeout": 900,  # seconds until a killed worker's task goes to another; longer than any task may take
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# Mail ----------------------------------------------------------------------------------------------------------------
EMAIL_HOST = env("SMTP_HOST", default="localhost")
EMAIL_PORT = env.int("SMTP_PORT", default=587)
EMAIL_HOST_USER = env("SMTP_USER", default="")
EMAIL_HOST_PASSWORD = env("SMTP_PASSWORD", default="")
EMAIL_USE_TLS = EMAIL_PORT == 587 and bool(EMAIL_HOST_USER)
EMAIL_USE_SSL = EMAIL_PORT == 465
EMAIL_TIMEOUT = 10
EMAIL_FILE_PATH = embedded.VAR / "mail"
MAIL_PROVIDER = env("MAIL_PROVIDER", default="smtp")
# A production without a mail server waits for one, in plain sight; only on one's own machine mail becomes files.
MAIL_BECOMES_FILES = DEBUG and MAIL_PROVIDER == "smtp" and not env("SMTP_HOST", default="")
EMAIL_BACKENDS = {"smtp": "outbox.backends.Smtp", "ses": "outbox.backends.Ses"}
if MAIL_PROVIDER not in EMAIL_BACKENDS:
    raise ImproperlyConfigured("MAIL_PROVIDER is smtp (a mail server) or ses (Amazon SES).")
EMAIL_BACKEND = "outbox.backends.MailFolder" if MAIL_BECOMES_FILES else EMAIL_BACKENDS[MAIL_PROVIDER]
MAIL_LEASE = timedelta(seconds=env.int("MAIL_LEASE_SECONDS", default=120))
if timedelta(minutes=10) < MAIL_LEASE:  # what the database takes, with some room for clocks that differ
    raise ImproperlyConfigured("MAIL_LEASE_SECONDS is at most 600: nothing may be held up for longer unseen.")
DEFAULT_FROM_EMAIL = env("SMTP_FROM", default="clearance@localhost")
BASE_URL = env("BASE_URL", default=f"http://127.0.0.1:{env('PORT', default='8000')}").rstrip("/")

# Text messages -------------------------------------------------------------------------------------------------------
SMS_PROVIDER = env("SMS_PROVIDER", default="console" if DEBUG else "")
SMS_BACKENDS = {"": "", "console": "outbox.backends.TextFolder", "sns": "outbox.backends.Sns"}
if SMS_PROVIDER not in SMS_BACKENDS or (SMS_PROVIDER == "console" and not DEBUG):
    raise ImproperlyConfigured("SMS_PROVIDER is empty (no text messages) or sns; console is for your own machine.")
SMS_BACKEND = SMS_BACKENDS[SMS_PROVIDER]
SMS_FILE_PATH = embedded.VAR / "sms"
SMS_SENDER = env("SMS_SENDER", default="")

# Amazon --------------------------------------------------------------------------------------------------------------
# Its keys come from the environment or the machine's role, which boto3 asks itself.
AWS_REGION = env("AWS_REGION", default="") or env("AWS_DEFAULT_REGION", default="")
if not AWS_REGION and (MAIL_PROVIDER == "ses" or SMS_PROVIDER == "sns"):
    raise ImproperlyConfigured("Amazon SES and SNS need a region: set AWS_REGION.")
# One attempt: a repeat that nobody knows of would be a second mail. The outbox tries again, and counts.
_AMAZON = {
    "region_name": AWS_REGION,
    "config": Config(
        connect_timeout=EMAIL_TIMEOUT, read_timeout=EMAIL_TIMEOUT, retries={"total_max_attempts": 1, "mode": "standard"}
    ),
}
SNS_CLIENT = {**_AMAZON, "endpoint_url": env("SNS_ENDPOINT_URL", default="") or None}
ANYMAIL = {
    "AMAZON_SES_CLIENT_PARAMS": {**_AMAZON, "endpoint_url": env("SES_ENDPOINT_URL", default="") or None},
    "AMAZON_SES_CONFIGURATION_SET_NAME": env("SES_CONFIGURATION_SET", default="") or None,
}

# Audit ---------------------------------------------------------------------------------------------------------------
DENIALS_NOTED_BY = "audit.services.record_denial"  # what the doors tell of whoever was refused
SIMPLE_HISTORY_ENABLED = False  # its signals miss bulk writes and SQL: triggers write its rows (decision 0013)
SIMPLE_HISTORY_DATE_INDEX = False  # one index of ours serves both: who, when
AUDIT_RETENTION_YEARS = env.int("AUDIT_RETENTION_YEARS", default=10)
if AUDIT_RETENTION_YEARS < 7:  # customs law asks for as much
    raise ImproperlyConfigured("AUDIT_RETENTION_YEARS is at least 7: the trail is evidence for so long.")

# Escalation ----------------------------------------------------------------------------------------------------------
# Rungs of day 4 to 8 that fall on a day off are raised on the last working day before it.
ALERTS_PULL_FORWARD = env.bool("ALERTS_PULL_FORWARD", default=True)

# The field's figures -------------------------------------------------------------------------------------------------
DEMURRAGE_DAILY_RATE_OMR = env(
    "DEMURRAGE_DAILY_RATE_OMR", Decimal, default=Decimal("38.462")
)  # about 100 USD per container
# By how many days a shipment that was on time would have been late; without it, the mean of those that were.
DEMURRAGE_COUNTERFACTUAL_DAYS = (
    env("DEMURRAGE_COUNTERFACTUAL_DAYS", Decimal) if env("DEMURRAGE_COUNTERFACTUAL_DAYS", default="") else None
)

# Metrics of the processes --------------------------------------------------------------------------------------------
# Behind a proxy on the same machine everybody comes from there: so it is trusted once the proxies were counted.
_PROXIES_ARE_COUNTED = DEBUG or "TRUSTED_PROXY_COUNT" in os.environ
METRICS_ALLOWED_ADDRESSES = env.list(
    "METRICS_ALLOWED_ADDRESSES", default=["127.0.0.1", "::1"] if _PROXIES_ARE_COUNTED else []
)
if not _PROXIES_ARE_COUNTED and any(ip_network(one, strict=False).is_loopback for one in METRICS_ALLOWED_ADDRESSES):
    raise ImproperlyConfigured(
        "METRICS_ALLOWED_ADDRESSES names this machine: say in TRUSTED_PROXY_COUNT how many proxies are in front of it."
    )

# Logs ----------------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "clearance.logs.line", "is_readable": DEBUG}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}},
    "root": {"handlers": ["stdout"], "level": env("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"handlers": ["stdout"], "propagate": False},
        "django.request": {"level": "ERROR"},  # a refusal is one access-log line, not a second warning
        "django.db.backends": {"level": "INFO"},  # never statements, which hold everything
        "gunicorn.error": {"handlers": ["stdout"], "propagate": False},
        "waitress.queue": {"level": "ERROR"},  # else a line for each request that waits for a thread
    },
}
