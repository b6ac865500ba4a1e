"""The conformance kit, on the provider `openai`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
from wire_vendor import KEY, WireVendor

from ftkit import JobRequest, JobStatus, Supervised, TrainingFile
from ftkit.errors import (
    ConflictError,
    CredentialsError,
    FtkitError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.providers.openai import OpenAIProvider
from ftkit.testing import ProviderConformance, ProviderHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ftkit.provider import Provider

WORDS = {
    "validating_files": JobStatus.VALIDATING,
    "created": JobStatus.QUEUED,
    "pending": JobStatus.QUEUED,
    "notRunning": JobStatus.QUEUED,
    "queued": JobStatus.QUEUED,
    "running": JobStatus.RUNNING,
    "pausing": JobStatus.RUNNING,
    "paused": JobStatus.PAUSED,
    "resuming": JobStatus.QUEUED,
    "cancelling": JobStatus.CANCELLING,
    "canceling": JobStatus.CANCELLING,
    "succeeded": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELLED,
    "canceled": JobStatus.CANCELLED,
}
"""Those of OpenAI's and of Azure's: they are read alike."""

REFUSALS: dict[str, type[FtkitError]] = {
    "307": ProviderError,  # sent on to an address that holds the message: no redirect is followed
    "400": ProviderError,
    "401": CredentialsError,
    "403": ProviderError,
    "404": NotFoundError,
    "408": ProviderUnavailableError,
    "409": ConflictError,
    "422": ProviderError,
    "429": RateLimitError,
    "429 code=insufficient_quota": QuotaError,
    "429 code=quotaExceeded": QuotaError,
    "429 code=billing_hard_limit_reached": QuotaError,
    "429 code=exceeded_quota": QuotaError,
    "429 type=insufficient_quota": QuotaError,
    "500": ProviderUnavailableError,
    "502": ProviderUnavailableError,
    "503": ProviderUnavailableError,
    "504": ProviderUnavailableError,
}
"""A status, and what is in the body where that says more."""


def _raises(kind: type[httpx2.TransportError]) -> Callable[[httpx2.Request], httpx2.Response]:
    def broken(request: httpx2.Request) -> httpx2.Response:
        raise kind("the line is broken", request=request)

    return broken


BREAKS: dict[str, tuple[str, Callable[[httpx2.Request], httpx2.Response]]] = {
    "timeout": ("did not answer in time", _raises(httpx2.ReadTimeout)),
    "reset": ("cannot be reached", _raises(httpx2.ReadError)),
    "no way there": ("cannot be reached", _raises(httpx2.ConnectError)),
    "HTML": ("what it sent is no job", lambda _: httpx2.Response(200, html="<html>Sign in</html>")),
    "half of it": ("what it sent is no job", lambda _: httpx2.Response(200, content=b'{"id": "ftjob-')),
    "something else": ("what it sent is no job", lambda _: httpx2.Response(200, json={"object": "list"})),
}
"""In which ways no answer comes, or none that can be read; what the error says, and how it is done."""


class WireWitness:
    """Looks at the stand-in itself."""

    def __init__(self, vendor: WireVendor) -> None:
        self._vendor = vendor

    def jobs(self) -> int:
        return len(self._vendor.jobs)

    def creates(self) -> int:
        return self._vendor.requests["POST /fine_tuning/jobs"]

    def requests(self) -> int:
        return self._vendor.requests.total()

    def set_status(self, job_id: str, word: str) -> None:
        self._vendor.set_status(job_id, word)

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return WORDS

    def known_refusals(self) -> Mapping[str, type[FtkitError]]:
        return REFUSALS

    def refuse(self, word: str, message: str, request_id: str) -> None:
        status, _, told = word.partition(" ")
        self._vendor.refuse(int(status), message, request_id, **dict([told.split("=")] if told else []))

    def order(self, job_id: str) -> object:
        return self._vendor.bodies[[*self._vendor.jobs].index(job_id)]

    def known_breaks(self) -> Mapping[str, str]:
        return {way: words for way, (words, _) in BREAKS.items()}

    def break_line(self, way: str) -> None:
        self._vendor.breaks.append(BREAKS[way][1])

    def uploads(self) -> int:
        return len(self._vendor.files)

    def secrets(self) -> Sequence[str]:
        return [KEY]

    def lose_replies(self, n: int) -> None:
        def lost(request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ReadError("the connection was reset", request=request)

        self._vendor.faults += [lost] * n

    def add_event(self, job_id: str, message: str) -> None:
        self._vendor.add_event(job_id, message)


class OpenAIHooks(ProviderHooks):
    def make_provider(self) -> OpenAIProvider:
        self.vendor = WireVendor()
        return OpenAIProvider(self.vendor.client())

    def make_witness(self, provider: Provider) -> WireWitness:
        del provider
        return WireWitness(self.vendor)

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(
            model="gpt-4o-mini-2024-07-18", training_file=training_file, method=Supervised(n_epochs=2), suffix="kit"
        )

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        good = self.request(training_file)
        return [
            good.model_copy(update={"method": Supervised(learning_rate=0.1)}),
            good.model_copy(update={"method": Supervised(n_epochs=51)}),
            good.model_copy(update={"suffix": "x" * 65}),
            good.model_copy(update={"metadata": {str(n): "" for n in range(16)}}),
            good.model_copy(update={"metadata": {"x": "y" * 513}}),
            good.model_copy(update={"provider_options": {"integrations": []}}),
        ]


class TestOpenAI(OpenAIHooks, ProviderConformance):
    pass
