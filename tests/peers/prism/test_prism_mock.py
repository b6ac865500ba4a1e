"""A server that is made of OpenAI's own document, and of nothing of ours, takes every request of the provider `openai`.

The server is `prism mock`; it and the document are those of test_prism.py. It refuses with a 422 what the document
does not allow, and answers the rest with what the document says an answer looks like: "string", 0, and the first word
of each enumeration. It keeps nothing, so these answers hold the requests, and how answers are read, but no lifecycle.

Some of its answers are such as the service itself does not give, and the provider makes of them what it must:

* A file stays "uploaded", the first of its states: it is waited for, and given up. An upload in parts stays "pending",
  and has no file even when it is complete: that is an error.
* Each page has the one same item, and says that there are more. Who asks on sees it again, and must end there.
* The bytes of a file are declared to be JSON (a fault of the document, see test_prism.py), which the package does not
  ask for: it gets a 406. So there are no bytes, and no results, to be had here.
* Who asks for a stream gets an object: the document knows no streams. That is no answer, and must not be a short one.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from prisms import PATIENCE_S, generic, prism, write_document

pytest.importorskip("openai")

import httpx2
from openai import OpenAI

from ftkit import (
    DPO,
    ChatMessage,
    ChatOptions,
    Deployment,
    DeploymentStatus,
    FineTuningJob,
    JobRequest,
    JobStatus,
    ProviderError,
    ProviderUnavailableError,
    Reinforcement,
    Supervised,
    TrainingFile,
)
from ftkit.plugin.notes import Notes
from ftkit.providers._openai_wire.uploads import Sender
from ftkit.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Generator


pytestmark = pytest.mark.slow

CACHE = Path(__file__).parents[3] / ".cache"
MODEL = "gpt-4o-mini-2024-07-18"
JOB = "ftjob-1"
FILE = TrainingFile(id="file-1", provider="openai", identity="openai:127.0.0.1:proj_x")
QUESTION = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Which tea?")]
GRADER = {
    "type": "string_check",
    "name": "same",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
WANDB = {"type": "wandb", "wandb": {"project": "tea", "name": "first", "tags": ["a"]}}
WRONG = [{"integrations": [{"type": "wandb"}]}, {"seed": "seven"}, {"suffix": "a" * 65}, {"method": {"type": "guess"}}]
INVALID, NOT_ACCEPTABLE = 422, 406
METHODS = {
    "supervised": Supervised(n_epochs=3, batch_size="auto", learning_rate_multiplier=0.5),
    "supervised, all by default": Supervised(),
    "dpo": DPO(beta=0.2, n_epochs=1),
    "reinforcement": Reinforcement(
        grader=GRADER, eval_interval=5, eval_samples=2, reasoning_effort="low", compute_multiplier=1.5
    ),
}


class Log:
    """What was asked, and what was refused."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused: list[str] = []

    def look(self, answer: httpx2.Response) -> None:
        operation = f"{answer.request.method} {generic(answer.request.url.path)}"
        self.asked.append(operation)
        found = answer.headers.get("sl-violations")
        if not answer.is_success or found:
            answer.read()
            self.refused.append(f"{operation} {answer.status_code}: {found or answer.text}")


class Mock(NamedTuple):
    """The mock, and the document that it is made of."""

    url: str
    document: Path


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Generator[Mock]:
    folder = tmp_path_factory.mktemp("prism")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTKIT_CACHE", str(CACHE))  # `home` sets it for each test, and this is before the first
        document = write_document(folder / "openai.json")
        with prism("mock", document, "--errors", log=folder / "prism.log") as url:
            yield Mock(url, document)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def provider(mock: Mock, log: Log) -> Generator[OpenAIProvider]:
    http = httpx2.Client(event_hooks={"response": [log.look]}, trust_env=False, timeout=PATIENCE_S)
    with OpenAI(base_url=mock.url, api_key="x", project="proj_x", max_retries=0, http_client=http) as client:
        yield OpenAIProvider(client, processing_s=0.1)


@pytest.fixture
def deployment() -> Deployment:
    return Deployment(name="tea", provider="openai", status=DeploymentStatus.RUNNING, model=MODEL)


def request(**given: Any) -> JobRequest:
    return JobRequest(model=MODEL, training_file=FILE, **given)


def create(provider: OpenAIProvider, **given: Any) -> FineTuningJob:
    return provider.create_job(request(**given), "key-1")


@pytest.mark.parametrize("name", METHODS)
def test_a_job_of_each_method_is_taken(provider: OpenAIProvider, log: Log, name: str) -> None:
    job = create(provider, method=METHODS[name])
    assert isinstance(job, FineTuningJob)
    assert job.status is JobStatus.VALIDATING
    assert log.refused == []


def test_a_job_with_everything_there_is_is_taken(provider: OpenAIProvider, log: Log) -> None:
    options = {"integrations": [WANDB]}
    create(provider, validation_file=FILE, suffix="tea", seed=7, metadata={"a": "b"}, provider_options=options)
    assert log.refused == []


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_field_of_a_job_is_refused(
    provider: OpenAIProvider, log: Log, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = provider._order
    monkeypatch.setattr(provider, "_order", lambda request, key: {**right(request, key), **wrong})
    with pytest.raises(ProviderError) as refused:
        create(provider)
    assert refused.value.status_code == INVALID
    assert len(log.refused) == 1


@pytest.mark.parametrize("wrong", [{"n": "many"}, {"logit_bias": "none"}, {"reasoning_effort": "a bit"}], ids=str)
def test_a_wrong_field_of_a_question_is_refused(
    provider: OpenAIProvider, log: Log, deployment: Deployment, wrong: Any
) -> None:
    with pytest.raises(ProviderError) as refused:
        provider.chat(deployment, QUESTION, ChatOptions(extra=wrong))
    assert refused.value.status_code == INVALID
    assert len(log.refused) == 1


def test_no_body_goes_by_unseen(mock: Mock) -> None:
    """Prism passes over, without a word, a schema that its validator does not take (see trim.py)."""
    paths = json.loads(mock.document.read_text("utf-8"))["paths"]
    takes_json = [
        re.sub(r"\{\w+\}", "an-id", path)
        for path, item in paths.items()
        if "application/json" in item.get("post", {}).get("requestBody", {}).get("content", {})
    ]
    assert {"/v1/fine_tuning/jobs", "/v1/uploads", "/v1/chat/completions"} < set(takes_json)
    root = mock.url.removesuffix("/v1")
    with httpx2.Client(base_url=root, headers={"Authorization": "Bearer x"}, trust_env=False) as http:
        assert {path: http.post(path, json={}).status_code for path in takes_json} == dict.fromkeys(takes_json, INVALID)


def test_jobs_are_read_looked_for_and_turned(provider: OpenAIProvider, log: Log) -> None:
    now = datetime.now(UTC)
    assert provider.get_job(JOB).model == "string"
    first = provider.list_jobs(None, 10)
    assert [job.id for job in first.items] == ["string"]
    assert [job.id for job in provider.list_jobs(first.next, 10).items] == ["string"]
    assert provider.find_job("key-1", request(), now) is None
    assert provider.find_job("key-1", request(), datetime.fromtimestamp(0, UTC)) is None
    for turn in (provider.cancel_job, provider.pause_job, provider.resume_job):
        assert isinstance(turn(JOB), FineTuningJob)
    assert log.refused == []


def test_what_is_around_a_job_is_read_once_where_the_pages_never_end(provider: OpenAIProvider, log: Log) -> None:
    assert [event.message for event in provider.list_events(JOB, None, 10).items] == ["string"]
    assert provider.list_events(JOB, "string", 10).items == ()
    assert [checkpoint.step for checkpoint in provider.list_checkpoints(JOB)] == [0]
    assert log.refused == []


def test_a_file_is_sent_and_waited_for(provider: OpenAIProvider, log: Log, train: Path) -> None:
    with pytest.raises(ProviderUnavailableError, match="still 'uploaded'"):
        provider.upload(train, "key-1")
    assert {*log.asked} == {"GET /files", "POST /files", "GET /files/string"}
    assert log.refused == []


def test_a_file_is_sent_in_parts(provider: OpenAIProvider, log: Log, train: Path, tmp_path: Path) -> None:
    sender = Sender(provider._line, "openai", Notes(tmp_path / "notes.json", "openai"), 0.0, whole=100, part=1000)
    with pytest.raises(ProviderUnavailableError, match="became no file"):
        sender.send(train, "key-1")
    parts = {"POST /uploads", "POST /uploads/string/parts", "POST /uploads/string/complete"}
    assert {*log.asked} == {"GET /files", *parts}
    assert log.refused == []


def test_files_are_listed_read_and_deleted(provider: OpenAIProvider, log: Log) -> None:
    first = provider.list_files(None, 10)
    assert [file.id for file in provider.list_files(first.next, 10).items] == ["string"]
    assert provider.get_file(FILE.id).provider_status == "uploaded"
    provider.delete_file(FILE.id)
    assert log.refused == []


@pytest.mark.parametrize("read", ["download", "results"])
def test_bytes_that_are_not_to_be_had_are_a_typed_error(
    provider: OpenAIProvider, log: Log, tmp_path: Path, read: str
) -> None:
    with pytest.raises(ProviderError) as refused:
        provider.results(JOB) if read == "results" else provider.download_file(FILE.id, tmp_path / "content")
    assert refused.value.status_code == NOT_ACCEPTABLE
    assert len(log.refused) == 1


def test_models_are_listed_and_deleted(provider: OpenAIProvider, log: Log) -> None:
    """They are listed for the account's sake. The mock does not say whose it is, so it is the project's."""
    assert provider.identity() == FILE.identity
    provider.delete_model(f"ft:{MODEL}:acme::1")
    assert log.asked == ["GET /models", "DELETE /models/{id}"]
    assert log.refused == []


def test_a_question_with_everything_there_is_is_taken(
    provider: OpenAIProvider, log: Log, deployment: Deployment
) -> None:
    tool = {"type": "function", "function": {"name": "brew", "parameters": {"type": "object", "properties": {}}}}
    options = ChatOptions(temperature=0, max_tokens=5, top_p=0.5, seed=1, stop=("\n",), tools=(tool,), extra={"n": 1})
    assert provider.chat(deployment, QUESTION, options).text == "string"
    assert log.refused == []


def test_a_question_for_a_stream_is_taken(provider: OpenAIProvider, log: Log, deployment: Deployment) -> None:
    with pytest.raises(ProviderUnavailableError, match="broke off"):
        list(provider.stream_chat(deployment, QUESTION, ChatOptions()))
    assert log.refused == []
