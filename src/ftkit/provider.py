"""The contract between ftkit and a provider, version 1.

A provider is small and blocking: it translates, and nothing else. What must be right for all of them (retries,
the ledger, checks, waiting) is in `ftkit.client`. The core never grows. What is new is a new ability: a protocol
with one thought, which a provider has if it has its methods. See docs/write-a-provider.md.

Rules that every method keeps:

* Vendor exceptions leave only as `ftkit.errors`, with the provider's name, the vendor's message and its request id.
* A create is one attempt. It is never retried inside, not even by the vendor's SDK: switch that off.
* An error from a create that proves that nothing was made (a refusal) is any `ProviderError` but
  `ProviderUnavailableError` and `UnclearOutcomeError`. Everything else counts as unclear, and is looked into.
* An id that the provider does not know is a `NotFoundError`.
* Making a provider sends nothing: `ftkit providers` makes all of them, to tell what each can do and what it needs.
* A status that it has never seen maps to `JobStatus.UNKNOWN`, with the vendor's word in `provider_status`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from ftkit.errors import UnsupportedError
from ftkit.models import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pydantic import BaseModel

    from ftkit.methods import Method
    from ftkit.models import (
        ChatChunk,
        ChatMessage,
        ChatOptions,
        ChatReply,
        Checkpoint,
        DatasetRules,
        Deployment,
        Estimate,
        FineTuningJob,
        JobEvent,
        JobRequest,
        Lifecycle,
        Metrics,
        Page,
        TrainingFile,
    )

A = TypeVar("A")

CONTRACT = 1
"""The version of the contract that this ftkit speaks."""

DEFAULT_SETTLE_S = 10.0
"""How long a provider's list is taken to lag, in seconds, where the provider does not say (see `Settles`)."""


@runtime_checkable
class Provider(Protocol):
    """What every provider must have.

    Attributes:
        contract: The version of this contract that it was written for.
        name: Its name, as in `Client("name")`.
        methods: The fine-tuning methods that it has.
        Options: The model that checks `provider_options`.
    """

    contract: ClassVar[int]
    name: str
    methods: frozenset[type[Method]]
    Options: type[BaseModel]

    def identity(self) -> str:
        """Returns endpoint and account: no secret, and the same after a key was renewed."""
        ...

    def rules(self, method: Method, model: str) -> DatasetRules:
        """Returns what a data set must look like for this method and model."""
        ...

    def problems(self, request: JobRequest) -> list[Problem]:
        """Returns everything about a request that is certain to fail. Offline; asked before any upload."""
        ...

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Sends a file that was written in the layout that `rules` names; once for the same key.

        Who died after sending it has not written that down. So look first for what was sent under the key, where the
        vendor lists files and keeps a name, a label or metadata that the key can go into.

        Args:
            path: The file.
            key: Stands for account, content and layout; put it on the file if the vendor keeps such things.
        """
        ...

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Makes a job in one attempt, and puts the key on it if the vendor keeps such things."""
        ...

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Looks for the job of a key at the vendor's.

        Args:
            key: The key it was made under.
            request: What was asked for, to know it by where the vendor keeps no key.
            since: Jobs made before this moment need not be looked at.

        Returns:
            The job, or None only if the list was read back past `since` and it is not there.

        Raises:
            UnclearOutcomeError: More than one job could be it.
        """
        ...

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        ...

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first."""
        ...


@runtime_checkable
class Settles(Protocol):
    """Says how long after a job was made it may still be missing from the vendor's list, in seconds."""

    settle_s: float


@runtime_checkable
class NamesRoles(Protocol):
    """Says which model stands for a role such as "small", unless the profile says otherwise."""

    model_roles: Mapping[str, str]


@runtime_checkable
class CountsTokens(Protocol):
    """Counts the tokens of training records as the provider's training would."""

    def count_tokens(
        self, model: str, method: Method, records: Iterator[Mapping[str, Any]]
    ) -> Iterator[tuple[int, int]]:
        """Yields (tokens, tokens learnt from) of each record, in order.

        Raises:
            UnsupportedError: It cannot count those of the model. At once, and not with the first record.
        """
        ...


@runtime_checkable
class FiltersJobs(Protocol):
    """Can look for jobs by their labels."""

    def list_jobs_with(self, metadata: Mapping[str, str], after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists the jobs that bear all of these labels, newest first."""
        ...


@runtime_checkable
class Cancels(Protocol):
    """Can stop a job for good."""

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Asks for the end of a job; a job that has ended already is returned as it is."""
        ...


@runtime_checkable
class Pauses(Protocol):
    """Can let a job stand still and take it up again. A job that has ended stays as it is, whatever is asked of it."""

    def pause_job(self, job_id: str) -> FineTuningJob:
        """Asks a running job to stop at the next point from which it can go on.

        Returns:
            The job. It is RUNNING until it has come to that point, and then PAUSED.

        Raises:
            ConflictError: It has ended, or cannot be paused as it stands.
        """
        ...

    def resume_job(self, job_id: str) -> FineTuningJob:
        """Lets a paused job go on from where it stood, as the same job.

        Returns:
            The job. It is PAUSED no more, but QUEUED, VALIDATING or RUNNING.

        Raises:
            ConflictError: It has ended, or cannot be resumed as it stands.
        """
        ...


@runtime_checkable
class ListsEvents(Protocol):
    """Tells what happened in a job."""

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        """Lists events, oldest first, each once.

        The client follows a job live by asking again after the last event it saw: `after` takes the id of any event,
        or a cursor from `Page.next`.
        """
        ...


@runtime_checkable
class ListsCheckpoints(Protocol):
    """Keeps states of a model on the way."""

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Lists all checkpoints, newest first."""
        ...


@runtime_checkable
class FetchesResults(Protocol):
    """Has a table of metrics for a job."""

    def results(self, job_id: str) -> list[Metrics]:
        """Returns one row a step, in the order of steps."""
        ...


@runtime_checkable
class ReadsFiles(Protocol):
    """Lets uploaded files be seen again."""

    def get_file(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file."""
        ...

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first."""
        ...

    def download_file(self, file_id: str, path: Path) -> None:
        """Writes the content of a file to `path`."""
        ...


@runtime_checkable
class DeletesFiles(Protocol):
    """Lets go of files."""

    def delete_file(self, file_id: str) -> None:
        """Deletes a file."""
        ...


@runtime_checkable
class DeletesModels(Protocol):
    """Lets go of tuned models."""

    def delete_model(self, model: str) -> None:
        """Deletes a tuned model."""
        ...


@runtime_checkable
class Deploys(Protocol):
    """Makes a model answer.

    Where tuned models can be asked as they are, `deploy` returns at once and `delete_deployment` deletes no model,
    so that no caller has to know.
    """

    def deploy(self, target: FineTuningJob | Checkpoint | str, name: str, options: Mapping[str, Any]) -> Deployment:
        """Deploys a job's model, a checkpoint or a model by its name. One attempt.

        It may return before the model answers, with the status CREATING: the client asks `get_deployment` until that is
        over.

        The same name again with the same target returns the deployment that is there.

        Raises:
            ConflictError: The name is taken by another target.
        """
        ...

    def get_deployment(self, name: str) -> Deployment:
        """Reads a deployment."""
        ...

    def list_deployments(self) -> list[Deployment]:
        """Lists all deployments of the account."""
        ...

    def delete_deployment(self, name: str) -> None:
        """Deletes a deployment; one that is gone already is no error."""
        ...


@runtime_checkable
class Chats(Protocol):
    """Answers."""

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks a deployed model."""
        ...


@runtime_checkable
class StreamsChat(Protocol):
    """Answers piece by piece."""

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        """Asks a deployed model, and yields the answer as it comes."""
        ...


@runtime_checkable
class ReceivesWebhooks(Protocol):
    """Sends word of what becomes of a job, in place of being asked."""

    def verify_webhook(self, payload: bytes, headers: Mapping[str, str]) -> str:
        """Returns the id of the job that a message is about.

        Args:
            payload: The body of the request, as it came.
            headers: Its headers.

        Raises:
            CredentialsError: The message is not the vendor's, or too old.
            NotFoundError: It is about no fine-tuning job.
        """
        ...


@runtime_checkable
class KnowsLifecycle(Protocol):
    """Knows until when a model can be trained and served."""

    def lifecycle(self, model: str) -> Lifecycle | None:
        """Returns the dates of a model, or None if none are known."""
        ...


@runtime_checkable
class EstimatesCost(Protocol):
    """Knows what a job would cost."""

    def estimate(self, request: JobRequest, tokens: int | None) -> Estimate:
        """Returns the likely cost of a request.

        Args:
            request: What is to be asked for.
            tokens: Tokens of the training file for one epoch, where they were counted.
        """
        ...


@runtime_checkable
class Examines(Protocol):
    """Looks its own configuration over, for `ftkit doctor`."""

    def examine(self) -> list[Problem]:
        """Returns what would stop a job, or is good to know (a note), of this account and this machine. It only reads.

        `ftkit doctor` looks at its identity and its list of jobs itself. This is for what only the provider can know: a
        region without fine-tuning, a role that is missing, a disk that is full.
        """
        ...


ABILITIES: Mapping[type, str] = {
    FiltersJobs: "look for jobs by their labels",
    Cancels: "cancel jobs",
    Pauses: "pause jobs and resume them",
    ListsEvents: "list the events of a job",
    ListsCheckpoints: "list checkpoints",
    FetchesResults: "fetch the metrics of a job",
    ReadsFiles: "show files",
    DeletesFiles: "delete files",
    DeletesModels: "delete models",
    Deploys: "deploy models",
    Chats: "chat",
    StreamsChat: "stream a chat",
    CountsTokens: "count tokens",
    ReceivesWebhooks: "receive webhooks",
    KnowsLifecycle: "tell until when a model can be used",
    EstimatesCost: "estimate costs",
    NamesRoles: "name models for roles",
    Settles: "tell how long its list lags",
    Examines: "look its configuration over",
}
"""All optional abilities, in the order in which they are told, with what one can do who has them."""


def settle_s_of(provider: object) -> float:
    """Returns how long a new job may be missing from a provider's list, in seconds: as it says, or ten."""
    return provider.settle_s if isinstance(provider, Settles) else DEFAULT_SETTLE_S


def abilities(provider: object) -> frozenset[str]:
    """Returns the names of the abilities that a provider has."""
    return frozenset(ability.__name__ for ability in ABILITIES if isinstance(provider, ability))


def unsupported_method(method: Method, known: Iterable[type[Method]]) -> list[Problem]:
    """Returns the problem of a method that a provider does not have; nothing if it has it."""
    methods = frozenset(known)
    if type(method) in methods:
        return []
    names = ", ".join(sorted(str(each.model_fields["type"].default) for each in methods))
    message = f"it has no method '{method.type}'."
    return [Problem(code="unsupported-method", field="method", message=message, fix=f"It has: {names}.")]


def require(provider: Provider, ability: type[A]) -> A:
    """Returns the provider as one that has an ability.

    Raises:
        UnsupportedError: It has not; the hint says what it can do.
    """
    if not isinstance(provider, ability):
        can = ", ".join(what for each, what in ABILITIES.items() if isinstance(provider, each))
        message = f"the provider '{provider.name}' cannot {ABILITIES[ability]}"
        raise UnsupportedError(message, hint=f"It can make and list jobs{', ' if can else ''}{can}.")
    return provider
