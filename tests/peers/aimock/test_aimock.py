"""A stateful server of somebody else's, with faults at will: the provider `openai` through all of them.

It is npm `@copilotkit/aimock` 1.43.0 (MIT; Node.js 20.15 and later; no dependencies). It keeps files and fine-tuning
jobs (made, listed in pages, read, cancelled, with events), answers chats from a file of ours, and refuses what OpenAI's
document does not have. Each look at a job takes it a step further; the third one ends it.

What it has not: uploads in parts, pausing, checkpoints, results (it names a file that it does not keep), and listing by
metadata, which it passes over, so that all jobs come. Its faults strike before a request is looked at, so what it
failed to answer was never accepted: a lost answer to a job that was made is for tests/openai/test_openai_jobs.py.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from environments import NODE, environment

pytest.importorskip("openai")

import httpx2
from openai import OpenAI

from ftkit import (
    DPO,
    ChatMessage,
    ChatOptions,
    Client,
    Deployment,
    DeploymentStatus,
    JobRequest,
    JobStatus,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
    Reinforcement,
    Supervised,
)
from ftkit.ledger import Ledger
from ftkit.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ftkit import Method, TrainingFile

pytestmark = pytest.mark.slow

CACHE = Path(__file__).parents[3] / ".cache"
PATIENCE_S = 60.0
MODEL = "gpt-4o-mini-2024-07-18"
ANSWER = "Assam, and with milk, at any hour before noon."
LONG = {"response": {"content": ANSWER}, "chunkSize": 5}
FIXTURES: dict[str, dict[str, Any]] = {
    "whole": LONG,
    "cut": {**LONG, "truncateAfterChunks": 3},
    "dropped": {**LONG, "latency": 50, "disconnectAfterMs": 120},
    "busy": {"response": {"error": {"message": "slow down"}, "status": 429, "retryAfter": 7}},
    "poor": {"response": {"error": {"message": "no money", "code": "insufficient_quota"}, "status": 429}},
    "broken": {"response": {"error": {"message": "oops"}, "status": 500}},
    "away": {"response": {"error": {"message": "back soon"}, "status": 503}},
    "strict": {"response": {"error": {"message": "that will not do"}, "status": 400}},
}
"""What is answered to which question."""
ROWS = [{"match": {"userMessage": question}, **answer} for question, answer in FIXTURES.items()]
SAID = {
    "busy": (RateLimitError, "slow down"),
    "poor": (QuotaError, "no money"),
    "broken": (ProviderUnavailableError, "oops"),
    "away": (ProviderUnavailableError, "back soon"),
    "strict": (ProviderError, "that will not do"),
    "unheard of": (NotFoundError, "No fixture matched"),
}
"""What becomes of the errors that it tells."""
FAULTS = {
    "drop": (ProviderUnavailableError, "Chaos: request dropped"),
    "ratelimit": (RateLimitError, "Chaos: rate limit exceeded"),
    "malformed": (ProviderError, "what it sent is no|broke off"),
    "disconnect": (ProviderUnavailableError, "cannot be reached"),
}
"""Faults that strike any request, and what becomes of them."""
GRADER = {"type": "string_check", "name": "same", "operation": "eq", "input": "a", "reference": "a"}


class Server:
    """The server, seen from outside, and the fault that strikes what is asked next."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._fault: tuple[str, str] | None = None

    def strike(self, fault: str, where: str = "") -> None:
        """Lets the next request that fits fail, and no other."""
        self._fault = (fault, where)

    def look(self, request: httpx2.Request) -> None:
        if self._fault and self._fault[1] in f"{request.method} {request.url.path}":
            request.headers[f"x-aimock-chaos-{self._fault[0]}"] = "1"
            self._fault = None

    def forget(self) -> None:
        httpx2.post(f"{self.url}/__aimock/reset", trust_env=False).raise_for_status()
        rows = {"fixtures": ROWS}  # it forgets these, too
        httpx2.post(f"{self.url}/__aimock/fixtures", json=rows, trust_env=False).raise_for_status()

    def jobs(self) -> list[str]:
        """The jobs that there are, as the server itself lists them."""
        answer = httpx2.get(f"{self.url}/v1/fine_tuning/jobs", headers={"Authorization": "Bearer x"}, trust_env=False)
        return [job["id"] for job in answer.json()["data"]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    folder = tmp_path_factory.mktemp("aimock")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTKIT_CACHE", str(CACHE))  # `home` sets it for each test, and this is before the first
        package = environment(Path(__file__).parent) / "node_modules" / "@copilotkit" / "aimock"
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": ROWS}), encoding="utf-8")
    command = [NODE, package / "dist" / "cli.js", "--port", "0", "--fixtures", fixtures]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            said = next((line for line in process.stdout if "listening on" in line), "")  # or it ended
            yield re.findall(r"http://\S+", said)[0]
        finally:
            process.kill()  # it would wait for connections that are kept


@pytest.fixture
def server(running: str) -> Server:
    found = Server(running)
    found.forget()
    return found


@pytest.fixture
def provider(server: Server) -> Generator[OpenAIProvider]:
    http = httpx2.Client(event_hooks={"request": [server.look]}, trust_env=False, timeout=PATIENCE_S)
    with OpenAI(base_url=f"{server.url}/v1", api_key="x", project="proj_x", max_retries=0, http_client=http) as client:
        made = OpenAIProvider(client)
        made.settle_s = 0.0
        yield made


def order(file: TrainingFile, method: Method, options: dict[str, Any] | None = None) -> JobRequest:
    return JobRequest(model=MODEL, training_file=file, method=method, provider_options=options or {})


@pytest.fixture
def client(provider: OpenAIProvider) -> Client:
    return Client(provider)


def whole(provider: OpenAIProvider, question: str) -> str:
    return provider.chat(model(), asked(question), ChatOptions(max_tokens=50)).text


def streamed(provider: OpenAIProvider, question: str) -> str:
    pieces = list(provider.stream_chat(model(), asked(question), ChatOptions(max_tokens=50)))
    assert pieces[-1].finish_reason == "stop"
    assert pieces[-1].usage
    return "".join(map(str, pieces))


def model() -> Deployment:
    return Deployment(name="tea", provider="openai", status=DeploymentStatus.RUNNING, model=MODEL)


def asked(question: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=question)]


both_ways = pytest.mark.parametrize("ask", [whole, streamed])


# -- chats -----------------------------------------------------------------------------------------------------------


@both_ways
def test_a_whole_answer_comes_whole(provider: OpenAIProvider, ask: Callable[..., str]) -> None:
    assert ask(provider, "whole") == ANSWER


@both_ways
@pytest.mark.parametrize("question", SAID)
def test_an_error_that_is_told_is_one_of_ours(provider: OpenAIProvider, ask: Callable[..., str], question: str) -> None:
    kind, words = SAID[question]
    with pytest.raises(ProviderError, match=words) as raised:
        ask(provider, question)
    assert type(raised.value) is kind
    assert raised.value.__cause__ is raised.value.__context__ is None, "the package's exceptions hold the key"


def test_how_long_to_wait_is_told(provider: OpenAIProvider) -> None:
    with pytest.raises(RateLimitError) as raised:
        whole(provider, "busy")
    assert raised.value.retry_after_s == 7.0


@both_ways
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_of_our_errors(
    provider: OpenAIProvider, server: Server, ask: Callable[..., str], fault: str
) -> None:
    kind, words = FAULTS[fault]
    server.strike(fault)
    with pytest.raises(kind, match=words):
        ask(provider, "whole")
    assert ask(provider, "whole") == ANSWER, "and the next question is answered"


@pytest.mark.parametrize("question", ["cut", "dropped"])
def test_an_answer_that_breaks_off_is_an_error_and_no_short_answer(provider: OpenAIProvider, question: str) -> None:
    got = ""
    with pytest.raises(ProviderUnavailableError):  # noqa: PT012 - what came before the break is wanted, too
        for piece in provider.stream_chat(model(), asked(question), ChatOptions()):
            got += str(piece)
    assert ANSWER.startswith(got)
    assert got != ANSWER


# -- jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_goes_all_the_way(client: Client, train: Path, tmp_path: Path) -> None:
    file = client.upload(train, model=MODEL)
    job = client.create_job(model=MODEL, training_file=file, suffix="tea", seed=7, metadata={"a": "b"})
    done = client.wait(job, poll_s=0.0, progress=False)
    assert done.status is JobStatus.SUCCEEDED
    assert str(done.fine_tuned_model).startswith(f"ft:{MODEL}:aimock:tea:")
    assert (done.seed, done.metadata, done.key) == (7, {"a": "b"}, job.key)
    words = [event.message for event in client.list_events(job).items]
    assert words[0] == "Job created, validating training file"
    assert words[-1].startswith("Training complete")
    client.download_file(file, tmp_path / "back.jsonl")
    back, sent = ((path.read_text("utf-8").splitlines()) for path in (tmp_path / "back.jsonl", train))
    assert [json.loads(line) for line in back] == [json.loads(line) for line in sent]
    client.delete_file(file)
    with pytest.raises(NotFoundError):
        client.get_file(file.id)


def test_all_methods_are_taken_and_a_second_page_follows_the_first(client: Client, server: Server, train: Path) -> None:
    file = client.upload(train, model=MODEL)
    methods = [
        Supervised(n_epochs=3, batch_size="auto"),
        DPO(beta=0.2, learning_rate_multiplier=0.5),
        Reinforcement(grader=GRADER, eval_interval=5, reasoning_effort="low", compute_multiplier=1.5),
    ]
    made = [client.provider.create_job(order(file, method), f"key-{n}") for n, method in enumerate(methods)]
    assert [type(job.method) for job in made] == [type(method) for method in methods]
    first = client.provider.list_jobs(None, 2)
    second = client.provider.list_jobs(first.next, 2)
    assert [job.id for job in [*first.items, *second.items]] == [job.id for job in made[::-1]] == server.jobs()
    assert second.next is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"integrations": [{"type": "other"}]}, r"'integrations\[0\].type' must be"),
        ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"beta": 1}}}}, "beta"),
    ],
    ids=str,
)
def test_what_openai_does_not_have_is_refused_in_the_servers_own_words(
    client: Client, server: Server, train: Path, wrong: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = client.upload(train, model=MODEL)
    provider: Any = client.provider
    right = provider._order
    monkeypatch.setattr(provider, "_order", lambda request, key: {**right(request, key), **wrong})
    with pytest.raises(ProviderError, match=words):
        provider.create_job(order(file, Supervised()), "key-1")
    assert server.jobs() == []


def test_a_job_is_cancelled_once_and_for_all(client: Client, train: Path) -> None:
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    assert client.cancel_job(job).status is JobStatus.CANCELLED
    assert client.cancel_job(job).status is JobStatus.CANCELLED


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_create_leaves_no_job_and_the_next_run_makes_one(
    client: Client, server: Server, train: Path, fault: str
) -> None:
    kind, _ = FAULTS[fault]
    file = client.upload(train, model=MODEL)
    server.strike(fault, "POST /v1/fine_tuning/jobs")
    with pytest.raises(kind):
        client.create_job(model=MODEL, training_file=file)
    assert server.jobs() == []
    job = client.create_job(model=MODEL, training_file=file)
    assert client.create_job(model=MODEL, training_file=file).id == job.id
    assert server.jobs() == [job.id]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_a_read_is_waited_out(client: Client, server: Server, train: Path, fault: str) -> None:
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    server.strike(fault, f"GET /v1/fine_tuning/jobs/{job.id}")
    assert client.get_job(job.id).id == job.id


def test_a_job_that_this_machine_has_forgotten_is_found_among_all_that_there_are(
    client: Client, provider: OpenAIProvider, server: Server, train: Path
) -> None:
    file = client.upload(train, model=MODEL)
    job, _ = (client.create_job(model=MODEL, training_file=file, seed=seed) for seed in (1, 2))
    other = Client(provider, ledger=Ledger(train.parent / "elsewhere"))
    assert other.create_job(model=MODEL, training_file=file, seed=1).id == job.id
    assert len(server.jobs()) == 2
