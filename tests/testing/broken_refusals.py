"""Providers that break the rules about refusals, pausing, serving and threads, each one of them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from memory_kit import GiftedProvider

from ftkit.errors import (
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
)
from ftkit.models import ChatChunk, DeploymentStatus, FineTuningJob, JobStatus, Problem
from ftkit.testing import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from ftkit.models import ChatMessage, ChatOptions, ChatReply, Checkpoint, Deployment, JobRequest


class SaysThatItFailed(MemoryProvider):
    """Takes a line that breaks for a refusal."""

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        try:
            return super().create_job(request, key)
        except ProviderUnavailableError as error:
            if "was cut" not in str(error):
                raise
            raise ConflictError("it did not work", provider=self.name) from None


class SaysNotWhy(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        try:
            return super().get_job(job_id)
        except ProviderUnavailableError as error:
            if error.status_code is not None:
                raise
            raise ProviderUnavailableError("no answer", provider=self.name) from None


class ForgetsTheSeed(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        return super().create_job(request.model_copy(update={"seed": None}), key)


class AlwaysRuns(MemoryProvider):
    def get_deployment(self, name: str) -> Deployment:
        found = super().get_deployment(name)
        is_strange = found.status is DeploymentStatus.UNKNOWN
        return found.model_copy(update={"status": DeploymentStatus.RUNNING}) if is_strange else found


class AnyRefusalIsAnError(MemoryProvider):
    """Knows no refusal from another."""

    def get_job(self, job_id: str) -> FineTuningJob:
        try:
            return super().get_job(job_id)
        except ProviderError as error:
            where = {"request_id": error.request_id, "status_code": error.status_code}
            raise ProviderError(error.args[0], provider=self.name, **where) from None


class SaysItInItsOwnWords(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        try:
            return super().get_job(job_id)
        except CredentialsError as error:
            raise CredentialsError("the key is wrong") from error


class ForgetsTheRequest(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        try:
            return super().create_job(request, key)
        except QuotaError as error:
            raise QuotaError(error.args[0], provider=self.name, status_code=error.status_code) from None


class ForgetsTheStatus(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        try:
            return super().create_job(request, key)
        except ConflictError as error:
            raise ConflictError(error.args[0], provider=self.name, request_id=error.request_id) from None


class ForgetsItsName(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        try:
            return super().create_job(request, key)
        except NotFoundError as error:
            where = {"request_id": error.request_id, "status_code": error.status_code}
            raise NotFoundError(error.args[0], **where) from None


class RetriesWhatIsBusy(MemoryProvider):
    """Does what many an SDK does, if nobody switches it off."""

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        try:
            return super().create_job(request, key)
        except RateLimitError:
            return super().create_job(request, key)


class LeaksWhenRefused(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        try:
            return super().create_job(request, key)
        except CredentialsError as error:
            key = self._api_key.get_secret_value() if self._api_key else ""
            raise CredentialsError(f"{error.message}: {key}") from None


class TakesARefusalForAnAbsence(MemoryProvider):
    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        try:
            return super().find_job(key, request, since)
        except ProviderUnavailableError:
            return None


class GivesUpAtOnce(MemoryProvider):
    """Calls what passes by itself an error for good."""

    def get_job(self, job_id: str) -> FineTuningJob:
        try:
            return super().get_job(job_id)
        except RateLimitError as error:
            raise ProviderError(error.args[0], provider=self.name) from None


class AsksAgainInVain(MemoryProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        try:
            return super().get_job(job_id)
        except CredentialsError:
            return super().get_job(job_id)


class DeploysWhateverIsSaid(MemoryProvider):
    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        try:
            return super().deploy(target, name, options)
        except QuotaError:
            return super().deploy(target, name, options)


class ListsNothingWhenRefused(MemoryProvider):
    def list_deployments(self) -> list[Deployment]:
        try:
            return super().list_deployments()
        except ProviderError:
            return []


class ForgetsWhatItDid(GiftedProvider):
    def get_job(self, job_id: str) -> FineTuningJob:
        job = super().get_job(job_id)
        gone = job.fine_tuned_model in self.deleted
        return job.model_copy(update={"status": JobStatus.FAILED}) if gone else job


class PassesOverAnOption(MemoryProvider):
    def problems(self, request: JobRequest) -> list[Problem]:
        return [problem for problem in super().problems(request) if problem.field != "provider_options"]


class EndsToPause(GiftedProvider):
    def pause_job(self, job_id: str) -> FineTuningJob:
        return self.cancel_job(job_id)


class StaysPaused(GiftedProvider):
    def resume_job(self, job_id: str) -> FineTuningJob:
        return self.get_job(job_id)


class WakesTheDead(GiftedProvider):
    def resume_job(self, job_id: str) -> FineTuningJob:
        self.vendor.advance(job_id, "running")
        return self.get_job(job_id)


class PausesTheDead(GiftedProvider):
    def pause_job(self, job_id: str) -> FineTuningJob:
        return self.get_job(job_id)


class BreaksWhenClosed(GiftedProvider):
    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        try:
            yield from super().stream_chat(deployment, messages, options)
        except GeneratorExit:
            raise RuntimeError("the answer broke off") from None


class AnswersWithAKeyError(MemoryProvider):
    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        model = {each.name: each.model for each in self.vendor.list_deployments()}[deployment.name]
        return super().chat(deployment.model_copy(update={"model": model}), messages, options)


class RefusesTheDeleted(GiftedProvider):
    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        try:
            return super().chat(deployment, messages, options)
        except NotFoundError as error:
            raise CredentialsError(error.message) from error


class RemembersOneRequest(MemoryProvider):
    """Keeps on itself what belongs to a call: while one waits for the vendor, another overwrites it."""

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        self._made = super().create_job(request, key)
        time.sleep(0.05)
        return self._made


class CreatesUnevenly(MemoryProvider):
    """Takes a lock that is held for a failure."""

    _lock = threading.Lock()

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        if not self._lock.acquire(blocking=False):
            raise ConflictError("busy", provider=self.name)
        with self._lock_held():
            time.sleep(0.05)
            return super().create_job(request, key)

    @contextmanager
    def _lock_held(self) -> Generator[None]:
        try:
            yield
        finally:
            self._lock.release()


class RemembersOneKey(MemoryProvider):
    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        self._key = key
        time.sleep(0.05)
        return super().create_job(request, key).model_copy(update={"key": self._key})


class CountsItsReaders(MemoryProvider):
    _readers = 0

    def get_job(self, job_id: str) -> FineTuningJob:
        job = super().get_job(job_id)
        self._readers += 1
        return job.model_copy(update={"step": self._readers})


BROKEN: Mapping[type[MemoryProvider], tuple[str, str]] = MappingProxyType(
    {
        ForgetsTheSeed: ("test_orders_tell_all_that_was_asked_for", "differ in seed were ordered alike"),
        AlwaysRuns: ("test_deployment_words", "must read as unknown"),
        SaysNotWhy: ("test_broken_reads", "must say"),
        SaysThatItFailed: ("test_broken_creates", "must be unclear"),
        AnswersWithAKeyError: ("test_chat", "chat: vendor exceptions"),
        AnyRefusalIsAnError: ("test_refused_reads", "refused with '402', must be a QuotaError"),
        AsksAgainInVain: ("test_client_asks_once", "refused with '401', it took 2"),
        BreaksWhenClosed: ("test_stream_chat", "RuntimeError"),
        CountsItsReaders: ("test_many_threads_read_a_job", "another"),
        CreatesUnevenly: ("test_many_threads_make_jobs", "8 threads at once: ConflictError: memory: busy"),
        DeploysWhateverIsSaid: ("test_refused_deployments", "refused with '402', must be a QuotaError"),
        EndsToPause: ("test_pause", "is cancelled"),
        ForgetsItsName: ("test_refused_creates", "came from None"),
        ForgetsTheRequest: ("test_refused_creates", "for the vendor's request id"),
        ForgetsTheStatus: ("test_refused_creates", "tells None for the status"),
        ForgetsWhatItDid: ("test_delete_model", "the job is failed"),
        GivesUpAtOnce: ("test_client_reads_again", "must be answered"),
        LeaksWhenRefused: ("test_refused_creates", "refused with '401', shows a secret"),
        ListsNothingWhenRefused: ("test_refused_deployments", "list_deployments, refused with '400'"),
        PassesOverAnOption: ("test_refused_before_upload", "sent all the same"),
        PausesTheDead: ("test_pause_of_an_ended_job", "pause_job of a job that was succeeded"),
        RefusesTheDeleted: ("test_stream_chat", "stream_chat with what was deleted .* came as CredentialsError"),
        RemembersOneKey: ("test_many_threads_make_jobs", "key of another thread"),
        RemembersOneRequest: ("test_many_threads_make_jobs", "got 1 ids"),
        RetriesWhatIsBusy: ("test_refused_creates", "refused with '429' was sent 2 times"),
        SaysItInItsOwnWords: ("test_refused_reads", "does not tell the vendor's message"),
        StaysPaused: ("test_resume", "is paused"),
        TakesARefusalForAnAbsence: ("test_refused_looks_find_no_absence", "says that there is no job"),
        WakesTheDead: ("test_pause_of_an_ended_job", "resume_job of a job that was succeeded"),
    }
)
"""A provider that breaks a rule -> the check that must see it, and what that says."""
