"""Asking AWS through boto3, once each time: clients, answers, errors as ftkit's. Nothing here is of Bedrock alone."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError

from ftkit import errors, plugin

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

CODES: Mapping[str, type[errors.ProviderError]] = {
    "Conflict": errors.ConflictError,
    "ResourceInUse": errors.ConflictError,
    "ServiceQuotaExceeded": errors.QuotaError,
    "TooManyTags": errors.QuotaError,
    "Validation": errors.ProviderError,
}
"""AWS's codes, without "Exception", where they say more than the status. In the midst of a stream there is none."""
KEYS = {
    *("AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidClientTokenId"),
    *("InvalidSignature", "SignatureDoesNotMatch", "UnrecognizedClient", "403"),
}
"""Those that tell of credentials; 403 is all that comes of a question for a head."""
TOO_MANY = {"Throttling": 429}
"""Those that have a status of their own, for where there is none."""
_NO_KEY = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.NoRegionError)
_NO_LOGIN = (boto.ProfileNotFound, boto.SSOError, boto.TokenRetrievalError)
_HINT = "Credentials and region are looked for as by all of AWS's tools: `aws configure`, AWS_PROFILE, AWS_REGION, ..."


class Aws(plugin.HoldsKey):
    """A line to AWS. Nothing is sent, and no credentials are looked for, until something is asked.

    Args:
        provider: Name of the provider, for errors.
        session: A ready-made session; boto3's own if None.
        region: The region, if not that of the session.
        endpoint_url: Where all services are; AWS's own addresses if None.
        timeout_s: How long an answer may take, in seconds.
    """

    def __init__(
        self,
        provider: str,
        session: boto3.Session | None,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=timeout_s)
        self._provider, self._session = provider, session
        self._setting: dict[str, Any] = {"region_name": region, "endpoint_url": endpoint_url, "config": config}
        self._clients: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._account = ""

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients of data: they have no type
        """Returns the client of a service. Many threads may use it; those that make one wait for each other."""
        with self._lock, self.asking():
            if service not in self._clients:
                session: Any = self._session or boto3.Session()
                self._clients[service] = session.client(service, **self._setting)
            return self._clients[service]

    def region(self) -> str:
        """Returns the region."""
        return str(self.client("sts").meta.region_name)

    def account(self) -> str:
        """Returns account and region; AWS is asked once."""
        with self._lock:
            if not self._account:
                self._account = f"{self.ask('sts', 'get_caller_identity', 'Account')['Account']}/{self.region()}"
            return self._account

    def ask(self, service: str, operation: str, *needed: str, **arguments: object) -> dict[str, Any]:
        """Asks once.

        Args:
            service: The service, such as "s3".
            operation: The method of its client.
            needed: Texts that an answer must have. Without them nobody knows what became of the request.
            arguments: Its arguments; those that are None are left out.

        Raises:
            ProviderError: AWS refused, did not answer, or what came is no answer.
            CredentialsError: There are no credentials, or AWS refuses them.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        with self.asking():
            told: dict[str, Any] = getattr(self.client(service), operation)(**given)
        if not all(isinstance(told.get(name), str) for name in needed):
            raise errors.ProviderUnavailableError(f"what came for {operation} is no answer", provider=self._provider)
        return told

    def ask_all(self, service: str, operation: str, field: str, **arguments: object) -> list[dict[str, Any]]:
        """Asks for a whole list, page by page. Errors as for `ask`."""
        with self.asking():
            pages = self.client(service).get_paginator(operation).paginate(**arguments)
            return [item for page in pages for item in page.get(field, ())]

    @contextmanager
    def asking(self) -> Generator[None]:
        """Turns what boto3 raises into errors of ours, for the time of a `with` block."""
        where: dict[str, Any] = {"provider": self._provider}
        try:
            yield
        except boto.ClientError as error:
            failure: Exception = _refused(error, self._provider)
        except (*_NO_KEY, *_NO_LOGIN) as error:
            failure = errors.CredentialsError(f"{self._provider}: {plugin.plain(str(error), ())}", hint=_HINT)
        except boto.ParamValidationError as error:  # nothing was sent
            failure = errors.ProviderError(plugin.plain(str(error), ()), **where)
        except (boto.BotoCoreError, ResponseParserError) as error:
            failure = errors.ProviderUnavailableError(plugin.plain(str(error), ()), **where)
        else:
            return
        plugin.raise_alone(failure)


def _refused(error: boto.ClientError, provider: str) -> Exception:
    answer: Any = error.response
    told, meta = answer.get("Error", {}), answer.get("ResponseMetadata", {})
    code = str(told.get("Code", "")).removesuffix("Exception")
    code = code[:1].upper() + code[1:]  # a stream writes them with a small letter
    status, headers = meta.get("HTTPStatusCode", TOO_MANY.get(code, 500)), meta.get("HTTPHeaders", {})
    where: dict[str, Any] = {"provider": provider, "request_id": meta.get("RequestId")}
    message = plugin.plain(f"{told.get('Message') or 'no message'} ({code})", ())
    if code in KEYS:
        return errors.CredentialsError(f"{provider}: {message}", hint=_HINT)
    if code in CODES:
        return CODES[code](message, status_code=status, **where)
    wait = plugin.retry_after_s(headers.get("retry-after"), headers.get("date"))
    return plugin.error_of(status, message, retry_after=wait, **where)
