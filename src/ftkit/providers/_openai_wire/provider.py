"""What OpenAI and Azure share: the same API, through the same package."""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from ftkit.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
)
from ftkit.home import state_folder
from ftkit.models import Checkpoint, FineTuningJob, Page
from ftkit.plugin import chat_wire, known_id, the_one
from ftkit.plugin.disk import saving
from ftkit.plugin.notes import Notes
from ftkit.providers._openai_wire.accounts import Accounts
from ftkit.providers._openai_wire.bodies import (
    KEY_LABEL,
    CheckpointBody,
    EventBody,
    FileBody,
    JobBody,
    checkpoint_of,
    event_of,
    file_of,
    job_of,
    method_body,
    results_of,
)
from ftkit.providers._openai_wire.costs import TellsCosts
from ftkit.providers._openai_wire.limits import METHODS, rules_of
from ftkit.providers._openai_wire.line import PAGE, Line
from ftkit.providers._openai_wire.uploads import Sender

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ftkit.methods import Method
    from ftkit.models import (
        ChatChunk,
        ChatMessage,
        ChatOptions,
        ChatReply,
        DatasetRules,
        Deployment,
        JobEvent,
        JobRequest,
        Metrics,
        TrainingFile,
    )

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,399}")
_REFUSED = (400, 409)


class OpenAIWire(TellsCosts):
    """The verbs of both providers. What differs is in their own files."""

    contract: ClassVar[int] = 1
    name: str
    methods: frozenset[type[Method]] = METHODS

    wire: ClassVar[str]
    """Whose rules it keeps, in the table of rules; a provider of another name may speak the same API."""
    Options: type[BaseModel]

    def __init__(self, line: Line, processing_s: float) -> None:
        if not processing_s > 0:
            raise ConfigurationError(f"processing_s is a number of seconds above 0 (got {processing_s})")
        self.settle_s = 10.0
        self.model_roles: Mapping[str, str] = {"small": "gpt-4o-mini-2024-07-18"}
        self._line = line
        self._processing_s = processing_s
        self._folder = state_folder() / self.name
        self._rest: dict[str, tuple[str, list[JobEvent]]] = {}

    def identity(self) -> str:
        """Returns the account; asked of the service where it must be, and then remembered."""
        return self._identity

    def rules(self, method: Method, model: str) -> DatasetRules:
        """Takes conversations; for DPO, preferences; for reinforcement, items to grade."""
        return rules_of(self.wire, method, model)

    # -- jobs ----------------------------------------------------------------------------------------------------

    def upload(self, path: Path, key: str) -> TrainingFile:
        """Sends a file, and waits until it is processed."""
        return self._file(self._sender().send(path, key))

    def create_job(self, request: JobRequest, key: str) -> FineTuningJob:
        """Asks for a job, once. The key goes among its metadata."""
        return self._job(self._line.ask(JobBody, self._jobs().create, **self._order(request, key)))

    def find_job(self, key: str, request: JobRequest, since: datetime) -> FineTuningJob | None:
        """Knows a job by the key among its metadata."""
        del request
        found = [job for job in self._made_since(since, metadata={KEY_LABEL: key}) if job.key == key]
        return the_one(found, key, self.name)

    def get_job(self, job_id: str) -> FineTuningJob:
        """Reads a job."""
        return self._job(self._line.ask(JobBody, self._jobs().retrieve, self._known("job", job_id)))

    def list_jobs(self, after: str | None, limit: int) -> Page[FineTuningJob]:
        """Lists jobs, newest first."""
        return self._jobs_page(after, limit)

    def cancel_job(self, job_id: str) -> FineTuningJob:
        """Ends a job. The service refuses to end one that has ended, where the contract wants it as it is."""
        try:
            return self._job(self._line.ask(JobBody, self._jobs().cancel, self._known("job", job_id)))
        except ProviderError as error:
            now = self._after_refusal(error, job_id)
            if not now.status.is_terminal:
                raise
            return now

    def pause_job(self, job_id: str) -> FineTuningJob:
        """Asks a running job to stand still.

        Raises:
            ConflictError: It is not running, or has not done a step yet.
        """
        return self._turn(self._jobs().pause, job_id, "pause")

    def resume_job(self, job_id: str) -> FineTuningJob:
        """Lets a paused job go on.

        Raises:
            ConflictError: It is not paused.
        """
        return self._turn(self._jobs().resume, job_id, "resume")

    # -- around a job --------------------------------------------------------------------------------------------

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        """Lists events, oldest first. The service lists them newest first: it is read back to what is known."""
        known = self._rest.pop(job_id, ("", []))
        events = known[1] if after is not None and known[0] == after else self._events_since(job_id, after)
        page, rest = events[:limit], events[limit:]
        if rest:
            self._rest[job_id] = (page[-1].id, rest)
        return Page(items=tuple(page), next=page[-1].id if rest else None)

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Lists checkpoints, newest first."""
        call = self._line.client.fine_tuning.jobs.checkpoints.with_raw_response.list
        bodies = self._line.walk(CheckpointBody, call, self._known("job", job_id))
        return sorted((checkpoint_of(body, job_id) for body in bodies), key=lambda each: -each.step)

    def results(self, job_id: str) -> list[Metrics]:
        """Reads the results file of a job; before there is one, there are no rows."""
        job = self._line.ask(JobBody, self._jobs().retrieve, self._known("job", job_id))
        if not job.result_files:
            return []
        content = self._line.send(self._files().content, self._known("file", job.result_files[0])).content
        return results_of(_table(content))

    # -- files and models ----------------------------------------------------------------------------------------

    def get_file(self, file_id: str) -> TrainingFile:
        """Reads what is known of a file."""
        return self._file(self._line.ask(FileBody, self._files().retrieve, self._known("file", file_id)))

    def list_files(self, after: str | None, limit: int) -> Page[TrainingFile]:
        """Lists files, newest first."""
        cursor = {} if after is None else {"after": self._known("file", after)}
        bodies, more = self._line.page(FileBody, self._files().list, limit=limit, **cursor)
        return Page(items=tuple(map(self._file, bodies)), next=bodies[-1].id if more and bodies else None)

    def download_file(self, file_id: str, path: Path) -> None:
        """Writes the content of a file, piece by piece."""
        call = self._line.client.files.with_streaming_response.content
        with (
            self._line.errors(),
            call(self._known("file", file_id)) as response,
            saving(path, self.name) as target,
        ):
            for chunk in response.iter_bytes():
                target.write(chunk)

    def delete_file(self, file_id: str) -> None:
        """Deletes a file."""
        self._line.send(self._files().delete, self._known("file", file_id))

    def delete_model(self, model: str) -> None:
        """Deletes a tuned model."""
        self._line.send(self._line.client.models.with_raw_response.delete, self._known_model(model))

    # -- asking --------------------------------------------------------------------------------------------------

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        """Asks a deployed model."""
        body = self._question(deployment, messages, options)
        response = self._line.send(self._line.client.chat.completions.with_raw_response.create, **body)
        try:
            return chat_wire.reply_of(response.json())
        except (ValueError, KeyError, IndexError, TypeError):
            message = f"what it sent is no answer: {self._line.hide(self._line.told(response))[:200]!r}"
            request_id = self._line.request_id(response)
        raise ProviderError(message, provider=self.name, request_id=request_id)

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        """Asks a deployed model, and yields the answer as it comes."""
        body = self._question(deployment, messages, options)
        create: Any = self._line.client.chat.completions.create  # its overloads want each field by name
        asked = {"stream": True, "stream_options": {"include_usage": True}}
        with self._line.errors(), create(**body, **asked) as stream:
            # The package takes it for the end if an answer breaks off, with or without [DONE].
            yield from chat_wire.to_the_end(chat_wire.chunks_of(map(self._event_of_chat, stream)), self.name)

    # -- inside --------------------------------------------------------------------------------------------------

    def _jobs(self) -> Any:  # noqa: ANN401 - the package's own class for it is private
        return self._line.client.fine_tuning.jobs.with_raw_response

    def _files(self) -> Any:  # noqa: ANN401 - likewise
        return self._line.client.files.with_raw_response

    @cached_property
    def _identity(self) -> str:
        accounts = Accounts(self.name, self._notes("accounts"), self._headers, self._line.seal)
        return accounts.identity(*self._whose())

    def _whose(self) -> tuple[str, str | None]:
        """Returns where the service is, and whose account it is, where that is known without asking."""
        raise NotImplementedError

    def _headers(self) -> Mapping[str, str]:
        return self._line.send(self._line.client.models.with_raw_response.list).headers

    def _notes(self, what: str) -> Notes:
        return Notes(self._folder / f"{what}.json", self.name)

    def _sender(self) -> Sender:
        return Sender(self._line, self.name, self._notes("uploads"), self._processing_s)

    def _order(self, request: JobRequest, key: str) -> dict[str, Any]:
        """Writes a request in the service's words."""
        asked = {
            "model": request.model,
            "training_file": request.training_file.id,
            "validation_file": request.validation_file.id if request.validation_file else None,
            "method": method_body(request.method),
            "suffix": request.suffix,
            "seed": request.seed,
            "metadata": {**request.metadata, KEY_LABEL: key},
        }
        return {name: value for name, value in asked.items() if value is not None}

    def _question(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> dict[str, Any]:
        body = chat_wire.request_body(deployment.model, messages, options)
        if "max_tokens" in body:  # the older name, which reasoning models refuse
            body["max_completion_tokens"] = body.pop("max_tokens")
        extra = {name: body.pop(name) for name in options.extra}
        return {**body, **({"extra_body": extra} if extra else {})}

    def _jobs_page(self, after: str | None, limit: int, **query: Any) -> Page[FineTuningJob]:
        cursor = {} if after is None else {"after": self._known("job", after)}
        bodies, more = self._line.page(JobBody, self._jobs().list, limit=min(limit, PAGE), **cursor, **query)
        return Page(items=tuple(map(self._job, bodies)), next=bodies[-1].id if more and bodies else None)

    def _event_of_chat(self, chunk: object) -> dict[str, Any]:
        """Returns an event of a stream. The package hands on whatever JSON there was."""
        if isinstance(chunk, BaseModel):
            return chunk.model_dump()
        raise ProviderUnavailableError(
            f"what it sent is no answer: {self._line.hide(str(chunk))[:200]!r}", provider=self.name
        )

    def _made_since(self, since: datetime, **query: Any) -> Iterator[FineTuningJob]:
        """Yields the jobs from the newest back to a moment, in whole seconds, as the service tells them."""
        for body in self._line.walk(JobBody, self._jobs().list, **query):
            if body.created_at is not None and body.created_at < int(since.timestamp()):
                return
            yield self._job(body)

    def _events_since(self, job_id: str, after: str | None) -> list[JobEvent]:
        events: list[JobEvent] = []
        seen: set[str] = set()
        for body in self._line.walk(EventBody, self._jobs().list_events, self._known("job", job_id)):
            if body.id == after:
                break
            if body.id not in seen:  # what happens while pages are read moves the others down
                seen.add(body.id)
                events.append(event_of(body, job_id))
        return events[::-1]

    def _turn(self, call: Any, job_id: str, what: str) -> FineTuningJob:  # noqa: ANN401 - a method of the package
        try:
            return self._job(self._line.ask(JobBody, call, self._known("job", job_id)))
        except ProviderError as error:
            now = self._after_refusal(error, job_id)
            said = error.message.removeprefix(f"{self.name}: ")
        raise ConflictError(f"the job {job_id} is {now.provider_status}, and cannot {what}: {said}", provider=self.name)

    def _after_refusal(self, error: ProviderError, job_id: str) -> FineTuningJob:
        """Returns the job whose state does not allow what was asked; any other error is raised again."""
        if error.status_code not in _REFUSED:
            raise error
        return self.get_job(job_id)

    def _known(self, noun: str, given: str) -> str:
        """Returns an id that may be one; what cannot be is not asked for."""
        return known_id(given, noun, self.name)

    def _known_model(self, given: str) -> str:
        """Returns the name of a model that may be one; what cannot be is not asked for."""
        if not _MODEL.fullmatch(given) or not {"", ".", ".."}.isdisjoint(given.split("/")):
            raise NotFoundError(f"there is no model {given[:80]!r}", provider=self.name)
        return given

    def _job(self, body: JobBody) -> FineTuningJob:
        return job_of(body, self.name, self.identity())

    def _file(self, body: FileBody) -> TrainingFile:
        return file_of(body, self.name, self.identity())


def _table(content: bytes) -> str:
    """Returns a results file as text. OpenAI has sent some of them in base64 (as its cookbook decodes them)."""
    if b"," not in content.partition(b"\n")[0]:
        with suppress(binascii.Error, ValueError):
            content = base64.b64decode(content, validate=True)
    return content.decode("utf-8-sig", errors="replace")
