"""The conformance kit, on the provider `together`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from together_vendor import KEY, TogetherVendor, together_at

from ftkit import DPO, JobRequest, JobStatus, LoRA, Supervised, TrainingFile
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
from ftkit.testing import ProviderConformance, ProviderHooks

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from ftkit.provider import Provider

STATUSES = {
    "pending": JobStatus.QUEUED,
    "queued": JobStatus.QUEUED,
    "running": JobStatus.RUNNING,
    "compressing": JobStatus.RUNNING,
    "uploading": JobStatus.RUNNING,
    "cancel_requested": JobStatus.CANCELLING,
    "cancelled": JobStatus.CANCELLED,
    "error": JobStatus.FAILED,
    "user_error": JobStatus.FAILED,
    "completed": JobStatus.SUCCEEDED,
}
REFUSALS: dict[str, type[FtkitError]] = {
    "400": ProviderError,
    "401": CredentialsError,
    "402": QuotaError,
    "403": ProviderError,
    "404": NotFoundError,
    "408": ProviderUnavailableError,
    "409": ConflictError,
    "422": ProviderError,
    "429": RateLimitError,
    "500": ProviderUnavailableError,
    "503": ProviderUnavailableError,
    "504": ProviderUnavailableError,
    "524": ProviderUnavailableError,
    "529": ProviderUnavailableError,
}
"""Those of docs.together.ai/docs/error-codes."""


class TogetherWitness:
    """Looks at the stand-in itself."""

    def __init__(self, vendor: TogetherVendor) -> None:
        self._vendor = vendor

    def jobs(self) -> int:
        return len(self._vendor.jobs)

    def creates(self) -> int:
        return self._vendor.requests["POST /v1/fine-tunes"]

    def requests(self) -> int:
        return self._vendor.requests.total()

    def uploads(self) -> int:  # those that were asked for, and never sent, are none
        return len(self._vendor.contents)

    def set_status(self, job_id: str, word: str) -> None:
        self._vendor.set_status(job_id, word)

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return STATUSES

    def known_refusals(self) -> Mapping[str, type[FtkitError]]:
        return REFUSALS

    def refuse(self, word: str, message: str, request_id: str) -> None:
        self._vendor.refusals.append((int(word), message, request_id))

    def order(self, job_id: str) -> object:
        return self._vendor.orders[[*self._vendor.jobs].index(job_id)]

    def secrets(self) -> Sequence[str]:
        return [KEY]

    def lose_replies(self, n: int) -> None:
        self._vendor.lost += n

    def add_event(self, job_id: str, message: str) -> None:
        self._vendor.add_event(job_id, message)


class TogetherHooks(ProviderHooks):
    """Every check has a stand-in of its own, which raises at the end what was wrong with it, or with what came."""

    @pytest.fixture
    def provider(self) -> Generator[Provider]:
        self.vendor = TogetherVendor()
        provider = self.make_provider()
        yield provider
        provider._client.close()
        self.vendor.stop()

    def make_provider(self) -> Provider:
        return together_at(self.vendor.url)

    def make_witness(self, provider: Provider) -> TogetherWitness:
        del provider
        return TogetherWitness(self.vendor)

    def request(self, training_file: TrainingFile) -> JobRequest:
        model, method = "Qwen/Qwen3-8B", Supervised(n_epochs=2, learning_rate=2e-5)
        return JobRequest(model=model, training_file=training_file, method=method, suffix="kit")

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        good = self.request(training_file)
        return [
            good.model_copy(update={"method": Supervised(learning_rate_multiplier=2)}),
            good.model_copy(update={"method": DPO(lora=LoRA(alpha=16))}),
            good.model_copy(update={"suffix": "x" * 41}),
            good.model_copy(update={"metadata": {"team": "red"}}),
            good.model_copy(update={"provider_options": {"warmup_ratio": 2}}),
        ]


class TestTogether(TogetherHooks, ProviderConformance):
    pass
