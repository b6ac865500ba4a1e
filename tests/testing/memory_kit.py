"""The kit, set up for `MemoryProvider`; used by the tests beside it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

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
from ftkit.models import (
    ChatChunk,
    DeploymentStatus,
    Estimate,
    JobRequest,
    JobStatus,
    Lifecycle,
    Metrics,
    Page,
    Supervised,
    TrainingFile,
)
from ftkit.testing import MemoryProvider, MemoryVendor, ProviderAttacks, ProviderConformance, ProviderHooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ftkit.models import ChatMessage, ChatOptions, Deployment, FineTuningJob
    from ftkit.provider import Provider

API_KEY = "sk-memory-4711"
REFUSALS: Mapping[str, type[FtkitError]] = {
    "400": ProviderError,
    "401": CredentialsError,
    "402": QuotaError,
    "404": NotFoundError,
    "409": ConflictError,
    "429": RateLimitError,
    "500": ProviderUnavailableError,
    "503": ProviderUnavailableError,
}


class MemoryWitness:
    """Looks at the vendor itself, past the provider and past the requests that it sees."""

    def __init__(self, vendor: MemoryVendor) -> None:
        self._vendor = vendor

    def jobs(self) -> int:
        return len(self._vendor.jobs)

    def creates(self) -> int:
        return self._vendor.calls["create_job"]

    def requests(self) -> int:
        return self._vendor.calls.total()

    def set_status(self, job_id: str, word: str) -> None:
        self._vendor.advance(job_id, word)

    def known_status_words(self) -> Mapping[str, JobStatus]:
        return {
            "pending": JobStatus.QUEUED,
            "validating_files": JobStatus.VALIDATING,
            "running": JobStatus.RUNNING,
            "succeeded": JobStatus.SUCCEEDED,
            "failed": JobStatus.FAILED,
            "cancelled": JobStatus.CANCELLED,
        }

    def uploads(self) -> int:
        return self._vendor.calls["create_file"]

    def known_refusals(self) -> Mapping[str, type[FtkitError]]:
        return REFUSALS

    def refuse(self, word: str, message: str, request_id: str) -> None:
        self._vendor.refuse(int(word), message, request_id)

    def known_deployment_refusals(self) -> Mapping[str, type[FtkitError]]:
        return {word: kind for word, kind in REFUSALS.items() if word != "409"}  # which says that the name is taken

    def refuse_deployment(self, word: str, message: str, request_id: str) -> None:
        self.refuse(word, message, request_id)

    def order(self, job_id: str) -> object:
        return asdict(self._vendor.jobs[job_id].order)

    def known_breaks(self) -> Mapping[str, str]:
        return {"cut": "the line was cut"}

    def break_line(self, way: str) -> None:
        self._vendor.refuse(None, f"the line was {way}")

    def known_deployment_words(self) -> Mapping[str, DeploymentStatus]:
        return {
            "starting": DeploymentStatus.CREATING,
            "running": DeploymentStatus.RUNNING,
            "stopped": DeploymentStatus.PAUSED,
            "failed": DeploymentStatus.FAILED,
        }

    def set_deployment(self, name: str, word: str) -> None:
        self._vendor.set_deployment(name, word)

    def secrets(self) -> Sequence[str]:
        return [API_KEY]

    def lose_replies(self, n: int) -> None:
        self._vendor.lose_replies(n)

    def add_event(self, job_id: str, message: str) -> None:
        self._vendor.add_event(job_id, message)


class GiftedProvider(MemoryProvider):
    """Has the abilities that MemoryProvider lacks, so that their checks run too."""

    model_roles: ClassVar[Mapping[str, str]] = {"small": "any-model"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.labels: dict[str, Mapping[str, str]] = {}
        self.paused: set[str] = set()
        self.deleted: set[str] = set()

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        job = super().create_job(request, key)
        self.labels[job.id] = request.metadata
        return job

    def list_jobs_with(self, metadata: Mapping[str, str], after: str | None, limit: int) -> Page[FineTuningJob]:
        bearing = [job for job, labels in self.labels.items() if metadata.items() <= labels.items()][::-1]
        rest = bearing[bearing.index(after) + 1 :] if after else bearing
        page = rest[:limit]
        return Page(items=tuple(map(self.get_job, page)), next=page[-1] if len(rest) > limit else None)

    def get_job(self, job_id: str) -> FineTuningJob:
        job = super().get_job(job_id)
        stands = job.id in self.paused and job.status is JobStatus.RUNNING
        return job.model_copy(update={"status": JobStatus.PAUSED}) if stands else job

    def pause_job(self, job_id: str) -> FineTuningJob:
        self._may_turn(job_id, JobStatus.RUNNING)
        self.paused.add(job_id)
        return self.get_job(job_id)

    def resume_job(self, job_id: str) -> FineTuningJob:
        self._may_turn(job_id, JobStatus.PAUSED)
        self.paused.discard(job_id)
        return self.get_job(job_id)

    def delete_model(self, model: str) -> None:
        if model in self.deleted or all(job.tuned_model != model for job in self.vendor.jobs.values()):
            raise NotFoundError(f"there is no model {model[:80]!r}", provider=self.name)
        self.deleted.add(model)

    def _may_turn(self, job_id: str, wanted: JobStatus) -> None:
        status = self.get_job(job_id).status
        if status is not wanted:
            raise ConflictError(f"the job is {status.value}", provider=self.name)

    def results(self, job_id: str) -> list[Metrics]:
        self.get_job(job_id)
        return [Metrics(step=step, train_loss=1 / step) for step in (1, 2)]

    def lifecycle(self, model: str) -> Lifecycle | None:
        return Lifecycle(model=model)

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        del request
        return Estimate(tokens=tokens)

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        yield ChatChunk(text=self.chat(deployment, messages, options).text)
        yield ChatChunk(text="", finish_reason="stop")


class MemoryHooks(ProviderHooks):
    """What all the subclasses here share."""

    provider_class: ClassVar[type[MemoryProvider]] = MemoryProvider
    list_lag_s: ClassVar[float] = 0.0

    def make_provider(self) -> MemoryProvider:
        vendor = MemoryVendor(list_lag_s=self.list_lag_s, api_key=API_KEY)
        return self.provider_class(vendor, api_key=API_KEY)

    def make_witness(self, provider: Provider) -> MemoryWitness:
        assert isinstance(provider, MemoryProvider)
        return MemoryWitness(provider.vendor)

    def request(self, training_file: TrainingFile) -> JobRequest:
        return JobRequest(model="any-model", training_file=training_file, method=Supervised(n_epochs=2), suffix="kit")

    def impossible_requests(self, training_file: TrainingFile) -> Sequence[JobRequest]:
        labelled = self.request(training_file).model_copy(update={"metadata": {"team": "blue"}})
        wrong = self.request(training_file).model_copy(update={"provider_options": {"priority": "at once"}})
        return [labelled, wrong]


class MemoryConformance(MemoryHooks, ProviderConformance):
    """The kit."""


class MemoryUnderAttack(MemoryHooks, ProviderAttacks):
    """The attacks that need no other process: the vendor lives in this one."""
