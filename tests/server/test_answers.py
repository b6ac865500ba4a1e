"""Every answer of every route, as it comes over the wire, against the types of the `openai` package.

Those types are lenient: the package builds them without looking, and takes any field that they do not have. Here
they are read as what they say: right type, no field less, no field more, at any depth. What each dialect does
otherwise is a list, and a list that says more than is seen is as wrong as one that says less.
"""

from __future__ import annotations

import json
import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import pytest
from live import MODEL, VERSION, until
from openai.types import FileDeleted, FileObject, Model, ModelDeleted, Upload
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from openai.types.shared import ErrorObject
from openai.types.uploads import UploadPart
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ftkit.models import (
    ChatChunk,
    ChatReply,
    ChatUsage,
    Checkpoint,
    Deployment,
    EventLevel,
    JobEvent,
    JobStatus,
    Metrics,
    Page,
)
from ftkit.models import FineTuningJob as Job
from ftkit.testing import MemoryProvider, MemoryVendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx2
    from live import Live

    from ftkit.models import ChatMessage, ChatOptions

# -- the check -------------------------------------------------------------------------------------------------------

T = TypeVar("T")


class Listed(BaseModel, Generic[T]):
    """A page. The package's own classes hold only what it turns pages by; the rest is of OpenAI's document."""

    model_config = ConfigDict(extra="allow")

    object: Literal["list"]
    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Models(BaseModel):
    """The list of models, which has no pages."""

    object: Literal["list"]
    data: list[Model]


class Refusal(BaseModel):
    """The package takes the envelope off before it reads the error."""

    error: ErrorObject


OPENAI_ONLY = {"service_tier", "system_fingerprint", "moderation"}
"""What OpenAI tells of its own machines."""
MAY_BE_MISSING = {
    "Model": {"shutdown_date"},  # told of models that will be shut down
    "ErrorObject": {"misalignment"},  # told of answers that were blocked
    "Method": {"supervised", "dpo", "reinforcement"},  # the one that was chosen is there
    "Metrics": set(Metrics.model_fields),  # what was measured is there
    "ChatCompletion": {*OPENAI_ONLY, "metadata"},  # metadata: of those that are stored
    "ChatCompletionChunk": {*OPENAI_ONLY, "obfuscation", "usage"},  # where asked for
    "ChatCompletionMessage": {"annotations", "audio", "function_call", "tool_calls"},  # what there is of them
    "ChoiceDelta": {"audio", "content", "function_call", "refusal", "role", "tool_calls"},  # a delta tells what is new
    "CompletionUsage": {"completion_tokens_details", "prompt_tokens_details"},  # of audio, caches and reasoning
}
"""Fields that the original leaves out where it has nothing to say. All others are there, if need be as null."""


def faults(kind: Any, raw: bytes) -> set[str]:
    """Returns what is wrong with an answer, by the names of types and fields."""
    return _of_another_type(kind, raw) | set(_amiss(kind, json.loads(raw)))


def _of_another_type(kind: Any, raw: bytes) -> set[str]:
    try:
        TypeAdapter(kind).validate_json(raw, strict=True)
    except ValidationError as error:
        found = [each for each in error.errors() if each["type"] not in {"missing", "extra_forbidden"}]
        return {f"{_field(each['loc'])} is {each['input']!r}" for each in found}
    return set()


def _field(place: tuple[int | str, ...]) -> str:
    """Pydantic tells, beside fields, the number of an item and the member of a union; of items, the field is enough."""
    parts = [str(part) for part in place if isinstance(part, str) and part.isidentifier() and part not in _BASIC]
    return ".".join(parts).removeprefix("data.")


_BASIC = {"int", "float", "str", "bool", "constrained"}


def _amiss(kind: Any, value: object) -> Iterator[str]:
    """Yields the fields that are missing, and those that the type does not know."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if isinstance(value, list):
        for item in value:
            yield from _amiss(get_args(kind)[0] if get_args(kind) else Any, item)
    elif get_origin(kind) in {Union, types.UnionType}:
        # Of several that could be meant, the one that fits best is.
        yield from min(([*_amiss(each, value)] for each in get_args(kind) if each is not type(None)), key=len)
    elif isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _amiss_in(kind, value)


def _amiss_in(kind: type[BaseModel], value: Mapping[str, object]) -> Iterator[str]:
    name = kind.__name__.partition("[")[0]
    known = {each.alias or own: each.annotation for own, each in kind.model_fields.items()}
    yield from (f"{name}.{own} is missing" for own in known.keys() - value.keys() - MAY_BE_MISSING.get(name, set()))
    yield from (f"{name}.{own} is unknown" for own in value.keys() - known.keys())
    for own in known.keys() & value.keys():
        yield from _amiss(known[own], value[own])


# -- a provider that can do everything -------------------------------------------------------------------------------

MEASURED = Metrics(
    step=3,
    train_loss=0.5,
    train_mean_token_accuracy=0.75,
    valid_loss=1.0,
    valid_mean_token_accuracy=0.5,
    full_valid_loss=1.25,
    full_valid_mean_token_accuracy=0.25,
    learning_rate=1e-4,
)
USAGE = ChatUsage(prompt_tokens=3, completion_tokens=2)
CALL = {"id": "call_1", "type": "function", "function": {"name": "brew", "arguments": "{}"}}


class Able(MemoryProvider):
    """Its jobs are moved by hand, so that none gets on before it was looked at."""

    def __init__(self) -> None:
        super().__init__(MemoryVendor(finish_after=None))

    def pause_job(self, job_id: str) -> Job:
        self.vendor.advance(job_id, "paused")
        return self.get_job(job_id)

    def resume_job(self, job_id: str) -> Job:
        self.vendor.advance(job_id, "running")
        return self.get_job(job_id)

    def get_job(self, job_id: str) -> Job:
        job = super().get_job(job_id)
        return job.model_copy(update={"status": JobStatus.PAUSED}) if job.provider_status == "paused" else job

    def list_events(self, job_id: str, after: str | None, limit: int) -> Page[JobEvent]:
        page = super().list_events(job_id, after, limit)
        items = []
        for event in page.items:
            metrics = MEASURED if event.message == "measured" else None
            level = EventLevel.WARNING if event.message == "odd" else EventLevel.INFO
            items.append(event.model_copy(update={"metrics": metrics, "level": level}))
        return Page(items=tuple(items), next=page.next)

    def list_checkpoints(self, job_id: str) -> list[Checkpoint]:
        """The newer one was measured, and the older one was not."""
        newer, *older = super().list_checkpoints(job_id) or [None]
        return [newer.model_copy(update={"metrics": MEASURED}), *older] if newer else []

    def results(self, job_id: str) -> list[Metrics]:
        del job_id
        return [MEASURED]

    def delete_model(self, model: str) -> None:
        """There is nothing to delete."""

    def chat(self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions) -> ChatReply:
        reply = super().chat(deployment, messages, options)
        calls = {"tool_calls": (CALL,), "text": "", "finish_reason": "tool_calls"} if options.tools else {}
        return reply.model_copy(update={"usage": USAGE, **calls})

    def stream_chat(
        self, deployment: Deployment, messages: Sequence[ChatMessage], options: ChatOptions
    ) -> Iterator[ChatChunk]:
        yield from (ChatChunk(text=word) for word in self.chat(deployment, messages, options).text.split())
        yield ChatChunk(text="", finish_reason="stop", usage=USAGE)


# -- the tour --------------------------------------------------------------------------------------------------------

SUPERVISED = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}}
DPO = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.5, "learning_rate_multiplier": 1.5}}}
QUESTION = [{"role": "user", "content": "Which tea is for the morning?"}]
DEPLOYMENT = "teas"


def pairs() -> bytes:
    def said(text: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": text}]

    rows = (
        {
            "input": {"messages": [{"role": "user", "content": f"{n}?"}]},
            "preferred_output": said(f"{n}!"),
            "non_preferred_output": said("no"),
        }
        for n in range(12)
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@dataclass
class Tour:
    """Goes through all routes of a dialect, and checks what it is told."""

    server: Live
    http: httpx2.Client
    prefix: str = "/v1"
    query: Mapping[str, str] = field(default_factory=dict)
    created: int = 200
    names_deployments: bool = False
    checked: int = 0
    found: set[str] = field(default_factory=set)

    def ask(self, kind: Any, method: str, path: str, status: int = 200, **sent: Any) -> Any:
        params = {**self.query, **sent.pop("params", {})}
        answer = self.http.request(method, f"{self.prefix}{path}", params=params, **sent)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        self.check(kind, answer.content)
        return answer.json()

    def check(self, kind: Any, raw: bytes) -> None:
        self.checked += 1
        self.found |= faults(kind, raw)

    def file(self, rows: bytes, **more: str) -> str:
        sent = {"files": {"file": ("tea.jsonl", rows)}, "data": {"purpose": "fine-tune", **more}}
        return str(self.ask(FileObject, "POST", "/files", self.created, **sent)["id"])

    def files(self, rows: bytes) -> None:
        file = self.file(rows, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"})
        self.ask(FileObject, "GET", f"/files/{file}")
        self.ask(Listed[FileObject], "GET", "/files")
        self.ask(FileDeleted, "DELETE", f"/files/{file}")
        self.ask(Listed[FileObject], "GET", "/files", params={"purpose": "vision"})
        self.ask(Refusal, "GET", f"/files/{file}", 404)

    def uploads(self, rows: bytes) -> None:
        wanted = {"filename": "tea.jsonl", "purpose": "fine-tune", "bytes": len(rows), "mime_type": "text/jsonl"}
        upload = self.ask(Upload, "POST", "/uploads", json=wanted)["id"]
        part = self.ask(UploadPart, "POST", f"/uploads/{upload}/parts", files={"data": rows})["id"]
        whole = self.ask(Upload, "POST", f"/uploads/{upload}/complete", json={"part_ids": [part]})
        assert whole["file"]["bytes"] == len(rows)
        other = self.ask(Upload, "POST", "/uploads", json=wanted)["id"]
        self.ask(Upload, "POST", f"/uploads/{other}/cancel")
        self.ask(Refusal, "POST", f"/uploads/{other}/cancel", 400)

    def begin(self, **asked: Any) -> str:
        """Makes a job and returns its id; the provider has it then, and has not begun with it."""
        before = len(self.server.vendor.jobs)
        job = self.ask(FineTuningJob, "POST", "/fine_tuning/jobs", self.created, json={"model": MODEL, **asked})["id"]
        until(lambda: len(self.server.vendor.jobs) > before)
        self.job(job)
        return str(job)

    def job(self, job: str) -> Any:
        return self.ask(FineTuningJob, "GET", f"/fine_tuning/jobs/{job}")

    def move(self, job: str, word: str) -> None:
        self.server.vendor.advance(list(self.server.vendor.jobs)[-1], word)
        self.come(job, word)

    def come(self, job: str, word: str) -> None:
        until(lambda: self.job(job)["status"] == word)

    def succeeded(self, file: str, other: str) -> str:
        """A job that is paused on its way."""
        metadata = {"cup": "large"}
        method = {"method": SUPERVISED, "metadata": metadata, "suffix": "tea", "seed": 7}
        job = self.begin(training_file=file, validation_file=other, **method)
        self.move(job, "running")
        for verb, word in (("pause", "paused"), ("resume", "running")):
            self.ask(FineTuningJob, "POST", f"/fine_tuning/jobs/{job}/{verb}")
            self.come(job, word)
        for event in ("measured", "odd"):
            self.server.vendor.add_event(list(self.server.vendor.jobs)[-1], event)
        self.move(job, "succeeded")
        self.listed(job)
        return job

    def listed(self, job: str) -> None:
        jobs = Listed[FineTuningJob]
        assert self.ask(jobs, "GET", "/fine_tuning/jobs", params={"metadata[cup]": "large"})["data"][0]["id"] == job
        assert not self.ask(jobs, "GET", "/fine_tuning/jobs", params={"metadata[cup]": "small"})["data"]
        events = self.ask(Listed[FineTuningJobEvent], "GET", f"/fine_tuning/jobs/{job}/events")["data"]
        assert {"metrics", "message"} == {event["type"] for event in events}
        checkpoints = Listed[FineTuningJobCheckpoint]
        assert len(self.ask(checkpoints, "GET", f"/fine_tuning/jobs/{job}/checkpoints")["data"]) == 2
        self.ask(checkpoints, "GET", f"/fine_tuning/jobs/{job}/checkpoints", params={"limit": 1})

    def ended(self, file: str) -> None:
        """One that is cancelled, of the other method; one whose file is wrong; one that the provider gives up."""
        job = self.begin(training_file=self.file(pairs()), method=DPO)
        assert self.ask(FineTuningJob, "POST", f"/fine_tuning/jobs/{job}/cancel")["status"] == "cancelled"
        self.ask(Listed[FineTuningJobCheckpoint], "GET", f"/fine_tuning/jobs/{job}/checkpoints")
        wrong = {"model": MODEL, "training_file": self.file(b'{"messages": []}\n')}
        job = self.ask(FineTuningJob, "POST", "/fine_tuning/jobs", self.created, json=wrong)["id"]
        self.come(job, "failed")
        assert self.job(job)["error"]["param"] == "training_file"
        job = self.begin(training_file=file)
        self.server.vendor.fail(list(self.server.vendor.jobs)[-1])
        self.come(job, "failed")
        assert self.job(job)["error"]["param"] is None
        self.ask(Listed[FineTuningJobEvent], "GET", f"/fine_tuning/jobs/{job}/events", params={"limit": 3})

    def jobs_and_models(self, rows: bytes) -> None:
        file = self.file(rows)
        job = self.succeeded(file, self.file(rows))
        tuned = self.job(job)["fine_tuned_model"]
        self.ended(file)
        self.ask(Listed[FineTuningJob], "GET", "/fine_tuning/jobs")
        self.ask(Models, "GET", "/models")
        for model in (MODEL, tuned, f"{tuned}:ckpt-step-10"):
            self.ask(Model, "GET", f"/models/{model}")
        self.chats(tuned)
        self.ask(ModelDeleted, "DELETE", f"/models/{tuned}")
        self.ask(Refusal, "GET", f"/models/{tuned}", 404)

    def chats(self, model: str) -> None:
        path = "/chat/completions"
        if self.names_deployments:
            self.deploy(model)
            path = f"/deployments/{DEPLOYMENT}{path}" if self.query else path
            model = DEPLOYMENT
        asked = {"model": model, "messages": QUESTION}
        self.ask(ChatCompletion, "POST", path, json=asked)
        tool = {"type": "function", "function": {"name": "brew", "parameters": {"type": "object"}}}
        called = self.ask(ChatCompletion, "POST", path, json={**asked, "tools": [tool]})
        assert called["choices"][0]["message"]["tool_calls"] == [CALL]
        self.stream(path, asked)
        if self.names_deployments:
            self.undeploy()

    def stream(self, path: str, asked: Mapping[str, Any]) -> None:
        asked = {**asked, "stream": True, "stream_options": {"include_usage": True}}
        lines = self.http.post(f"{self.prefix}{path}", params=dict(self.query), json=asked).text.split("\n\n")
        assert lines[-2:] == ["data: [DONE]", ""]
        assert len(lines) > 5
        for line in lines[:-2]:
            self.check(ChatCompletionChunk, line.removeprefix("data: ").encode())

    def deploy(self, model: str) -> None:
        account = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"
        path, version = f"{account}/deployments/{DEPLOYMENT}", {"api-version": "2025-09-01"}
        body = {"sku": {"name": "Standard"}, "properties": {"model": {"format": "OpenAI", "name": model}}}
        assert self.http.put(path, params=version, json=body).status_code == 201

        def is_there() -> bool:
            state: str = self.http.get(path, params=version).json()["properties"]["provisioningState"]
            return state == "Succeeded"

        until(is_there)

    def undeploy(self) -> None:
        account = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a"
        path, version = f"{account}/deployments/{DEPLOYMENT}", {"api-version": "2025-09-01"}
        assert self.http.delete(path, params=version).status_code == 202
        until(lambda: self.http.get(path, params=version).status_code == 404)

    def refusals(self) -> None:
        jobs = "/fine_tuning/jobs"
        self.ask(Refusal, "GET", "/nowhere", 404)
        self.ask(Refusal, "PATCH", "/files", 405)
        self.ask(Refusal, "GET", f"{jobs}/ftjob-none", 404)
        self.ask(Refusal, "GET", jobs, 400, params={"limit": "many"})
        self.ask(Refusal, "GET", jobs, 400, params={"after": "ftjob-none"})
        self.ask(Refusal, "POST", jobs, 400, content=b"{", headers={"content-type": "application/json"})
        self.ask(Refusal, "POST", jobs, 400, json={"model": MODEL})
        self.ask(Refusal, "POST", jobs, 400, json={"model": MODEL, "training_file": "file-none"})
        self.ask(Refusal, "POST", jobs, 400, json={"model": MODEL, "training_file": "f", "n_epochs": 3})
        self.ask(Refusal, "POST", "/files", 400, content=b"")
        self.ask(Refusal, "GET", "/files", 401, headers={"Authorization": "Bearer none"})

    def all(self, rows: bytes) -> set[str]:
        self.files(rows)
        self.uploads(rows)
        self.jobs_and_models(rows)
        self.refusals()
        assert self.checked > 60
        return self.found


@pytest.fixture
def tour(start: Callable[..., Live]) -> Iterator[Callable[..., Tour]]:
    provider = Able()
    server = start(vendor=provider.vendor, provider=provider, slots=9)
    with server.http() as http:
        yield lambda **dialect: Tour(server, http, **dialect)


OUR_STATES = {"status is 'pausing'", "status is 'paused'", "status is 'resuming'"}
"""OpenAI has these on its wire since it can pause jobs; its package's type has not."""

AZURE = {
    "status is 'pending'",  # of a file that just came, and of a job that waits
    "organization_id is None",
    "result_files is None",  # until there are any
}
AZURE_DATED = {
    "level is 'warning'",
    *(f"{name}.{field} is missing" for name in ("Listed",) for field in ("first_id", "last_id")),
    *(f"Model.{field} is missing" for field in ("created", "owned_by")),
    *(f"Model.{field} is unknown" for field in ("created_at", "status", "capabilities", "lifecycle_status")),
    *(f"Model.{field} is unknown" for field in ("deprecation", "model", "fine_tune")),
    *(f"ErrorObject.{field} is missing" for field in ("type", "param")),
}
"""Its models and errors are kinds of their own."""


def test_openai_answers_hold_what_its_types_say_and_nothing_else(tour: Callable[..., Tour], rows: bytes) -> None:
    assert tour().all(rows) == OUR_STATES


def test_azure_v1_answers_differ_where_azure_does(tour: Callable[..., Tour], rows: bytes) -> None:
    v1 = tour(prefix="/openai/v1", names_deployments=True)
    assert v1.all(rows) == OUR_STATES | AZURE


def test_azure_dated_answers_differ_where_azure_does(tour: Callable[..., Tour], rows: bytes) -> None:
    dated = tour(prefix="/openai", query={"api-version": VERSION}, created=201, names_deployments=True)
    assert dated.all(rows) == OUR_STATES | AZURE | AZURE_DATED


def test_azure_tells_the_training_type_that_was_asked_for(tour: Callable[..., Tour], rows: bytes) -> None:
    v1 = tour(prefix="/openai/v1")
    job = v1.begin(training_file=v1.file(rows), trainingType="GlobalStandard")
    assert v1.job(job)["trainingType"] == "GlobalStandard"
    assert v1.found == AZURE | {"FineTuningJob.trainingType is unknown"}


# -- the check can fail ----------------------------------------------------------------------------------------------

GOOD: Mapping[str, Any] = {
    "object": "fine_tuning.job",
    "id": "ftjob-1",
    "model": MODEL,
    "created_at": 1,
    "finished_at": None,
    "fine_tuned_model": None,
    "organization_id": "org-1",
    "result_files": [],
    "status": "running",
    "validation_file": None,
    "training_file": "file-1",
    "hyperparameters": {"n_epochs": "auto", "batch_size": 1, "learning_rate_multiplier": 1.5},
    "trained_tokens": None,
    "error": None,
    "integrations": [],
    "seed": 1,
    "estimated_finish": None,
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": 1}}},
    "metadata": None,
}
TOO_LITTLE = "SupervisedHyperparameters.learning_rate_multiplier is missing"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"tune": 1}, "FineTuningJob.tune is unknown"),
        ({"error": {"code": "a", "message": "b", "param": None, "line": 1}}, "Error.line is unknown"),
        ({"error": {"code": "a", "message": "b"}}, "Error.param is missing"),
        ({"created_at": "1"}, "created_at is '1'"),
        ({"created_at": 1.5}, "created_at is 1.5"),
        ({"seed": True}, "seed is True"),
        ({"seed": None}, "seed is None"),
        ({"result_files": [None]}, "result_files is None"),
        ({"status": "asleep"}, "status is 'asleep'"),
        ({"metadata": {"a": 1}}, "metadata.a is 1"),
        ({"hyperparameters": {**GOOD["hyperparameters"], "n_epochs": "3"}}, "hyperparameters.n_epochs is '3'"),
    ],
)
def test_the_check_finds_what_is_wrong_at_any_depth(change: Mapping[str, Any], fault: str | None) -> None:
    body = json.dumps({"data": [{**GOOD, **change}], "object": "list", "first_id": "a", "last_id": "a"})
    found = faults(Listed[FineTuningJob], body.removesuffix("}").encode() + b', "has_more": false}')
    expected = {TOO_LITTLE, *([fault] if fault else [])}
    assert found == expected


@pytest.mark.parametrize("name", GOOD)
def test_the_check_misses_every_field(name: str) -> None:
    body = {own: value for own, value in GOOD.items() if own != name}
    assert f"FineTuningJob.{name} is missing" in faults(FineTuningJob, json.dumps(body).encode())
