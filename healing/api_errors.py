"""One place where exceptions of the API become the four-key error shape."""

from __future__ import annotations

import logging

import psycopg
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from healing.gateway.errors import DialectError
from healing.gateway.seal import SealError
from healing.refusals import Refused

logger = logging.getLogger(__name__)


def install(api: NinjaAPI) -> None:
    """Maps every exception; nothing escapes unmapped."""

    def say(
        request: HttpRequest, status: int, code: str, message: str, details: str | None = None, hint: str | None = None
    ) -> HttpResponse:
        body = {"code": code, "message": message, "details": details, "hint": hint}
        return api.create_response(request, body, status=status)

    @api.exception_handler(Refused)
    def refused(request: HttpRequest, error: Refused) -> HttpResponse:
        return say(request, error.status, error.code, error.message, hint=error.hint)

    @api.exception_handler(DialectError)
    def unauthorized(request: HttpRequest, error: DialectError) -> HttpResponse:
        answer = say(request, error.status, error.code, error.message, error.details, error.hint)
        for name, value in error.headers:
            answer[name] = value
        return answer

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        faults = "; ".join(f"{'.'.join(str(p) for p in e['loc'][1:])}: {e['msg']}" for e in error.errors)
        return say(request, 422, "MG422", "The request is not valid.", faults)

    @api.exception_handler(Http404)
    def missing(request: HttpRequest, error: Http404) -> HttpResponse:
        return say(request, 404, "MG404", "There is no such thing, or it is not yours.")

    @api.exception_handler(RequestDataTooBig)
    def too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
        return say(request, 413, "MG413", "The body is too large", hint=f"At most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.")

    @api.exception_handler(HttpError)
    def http(request: HttpRequest, error: HttpError) -> HttpResponse:
        return say(request, error.status_code, f"MG{error.status_code}", str(error))

    @api.exception_handler(SealError)
    def sealed(request: HttpRequest, error: SealError) -> HttpResponse:
        return say(request, 503, "MG503", "The stored payload cannot be opened.", hint=str(error))

    @api.exception_handler(OperationalError)
    @api.exception_handler(psycopg.OperationalError)
    def away(request: HttpRequest, error: Exception) -> HttpResponse:
        logger.warning("database away: %s", error)
        answer = say(request, 503, "MG503", "A database does not answer.", hint="Try again in a moment.")
        answer["Retry-After"] = "1"
        return answer

    @api.exception_handler(Exception)
    def unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
        logger.exception("unexpected error in %s", request.path, exc_info=error)
        return say(request, 500, "MG500", "An unexpected error; it is in the log.")

    _ = (refused, unauthorized, invalid, missing, too_big, http, sealed, away, unexpected)
