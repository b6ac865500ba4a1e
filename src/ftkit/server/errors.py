"""What a request is refused with, before a dialect writes it; and how errors of ftkit become that."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    DatasetError,
    FtkitError,
    LedgerError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
    UnclearOutcomeError,
    UnsupportedError,
    without_keys,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger("ftkit.server")

BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, CONFLICT, TOO_LARGE = 400, 401, 404, 409, 413
TOO_MANY, INTERNAL, UNAVAILABLE = 429, 500, 503
_KINDS = {
    TOO_MANY: "rate_limit_error",
    INTERNAL: "server_error",
    UNAVAILABLE: "server_error",
}


class ApiError(Exception):
    """A request is refused.

    Attributes:
        message: What is wrong, and how to mend it.
        status: The HTTP status.
        param: The field of the request, or None.
        code: A short name of what is wrong, in OpenAI's words where it has one.
        headers: Headers that go with it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = BAD_REQUEST,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(without_keys(message))
        self.message = without_keys(message)
        self.status = status
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    @property
    def type(self) -> str:
        """OpenAI's kind of error."""
        return _KINDS.get(self.status, "invalid_request_error")


def missing(noun: str, record_id: str, param: str = "id", code: str | None = None) -> ApiError:
    """Returns the error of an id that nobody knows."""
    return ApiError(f"No such {noun}: {record_id[:200]}", status=NOT_FOUND, param=param, code=code)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    code: str | None = None


# The first that fits; subclasses stand before their bases.
_ANSWERS: Sequence[tuple[type[FtkitError], _Answer]] = (
    (NotFoundError, _Answer(NOT_FOUND, "not_found")),
    (ConflictError, _Answer(CONFLICT, "conflict")),
    (QuotaError, _Answer(TOO_MANY, "insufficient_quota")),
    (RateLimitError, _Answer(TOO_MANY, "rate_limit_exceeded")),
    (UnclearOutcomeError, _Answer(UNAVAILABLE, "unclear_outcome")),
    (ProviderUnavailableError, _Answer(UNAVAILABLE, "provider_unavailable")),
    (CredentialsError, _Answer(UNAVAILABLE, "provider_refused_credentials")),  # the server's own, not the caller's
    (LedgerError, _Answer(UNAVAILABLE, "server_error")),
    (DatasetError, _Answer(BAD_REQUEST, "invalid_file_format")),
    (UnsupportedError, _Answer(BAD_REQUEST, "unsupported")),
    (ConfigurationError, _Answer(BAD_REQUEST, "invalid_value")),
)
_REFUSALS = range(400, 500)


def api_error(error: FtkitError) -> ApiError:
    """Turns an error of ftkit into the answer to a request.

    Of a provider that broke down, the first line is told, and the rest (the end of a log, say) is for our own log.
    """
    for kind, answer in _ANSWERS:
        if isinstance(error, kind):
            if answer.status < INTERNAL:
                return ApiError(str(error), status=answer.status, code=answer.code)
            logger.warning("%s", error)
            return ApiError(str(error).partition("\n")[0], status=answer.status, code=answer.code)
    status = error.status_code if isinstance(error, ProviderError) else None
    if status in _REFUSALS:  # the provider found the request wrong, and its words say what
        return ApiError(str(error), status=status or BAD_REQUEST)
    logger.warning("%s", error)
    return ApiError(str(error).partition("\n")[0], status=UNAVAILABLE, code="provider_error")
