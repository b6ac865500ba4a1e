"""The provider `acme` for ftkit: from ftkit's nouns to Acme's API and back, and nothing else.

Retries, the ledger, checks of the data and waiting are ftkit's. What the real API has otherwise is marked TODO.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from ftkit import plugin
from ftkit.datasets import RuleBook
from ftkit.errors import ConflictError, NotFoundError
from ftkit.methods import DPO, AnyMethod, Method, Settings, Supervised
from ftkit.models import Deployment, DeploymentStatus, FineTuningJob, JobEvent, JobStatus, Page, Problem, TrainingFile
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import httpx2
    from ftkit.models import ChatMessage, ChatOptions, ChatReply, Checkpoint, DatasetRules, JobRequest

T = TypeVar("T")

URL = "https://api.vendor.example/v1"  # TODO: where the API is
LABEL = "ftkit-key"  # a job bears the key of its request under this label, and is found again by it

METHODS: Mapping[type[Method], Sequence[str]] = {
    Supervised: ("n_epochs", "batch_size", "learning_rate_multiplier"),
    DPO: ("n_epochs", "beta"),
}
"""The methods, and the hyperparameters of each. TODO: the API's."""

RULES = RuleBook(
    {"layout": "chat", "accepts": ["chat"], "min_rows": 10, "source": "Acme's guide to fine-tuning"},
    {"method": "dpo", "layout": "openai-preference", "accepts": ["preference"]},
)
"""What is asked of data: a row for everything, and one for what differs. TODO: the API's."""

STATUS_WORDS: Mapping[str, JobStatus] = {
    "queued": JobStatus.QUEUED,
    "running": JobStatus.RUNNING,
    "stopping": JobStatus.CANCELLING,
    "succeeded": JobStatus.SUCCEEDED,
    "failed": JobStatus.FAILED,
    "stopped": JobStatus.CANCELLED,
}
"""Every word that the API documents for a job's state; any other reads as UNKNOWN. TODO: the API's."""


DEPLOYMENT_WORDS: Mapping[str, DeploymentStatus] = {
    "starting": DeploymentStatus.CREATING,
    "running": DeploymentStatus.RUNNING,
    "failed": DeploymentStatus.FAILED,
}
"""The same for a deployment's state. TODO: the API's."""


class AcmeOptions(Settings):
    """What only this provider has: a job's `provider_options`. TODO: the API's, or none.

    Attributes:
        priority: How soon the job is wanted.
    """

    field_noun = "option"
    written_as = "provider_options"

    priority: Literal["low", "normal"] = "normal"


# What the API answers, as far as it is read. TODO: the API's own names. What lacks a field is no answer.


class ThingBody(BaseModel):
    """What has an id: an account, say."""

    id: str


class FileBody(ThingBody):
    """A file."""

    name: str
    size: int


class JobBody(ThingBody):
    """A job."""

    status: str
    model: str
    tuned_model: str | None
    training_file: str
    validation_file: str | None
    method: AnyMethod
    suffix: str | None
    seed: int | None
    labels: dict[str, str]
    created_at: datetime
    finished_at: datetime | None
    error: str | None


class EventBody(ThingBody):
    """Something that happened in a job."""

    created_at: datetime
    message: str


class DeploymentBody(BaseModel):
    """A deployment."""

    name: str
    model: str
    source: str
    status: str


class ChoiceBody(BaseModel):
    """An answer, one of several."""

    message: dict[str, Any]
    finish_reason: str | None = None


class ChatBody(BaseModel):
    """The answers to a chat, in OpenAI's form."""

    model: str
    choices: list[ChoiceBody] = Field(min_length=1)


class ListBody(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = None


class AcmeProvider(plugin.HoldsKey):
    """Fine-tunes at Acme.

    Args:
        client: A ready-made HTTP client: tests give one that asks a vendor of their own.
        api_key: The key; ACME_API_KEY by default.
        base_url: Where the API is; ACME_BASE_URL, or Acme itself.
        timeout_s: Seconds that a request may take.

    Raises:
        CredentialsError: There is no key.
    """

    contract: ClassVar[int] = 1
    name: str = "acme"
    methods: frozenset[type[Method]] = frozenset(METHODS)
    Options: type[BaseModel] = AcmeOptions
    settle_s: float = 10.0  # TODO: how long its list may lag, in seconds. What is too short here is paid twice

    @plugin.forgetful
    def __init__(
        self,
        client: httpx2.Client | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        # It asks once and shows no key. Errors leave it as ftkit's, by their status. Has the vendor a package of its
        # own? Then make its client here, without its retries, and see `ftkit.plugin.sdk_errors`.
        self._service = plugin.HttpService(
            self.name,
            base_url or os.environ.get("ACME_BASE_URL") or URL,
            api_key or os.environ.get("ACME_API_KEY"),
            hint="Set ACME_API_KEY, or give api_key=...",
            client=client,
            timeout_s=timeout_s,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._service.url!r})"

    # -- what every provider has ---------------------------------------------------------------------------------

    def identity(self) -> str:
        """Returns endpoint and account: the same request is one job in each account."""
        return f"{urlsplit(self._service.url).netloc}:{self._account}"

    @cached_property
    def _account(self) -> str:
        return self._service.ask(ThingBody, "GET", "account").id

    def rules(self, method: Method, model: str) -> DatasetRules:
        """Returns what a data set must look like."""
        return RULES.rules(method, model)

    def problems(self, request: JobRequest) -> list[Problem]:
        """Returns all that is certain to be refused, before anything is sent."""
        found = plugin.problems_of(
            request,
            methods=METHODS,
            fields=("validation_file", "suffix", "seed", "metadata"),  # TODO: those that the API has
            options=self.Options,
        )
        if LABEL in request.metadata:
            found.append(Problem(code="reserved-label", field="metadata", message=f"'{LABEL}' is ftkit's own."))
        return found

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Sends a file under a name with the key in it; looks first whether it was sent before."""
        name = f"{key}--{path.name}"
        for file in self._service.ask(ListBody[FileBody], "GET", "files", params={"name": name}).items:
            if file.name == name:
                return self._file(file)
        with path.open("rb") as content:
            return self._file(self._service.ask(FileBody, "POST", "files", params={"name": name}, content=content))

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Asks for a job, once."""
        order = {
            "model": request.model,
            "training_file": request.training_file.id,
            "validation_file": request.validation_file.id if request.validation_file else None,
            "method": request.method.model_dump(mode="json", exclude_none=True),
            "suffix": request.suffix,
            "seed": request.seed,
            "labels": {**request.metadata, LABEL: key},
            **request.provider_options,
        }
        return self._job(self._service.ask(JobBody, "POST", "jobs", json=order))

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Looks for the job that bears the key, from the newest back to the moment `since`."""
        # An API that keeps no labels knows a job by what was asked for, if at all: see `ftkit.plugin.fits`.
        found = [job for job in plugin.made_since(self.list_jobs, since) if job.key == key]
        return plugin.the_one(found, key, self.name)

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        return self._job(self._service.ask(JobBody, "GET", "jobs", job_id))

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first."""
        page = self._page(ListBody[JobBody], after, limit, "jobs")
        return Page(items=tuple(map(self._job, page.items)), next=page.next)

    # -- abilities: each is all of its methods, or none. Delete those that the API does not have ------------------

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Cancels: ends a job; one that has ended is returned as it is."""
        try:
            return self._job(self._service.ask(JobBody, "POST", "jobs", job_id, "stop"))
        except ConflictError:
            return self.get_job(job_id)

    def get_file(self, file_id: str) -> TrainingFile:
        """ReadsFiles: reads what is known of a file. What was sent is not sent again while it is there."""
        return self._file(self._service.ask(FileBody, "GET", "files", file_id))

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first."""
        page = self._page(ListBody[FileBody], after, limit, "files")
        return Page(items=tuple(map(self._file, page.items)), next=page.next)

    def download_file(self, file_id: str, path: Path) -> None:
        """Writes a file's content."""
        path.write_bytes(self._service.send("GET", "files", file_id, "content").content)

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        """ListsEvents: lists what happened in a job, oldest first."""
        page = self._page(ListBody[EventBody], after, limit, "jobs", job_id, "events")
        return Page(items=tuple(JobEvent(job_id=job_id, **e.model_dump()) for e in page.items), next=page.next)

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Deploys: serves a model, once; where that model has the name already, it is there."""
        plugin.no_options(options)
        model, source = plugin.model_of(target, self.name)
        try:
            order = {"name": name, "model": model, "source": source}
            return self._deployment(self._service.ask(DeploymentBody, "POST", "deployments", json=order))
        except ConflictError:
            there = self.get_deployment(name)
            if there.model != model:
                raise
            return there

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment."""
        return self._deployment(self._service.ask(DeploymentBody, "GET", "deployments", name))

    def list_deployments(self) -> list[Deployment]:
        """Lists all deployments. TODO: of all pages, where the API has pages."""
        return list(map(self._deployment, self._service.ask(ListBody[DeploymentBody], "GET", "deployments").items))

    def delete_deployment(self, name: str) -> None:
        """Ends a deployment; one that is gone is no error."""
        with contextlib.suppress(NotFoundError):
            self._service.send("DELETE", "deployments", name)

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Chats: asks a deployed model."""
        body = plugin.request_body(deployment.name, messages, options)
        return plugin.reply_of(self._service.ask(ChatBody, "POST", "chat", "completions", json=body).model_dump())

    def _page(self, body: type[ListBody[T]], after: str | None, limit: int, *path: str) -> Page[T]:
        def page(cursor: str | None) -> tuple[list[T], str | None]:
            asked = {"limit": limit, **({} if cursor is None else {"after": cursor})}
            told = self._service.ask(body, "GET", *path, params=asked)
            return told.items, told.next

        return plugin.read_on(page, after)

    # -- the translation. Whose account it is, ftkit writes into each ---------------------------------------------

    def _job(self, body: JobBody) -> FineTuningJob:
        return FineTuningJob(
            provider=self.name,
            status=STATUS_WORDS.get(body.status, JobStatus.UNKNOWN),
            provider_status=body.status,
            fine_tuned_model=body.tuned_model,
            metadata={name: value for name, value in body.labels.items() if name != LABEL},
            key=body.labels.get(LABEL),
            **body.model_dump(exclude={"status", "tuned_model", "labels"}),  # what has ftkit's own names
        )

    def _file(self, body: FileBody) -> TrainingFile:
        return TrainingFile(id=body.id, provider=self.name, filename=body.name.partition("--")[2], size=body.size)

    def _deployment(self, body: DeploymentBody) -> Deployment:
        return Deployment(
            provider=self.name,
            status=DEPLOYMENT_WORDS.get(body.status, DeploymentStatus.UNKNOWN),
            provider_status=body.status,
            **body.model_dump(exclude={"status"}),
        )
