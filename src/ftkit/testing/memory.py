"""`MemoryProvider`: a provider for tests of code that uses ftkit. It trains nothing, and its answers are echoes.

    client = Client(MemoryProvider())
    job = client.fine_tune("any-model", "train.jsonl")

It is also the shortest example of a provider for a remote vendor, and one of the awkward kind: the vendor keeps no
key on a job, and its list lags.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from ftkit.datasets.rulebook import RuleBook
from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
)
from ftkit.methods import DPO, Method, Supervised, parse_method
from ftkit.models import (
    ChatReply,
    Checkpoint,
    Deployment,
    DeploymentStatus,
    FineTuningJob,
    JobEvent,
    JobStatus,
    Page,
    Problem,
    TrainingFile,
)
from ftkit.plugin import error_of, forgetful, model_of, no_options, problems_of, the_one
from ftkit.testing.vendor import (
    MemoryVendor,
    VendorDeployment,
    VendorError,
    VendorFile,
    VendorJob,
    VendorOrder,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ftkit.models import ChatMessage, ChatOptions, DatasetRules, JobRequest

STATUS_WORDS: Mapping[str, JobStatus] = {
    "pending": JobStatus.QUEUED,
    "validating_files": JobStatus.VALIDATING,
    "running": JobStatus.RUNNING,
    "succeeded": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
    "cancelled": JobStatus.CANCELLED,
}
"""What the vendor's words mean. A word that is not here reads as UNKNOWN."""

DEPLOYMENT_WORDS: Mapping[str, DeploymentStatus] = {
    "starting": DeploymentStatus.CREATING,
    "running": DeploymentStatus.RUNNING,
    "stopped": DeploymentStatus.PAUSED,
    "failed": DeploymentStatus.FAILED,
}

_RULES = RuleBook(
    {"layout": "openai-preference", "accepts": ["preference"]},
    {"method": "supervised", "layout": "chat", "accepts": ["chat"]},
)
"""What it asks of data: a row for everything, and one for what differs from it."""

_UNAUTHORIZED = 401
_PAGE = 50
_MARK = "--"


class MemoryOptions(BaseModel):
    """What only this provider has.

    Attributes:
        priority: How soon the job is wanted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    priority: Literal["low", "normal", "high"] = "normal"


class MemoryProvider:
    """Fine-tunes nothing, in memory. For tests.

    Args:
        vendor: The remote side; a new one if None. Two providers on one vendor see the same jobs.
        list_lag_s: Seconds in which a new job is missing from the lists of the vendor made here.
        name: Name of the provider.
        methods: The fine-tuning methods that it has.
        api_key: What it shows to the vendor.

    Raises:
        ConfigurationError: `list_lag_s` was given with a ready-made vendor, which has its own.
    """

    contract: ClassVar[int] = 1
    Options: type[BaseModel] = MemoryOptions

    @forgetful
    def __init__(
        self,
        vendor: MemoryVendor | None = None,
        *,
        list_lag_s: float = 0.0,
        name: str = "memory",
        methods: frozenset[type[Method]] = frozenset({Supervised, DPO}),
        api_key: str | None = None,
    ) -> None:
        if vendor is not None and list_lag_s:
            raise ConfigurationError("the vendor has a list_lag_s of its own", hint="Give it to MemoryVendor.")
        self.vendor = vendor if vendor is not None else MemoryVendor(list_lag_s=list_lag_s)
        self.name = name
        self.methods = methods
        self.settle_s = self.vendor.list_lag_s
        self._api_key = None if api_key is None else SecretStr(api_key)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.identity()!r})"

    # -- what every provider has ---------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns the account, without the key that opens it."""
        return f"memory:{self.vendor.account}"

    def rules(self, method: Method, model: str) -> DatasetRules:
        """Takes what the method needs, in one layout for all models."""
        return _RULES.rules(method, model)

    def problems(self, request: JobRequest) -> list[Problem]:
        """Refuses methods and options that it does not have, and labels, for which the vendor has no room."""
        hyperparameters = {method: [*method.model_fields] for method in self.methods}
        return problems_of(
            request, methods=hyperparameters, fields=("validation_file", "suffix", "seed"), options=self.Options
        )

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Sends a file under a name that begins with the key, and looks there first: a job is known by its files."""
        filename = f"{key}{_MARK}{path.name}"
        with self._asking():
            for file in self._walk_files():
                if file.filename == filename:
                    return self._file(file)
            return self._file(self.vendor.create_file(filename, path.read_bytes()))

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Orders a job, once. There is nowhere to put the key."""
        del key
        with self._asking():
            return self._job(self.vendor.create_job(_order(request)))

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Knows a job by all that it was ordered with; for two that are alike nobody can tell."""
        wanted = _order(request)
        with self._asking():
            found = [self._job(job) for job in self._walk_jobs(since) if job.order == wanted]
        return the_one(found, key, self.name)

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        with self._asking():
            return self._job(self.vendor.get_job(job_id))

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first."""
        with self._asking():
            jobs, more = self.vendor.list_jobs(after, limit)
        return Page(items=tuple(map(self._job, jobs)), next=jobs[-1].id if more else None)

    # -- abilities -----------------------------------------------------------------------------------------------

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Ends a job. The vendor refuses to end one that has ended, where the contract wants it as it is."""
        try:
            with self._asking():
                return self._job(self.vendor.cancel_job(job_id))
        except ConflictError:
            return self.get_job(job_id)

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        """Lists events, oldest first."""
        with self._asking():
            events, more = self.vendor.list_events(job_id, after, limit)
        items = tuple(JobEvent(id=e.id, job_id=job_id, created_at=e.created_at, message=e.message) for e in events)
        return Page(items=items, next=events[-1].id if more else None)

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Lists checkpoints, newest first; the vendor has them the other way round."""
        with self._asking():
            found = self.vendor.list_checkpoints(job_id)
        return [Checkpoint(id=c.id, job_id=job_id, step=c.step, model=c.model) for c in reversed(found)]

    def get_file(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file."""
        with self._asking():
            return self._file(self.vendor.get_file(file_id))

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first."""
        with self._asking():
            files, more = self.vendor.list_files(after, limit)
        return Page(items=tuple(map(self._file, files)), next=files[-1].id if more else None)

    def download_file(self, file_id: str, path: Path) -> None:
        """Writes a file's content."""
        with self._asking():
            content = self.vendor.get_file(file_id).content
        path.write_bytes(content)

    def delete_file(self, file_id: str) -> None:
        """Deletes a file."""
        with self._asking():
            self.vendor.delete_file(file_id)

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Serves a model; where the name is taken, it says by what."""
        no_options(options)
        model, _ = model_of(target, self.name)
        try:
            with self._asking():
                return self._deployment(self.vendor.create_deployment(name, model))
        except ConflictError:
            there = self.get_deployment(name)
            if there.model != model:
                raise
            return there

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment."""
        with self._asking():
            return self._deployment(self.vendor.get_deployment(name))

    def list_deployments(self) -> list[Deployment]:
        """Lists all deployments."""
        with self._asking():
            return list(map(self._deployment, self.vendor.list_deployments()))

    def delete_deployment(self, name: str) -> None:
        """Ends a deployment; one that is gone already is no error, though it is one to the vendor."""
        try:
            with self._asking():
                self.vendor.delete_deployment(name)
        except NotFoundError:
            return

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Answers with an echo of the last message, which says that it is one."""
        del options
        text = str(messages[-1].content or "") if messages else ""
        with self._asking():
            return ChatReply(text=self.vendor.chat(deployment.name, text), model=deployment.model, finish_reason="stop")

    # -- translation ---------------------------------------------------------------------------------------------

    @contextmanager
    def _asking(self) -> Generator[None]:
        """The one place where the vendor's exceptions become ftkit's."""
        try:
            self.vendor.authorize(self._api_key)
            yield
        except VendorError as error:
            raise self._translated(error) from error

    def _translated(self, error: VendorError) -> ProviderError | CredentialsError:
        if error.status is None:  # the line was cut
            return ProviderUnavailableError(error.message, provider=self.name)
        hint = "Give the vendor's key as api_key=..." if error.status == _UNAUTHORIZED else None
        return error_of(error.status, error.message, provider=self.name, request_id=error.request_id, hint=hint)

    def _job(self, job: VendorJob) -> FineTuningJob:
        return FineTuningJob(
            id=job.id,
            provider=self.name,
            identity=self.identity(),
            status=STATUS_WORDS.get(job.status, JobStatus.UNKNOWN),
            provider_status=job.status,
            model=job.order.model,
            fine_tuned_model=job.tuned_model,
            method=parse_method(dict(job.order.method)),
            training_file=job.order.training_file,
            validation_file=job.order.validation_file,
            suffix=job.order.suffix,
            seed=job.order.seed,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=job.error,
        )

    def _file(self, file: VendorFile) -> TrainingFile:
        return TrainingFile(
            id=file.id,
            provider=self.name,
            identity=self.identity(),
            filename=file.filename.rpartition(_MARK)[2],
            size=len(file.content),
            created_at=file.created_at,
        )

    def _deployment(self, deployment: VendorDeployment) -> Deployment:
        return Deployment(
            name=deployment.name,
            provider=self.name,
            identity=self.identity(),
            status=DEPLOYMENT_WORDS.get(deployment.status, DeploymentStatus.UNKNOWN),
            provider_status=deployment.status,
            model=deployment.model,
            source=deployment.model,
            created_at=deployment.created_at,
        )

    def _walk_jobs(self, since: datetime) -> Iterator[VendorJob]:
        """Yields the jobs from the newest back to the moment `since`."""
        after: str | None = None
        more = True
        while more:
            jobs, more = self.vendor.list_jobs(after, _PAGE)
            for job in jobs:
                if job.created_at < since:
                    return
                yield job
                after = job.id

    def _walk_files(self) -> Iterator[VendorFile]:
        after: str | None = None
        more = True
        while more:
            files, more = self.vendor.list_files(after, _PAGE)
            yield from files
            after = files[-1].id if files else None


def _order(request: JobRequest) -> VendorOrder:
    """Writes a request in the vendor's words; the same request always gives the same order."""
    return VendorOrder(
        model=request.model,
        training_file=request.training_file.id,
        validation_file=request.validation_file.id if request.validation_file else None,
        method=request.method.model_dump(mode="json", exclude_none=True),
        suffix=request.suffix,
        seed=request.seed,
        options=dict(request.provider_options),
    )
