"""The conformance kit, on the provider `bedrock`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bedrock_place import MODEL, SECRET, bedrock_at
from bedrock_shapes import enum, status_of
from bedrock_vendor import DEPLOYMENTS, JOBS, BedrockVendor, Refusal
from ftkit_bedrock import JOB_WORDS, STANDS

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
from ftkit.testing import ProviderConformance, ProviderHooks

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from ftkit.models import DeploymentStatus
    from ftkit.provider import Provider

KINDS: dict[str, type[FtkitError]] = {
    "AccessDeniedException": CredentialsError,
    "ExpiredTokenException": CredentialsError,
    "InvalidSignatureException": CredentialsError,
    "UnrecognizedClientException": CredentialsError,
    "ConflictException": ConflictError,
    "InternalServerException": ProviderUnavailableError,
    "ResourceInUseException": ConflictError,
    "ResourceNotFoundException": NotFoundError,
    "ServiceQuotaExceededException": QuotaError,
    "ServiceUnavailableException": ProviderUnavailableError,
    "ThrottlingException": RateLimitError,
    "TooManyTagsException": QuotaError,
    "ValidationException": ProviderError,
}
"""All of Bedrock's errors, and those of all of AWS that tell of credentials."""
REFUSALS = {f"{status_of(code)} {code}": kind for code, kind in KINDS.items()}


BREAKS: dict[str, tuple[bytes | None, str]] = {
    "reset": (None, "Connection was closed"),
    "html": (b"<html>Please sign in</html>", "is no answer"),
    "half": (b'{"jobArn": "arn:', "is no answer"),
    "empty": (b"{}", "is no answer"),
}


class BedrockWitness:
    """Looks at the stand-in itself."""

    def __init__(self, vendor: BedrockVendor) -> None:
        self._vendor = vendor

    def jobs(self) -> int:
        return len(self._vendor.jobs)

    def creates(self) -> int:
        return self._vendor.requests["CreateModelCustomizationJob"]

    def requests(self) -> int:
        return self._vendor.requests.total()

    def uploads(self) -> int:
        return len(self._vendor.files)

    def deployments(self) -> int:
        return len(self._vendor.deployments)

    def set_status(self, job_id: str, word: str) -> None:
        self._vendor.set_status(job_id, word)

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return JOB_WORDS

    def known_deployment_words(self) -> Mapping[str, DeploymentStatus]:
        return STANDS

    def set_deployment(self, name: str, word: str) -> None:
        self._vendor.deployments[name]["status"] = word
        self._vendor.held.add(name)

    def secrets(self) -> Sequence[str]:
        return [SECRET]

    def lose_replies(self, n: int) -> None:
        self._vendor.breaks += [({"CreateModelCustomizationJob"}, None)] * n

    def known_breaks(self) -> Mapping[str, str]:
        return {way: words for way, (_, words) in BREAKS.items()}

    def break_line(self, way: str) -> None:
        self._vendor.breaks.append((JOBS, BREAKS[way][0]))

    def known_refusals(self) -> Mapping[str, type[FtkitError]]:
        return REFUSALS

    def refuse(self, word: str, message: str, request_id: str) -> None:
        self._vendor.refusals.append(Refusal(JOBS, word.split()[1], message, request_id))

    def known_deployment_refusals(self) -> Mapping[str, type[FtkitError]]:
        return {word: kind for word, kind in REFUSALS.items() if kind is not NotFoundError}  # which says: it is free

    def refuse_deployment(self, word: str, message: str, request_id: str) -> None:
        self._vendor.refusals.append(Refusal(DEPLOYMENTS, word.split()[1], message, request_id))


class BedrockHooks(ProviderHooks):
    vendor: BedrockVendor

    @pytest.fixture
    def provider(self) -> Generator[Provider]:
        self.vendor = BedrockVendor()
        yield self.make_provider()
        self.vendor.stop()
        # What the kit makes up on purpose is no word of AWS's.
        assert not [each for each in self.vendor.misfits if "'ftkit_never_seen'" not in each]

    def make_provider(self) -> Provider:
        return bedrock_at(self.vendor.url)

    def make_witness(self, provider: Provider) -> BedrockWitness:
        del provider
        return BedrockWitness(self.vendor)

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(model=MODEL, training_file=training_file, method=Supervised(n_epochs=2), suffix="kit")

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        good = self.request(training_file)
        return [
            good.model_copy(update={"method": Supervised(batch_size=2)}),
            good.model_copy(update={"method": Supervised(n_epochs="auto")}),
            good.model_copy(update={"model": "anthropic.claude-3-haiku", "method": Supervised(learning_rate=0.1)}),
            good.model_copy(update={"provider_options": {"hyperparameters": {"epochCount": "3"}}}),
            good.model_copy(update={"provider_options": {"hyperparameters": "epochCount"}}),
            good.model_copy(update={"seed": 1}),
            good.model_copy(update={"suffix": "no spaces"}),
            good.model_copy(update={"suffix": "x" * 41}),
            good.model_copy(update={"metadata": {"team": "r&d"}}),
            good.model_copy(update={"metadata": {"": "no name"}}),
        ]


class TestBedrock(BedrockHooks, ProviderConformance):
    pass


def test_words_are_those_of_aws() -> None:
    assert set(JOB_WORDS) == enum("ModelCustomizationJobStatus")
    assert set(STANDS) == enum("CustomModelDeploymentStatus")
