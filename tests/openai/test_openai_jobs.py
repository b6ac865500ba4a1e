"""What OpenAI and Azure do to a job on its way, and what the client makes of it."""

from __future__ import annotations

import json
import logging
import pickle
import random
import traceback
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from azure.core.credentials import AccessToken
from openai.types.fine_tuning import job_create_params
from pydantic import ConfigDict, TypeAdapter
from wire_vendor import KEY, AzureWireVendor, WireVendor

from ftkit import (
    DPO,
    Client,
    ConfigurationError,
    CredentialsError,
    JobFailedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
    Reinforcement,
    Supervised,
    UnclearOutcomeError,
    UnsupportedError,
)
from ftkit.plugin.http_errors import plain, retry_after_s
from ftkit.plugin.notes import Notes
from ftkit.providers._openai_wire.line import Line
from ftkit.providers._openai_wire.uploads import Sender
from ftkit.providers.azure import AzureProvider
from ftkit.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODEL = "gpt-4o-mini-2024-07-18"
CREATE = "POST /fine_tuning/jobs"
GRADER = {
    "type": "string_check",
    "name": "same",
    "input": "{{sample.output_text}}",
    "operation": "eq",
    "reference": "{{item.answer}}",
}


@pytest.fixture
def vendor() -> WireVendor:
    return WireVendor()


@pytest.fixture
def provider(vendor: WireVendor) -> OpenAIProvider:
    made = OpenAIProvider(vendor.client())
    made.settle_s = 0.0
    return made


@pytest.fixture
def client(provider: OpenAIProvider) -> Client:
    return Client(provider)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}]}
        for n in range(10)
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(status: int, content: bytes, kind: str = "application/json") -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _: httpx2.Response(status, content=content, headers={"content-type": kind})


def resets(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadError("connection reset", request=request)


def times_out(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("too long", request=request)


LOST = {
    "reset": resets,
    "timeout": times_out,
    "500 after acceptance": answers(500, b'{"error": {"message": "oops"}}'),
    "html": answers(200, b"<html>Welcome to our hotel</html>", "text/html"),
    "nothing": answers(200, b"{}"),
    "half": answers(200, b'{"id": "ftjob-12", "obj'),
    "a list": answers(200, b"[]"),
    "no status": answers(200, b'{"id": "ftjob-12"}'),
}


@pytest.mark.parametrize("fault", LOST)
def test_a_reply_that_is_lost_or_no_job_leaves_one_job(
    client: Client, vendor: WireVendor, train: Path, fault: str
) -> None:
    vendor.faults.append(LOST[fault])
    file = client.upload(train, model=MODEL)
    job = client.create_job(model=MODEL, training_file=file)
    assert [*vendor.jobs] == [job.id]
    assert vendor.requests[CREATE] == 1
    assert client.create_job(model=MODEL, training_file=file).id == job.id
    assert vendor.requests[CREATE] == 1


def test_a_machine_with_an_empty_ledger_finds_the_job(client: Client, vendor: WireVendor, train: Path) -> None:
    from ftkit.ledger import Ledger

    file = client.upload(train, model=MODEL)
    job = client.create_job(model=MODEL, training_file=file)
    other = Client(OpenAIProvider(vendor.client()), ledger=Ledger(train.parent / "elsewhere"))
    assert other.create_job(model=MODEL, training_file=file).id == job.id
    assert vendor.requests[CREATE] == 1


def test_what_is_sent_is_what_the_packages_own_types_say(client: Client, vendor: WireVendor, train: Path) -> None:
    grader = {"type": "string_check", "name": "same", "input": "{{sample.output_text}}", "operation": "eq"}
    file = client.upload(train, model=MODEL)
    methods: list[Any] = [
        Supervised(n_epochs=3, batch_size="auto", learning_rate_multiplier=0.5),
        DPO(beta=0.2),
        Reinforcement(grader={**grader, "reference": "{{item.answer}}"}, eval_interval=5, reasoning_effort="low"),
    ]
    for method in methods:
        client.create_job(
            model=MODEL,
            training_file=file,
            validation_file=file,
            method=method,
            suffix="s",
            seed=1,
            metadata={"a": "b"},
        )
    params = job_create_params.JobCreateParams
    params.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[attr-defined]
    adapter = TypeAdapter(params)
    for body in vendor.bodies:
        adapter.validate_python(body)
        assert body["metadata"].keys() == {"a", "ftkit_key"}
    with pytest.raises(ValueError, match="seeds"):
        adapter.validate_python({**vendor.bodies[0], "seeds": 1})


def test_a_failed_job_raises_with_the_services_own_words(client: Client, vendor: WireVendor, train: Path) -> None:
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    vendor.set_status(job.id, "failed")
    with pytest.raises(JobFailedError, match="the file is no good"):
        client.wait(job, progress=False)


def test_events_come_oldest_first_and_once_over_many_pages(client: Client, vendor: WireVendor, train: Path) -> None:
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    for step in range(1, 251):
        data = {"step": step, "train_loss": 1 / step, "train_mean_token_accuracy": 0.5}
        vendor.add_event(job.id, f"Step {step}/250: training loss={1 / step:.2f}", type="metrics", data=data)
    seen, after = [], None
    while True:
        page = client.list_events(job, after=after, limit=60)
        seen += page.items
        if page.next is None:
            break
        after = page.next
    assert [event.metrics.step for event in seen if event.metrics] == list(range(1, 251))
    assert vendor.requests["GET /fine_tuning/jobs/{id}/events"] == 3, "read once, and not once for each of our pages"
    vendor.add_event(job.id, "one more")
    assert [event.message for event in client.list_events(job, after=seen[-1].id).items] == ["one more"]


def test_results_are_read_by_the_names_of_their_columns(client: Client, vendor: WireVendor, train: Path) -> None:
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    assert client.results(job) == []
    vendor.set_status(job.id, "succeeded")
    rows = client.results(job)
    assert [(row.step, row.train_loss, row.train_mean_token_accuracy) for row in rows] == [
        (1, 2.5, 0.5),
        (2, 1.25, 0.75),
    ]
    assert rows[1].valid_mean_token_accuracy == 0.7


def test_a_file_is_waited_for_and_its_error_is_raised(client: Client, vendor: WireVendor, train: Path) -> None:
    vendor.file_states = ["uploaded", "uploaded", "processed"]
    client.upload(train, model=MODEL)
    assert vendor.file_states == []
    train.write_text(train.read_text() * 2)
    vendor.file_states = ["uploaded", "error"]
    with pytest.raises(ProviderError, match="line 3 is no JSON"):
        client.upload(train, model=MODEL)


def test_items_to_grade_keep_what_stands_beside_the_messages(
    client: Client, vendor: WireVendor, tmp_path: Path
) -> None:
    row = {"messages": [{"role": "user", "content": "2 + 2?"}], "answer": "4", "hard": False}
    path = tmp_path / "items.jsonl"
    path.write_text((json.dumps(row) + "\n") * 10)
    method = Reinforcement(grader=GRADER)
    client.upload(path, model="o4-mini-2025-04-16", method=method)
    (content,) = vendor.contents.values()
    assert json.loads(content.splitlines()[0]) == row
    bad = {**row, "messages": [*row["messages"], {"role": "assistant", "content": "4"}]}  # type: ignore[misc]
    path.write_text((json.dumps(bad) + "\n") * 10)
    assert {p.code for p in client.check(path, model="o4-mini-2025-04-16", method=method).errors} == {"last-not-user"}


def test_what_ends_is_told_with_dates_and_refused_by_nobody(client: Client, train: Path) -> None:
    report = client.check(train, model=MODEL)
    assert report.ok
    told = " ".join(problem.message for problem in report.warnings)
    assert "2027-01-05" in told
    assert "2027-01-13" in told
    assert report.lifecycle is not None
    assert str(report.lifecycle.serving_ends) == "2027-01-13"  # the service itself says that it ends on the 14th
    assert report.lifecycle.source == "GET /v1/models"


def test_what_ends_is_told_once_before_the_job_is_asked_for(
    client: Client, train: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = client.upload(train, model=MODEL)
    with caplog.at_level(logging.WARNING, "ftkit"):
        for _ in range(2):
            client.create_job(model=MODEL, training_file=file)
    assert caplog.text.count("no fine-tuning jobs after 2027-01-05") == 1


class Storm:
    """A service that is too busy for most requests, and says so in its own way."""

    def __init__(self, vendor: WireVendor, share: float, status: int, retry_after: str | None) -> None:
        self._chance = random.Random(7)  # noqa: S311 - the same storm every time
        self._send, self._share, self._status, self._retry_after = vendor.handle, share, status, retry_after
        self.requests = 0

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        if request.method == "GET" and self._chance.random() < self._share:
            headers = {} if self._retry_after is None else {"retry-after": self._retry_after}
            return httpx2.Response(self._status, json={"error": {"message": "busy"}}, headers=headers)
        return self._send(request)


@pytest.mark.parametrize("retry_after", [None, "0", "-5", "nan", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "1e9"])
@pytest.mark.parametrize(("share", "status"), [(0.3, 429), (0.9, 503), (0.9, 429)])
def test_a_storm_ends_in_time_and_with_few_requests(
    vendor: WireVendor,
    train: Path,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    status: int,
    retry_after: str | None,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    storm = Storm(vendor, share, status, retry_after)
    client = Client(OpenAIProvider(vendor.client(project="proj_1")))
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    monkeypatch.setattr(vendor, "handle", storm.handle)
    busy = Client(OpenAIProvider(vendor.client(project="proj_1")))
    ends: list[object] = []
    for _ in range(10):
        try:
            ends.append(busy.get_job(job.id).id)
        except (RateLimitError, ProviderUnavailableError) as error:
            ends.append(error.message)
    assert {*ends} <= {job.id, "openai: busy"}
    assert slept or retry_after == "1e9", "which is longer than anybody waits"
    assert storm.requests <= 50, "five tries a read at most"
    assert all(0 <= pause <= 60 for pause in slept), "and no pause goes past the deadline"


def refused_provider(vendor: WireVendor) -> OpenAIProvider:
    return OpenAIProvider(vendor.client().with_options(api_key="sk-wrong-key-0815"))


def test_a_refused_key_says_what_to_do_and_shows_no_key(vendor: WireVendor, train: Path) -> None:
    wrong = refused_provider(vendor)
    with pytest.raises(CredentialsError, match="OPENAI_API_KEY") as refused:
        Client(wrong).upload(train, model=MODEL)
    told = "".join(traceback.TracebackException.from_exception(refused.value, capture_locals=True).format())
    assert "sk-wrong" not in told
    error: BaseException | None = refused.value
    while error is not None:
        assert "sk-wrong" not in repr(error) + str(error) + str(vars(error))
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("wrong", [KEY + "\n", KEY + "\r\n", " " + KEY, "sk-ключ"])
def test_a_key_that_cannot_be_one_is_refused_at_once_and_not_shown(vendor: WireVendor, wrong: str) -> None:
    with pytest.raises(CredentialsError, match="strip") as refused:
        OpenAIProvider(vendor.client().with_options(api_key=wrong))
    assert wrong.strip() not in str(refused.value)
    assert plain(f"Illegal header value b'Bearer {KEY}\\n'", [KEY + "\n"]).count("***") == 1


def test_data_is_checked_though_nobody_can_be_asked(train: Path) -> None:
    vendor = WireVendor()

    def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route", request=request)

    vendor.watch = away
    train.write_text(train.read_text() + "no json\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tenacity.nap.time.sleep", lambda _: None)
        report = Client(OpenAIProvider(vendor.client())).check(train, model=MODEL)
    assert [problem.line for problem in report.errors] == [11]
    assert any(problem.code == "not-asked" for problem in report.warnings)


def test_reinforcement_without_a_validation_file_is_refused_before_anything_is_sent(
    client: Client, vendor: WireVendor, tmp_path: Path
) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "2?"}], "answer": "2"}\n' * 10)
    with pytest.raises(UnsupportedError, match="validation file"):
        client.fine_tune("o4-mini-2025-04-16", path, method=Reinforcement(grader=GRADER))
    assert vendor.requests["POST /files"] == 0


def test_no_key_is_told_by_logs_reprs_or_pickles(
    client: Client, provider: OpenAIProvider, train: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "ftkit"):
        job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    assert KEY not in caplog.text
    for thing in (client, provider, job, vars(client), vars(provider)):
        assert KEY not in repr(thing)
    assert KEY.encode() not in pickle.dumps(job)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"message": "slow down"}, RateLimitError),
        (429, {"message": "no money", "code": "insufficient_quota"}, QuotaError),
        (403, {"message": "not yours"}, ProviderError),
        (503, {"message": "busy"}, ProviderUnavailableError),
    ],
)
def test_errors_of_the_wire_are_ours(
    client: Client, vendor: WireVendor, train: Path, status: int, body: dict[str, str], kind: type[Exception]
) -> None:
    vendor.faults.append(answers(status, json.dumps({"error": body}).encode()))
    file = client.upload(train, model=MODEL)
    if status == 503:
        assert client.create_job(model=MODEL, training_file=file).id  # it had been accepted all the same
        return
    with pytest.raises(kind, match=body["message"]):
        client.create_job(model=MODEL, training_file=file)
    assert vendor.requests[CREATE] == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_in_every_form(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value) == seconds


def test_a_retry_after_that_lies_ahead_is_seconds_from_now() -> None:
    import email.utils
    import time

    ahead = retry_after_s(email.utils.formatdate(time.time() + 90, usegmt=True))
    assert ahead is not None
    assert 80 < ahead <= 91


def test_an_account_that_nobody_names_and_that_does_not_say_who_it_is_is_refused_before_anything_is_paid(
    train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = WireVendor()
    handle = vendor.handle

    def silent(request: httpx2.Request) -> httpx2.Response:
        answer = handle(request)
        del answer.headers["openai-organization"]
        return answer

    monkeypatch.setattr(vendor, "handle", silent)
    with pytest.raises(ConfigurationError, match="OPENAI_PROJECT_ID"):
        Client(OpenAIProvider(vendor.client())).upload(train, model=MODEL)
    assert vendor.requests["POST /files"] == 0
    assert Client(OpenAIProvider(vendor.client(project="proj_1"))).identity() == "openai:api.openai.com:proj_1"


def test_an_old_and_a_new_key_of_one_account_are_one_account(vendor: WireVendor) -> None:
    first = OpenAIProvider(vendor.client()).identity()
    assert first == OpenAIProvider(vendor.client()).identity() == "openai:api.openai.com:acme"
    assert vendor.requests["GET /models"] == 1, "asked once, and remembered"


def test_a_large_file_goes_up_in_parts_and_what_was_sent_before_a_break_is_not_sent_again(
    vendor: WireVendor, provider: OpenAIProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftkit.providers._openai_wire.uploads._PAUSE_S", 0.0)
    path = tmp_path / "large.jsonl"
    path.write_bytes(bytes(range(256)) * 10)
    sender = Sender(provider._line, "openai", Notes(tmp_path / "notes.json", "openai"), 10.0, whole=1000, part=600)
    send = vendor.handle

    def breaks(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/parts") and len(vendor.parts) == 2:
            raise KeyboardInterrupt
        return send(request)

    monkeypatch.setattr(vendor, "handle", breaks)
    with pytest.raises(KeyboardInterrupt):
        Sender(
            Line(vendor.client(), "openai", ""),
            "openai",
            Notes(tmp_path / "notes.json", "openai"),
            10.0,
            whole=1000,
            part=600,
        ).send(path, "key")
    assert len(vendor.parts) == 2
    vendor.broken_parts = 2
    file = sender.send(path, "key")
    assert vendor.contents[file.id] == path.read_bytes()
    assert len(vendor.parts) == 5, "each once"
    assert vendor.requests["POST /uploads"] == 1


def test_a_thousand_jobs_are_waited_for_with_ten_requests_a_round(vendor: WireVendor, train: Path) -> None:
    client = Client(OpenAIProvider(vendor.client(project="proj_1")))
    file = client.upload(train, model=MODEL)
    first = client.create_job(model=MODEL, training_file=file)
    for n in range(999):  # made at once, past the ledger: how they came is not what this is about
        vendor.jobs[f"ftjob-{n:024d}"] = {**vendor.jobs[first.id], "id": f"ftjob-{n:024d}"}
    jobs = [*vendor.jobs]
    rounds = 0

    def next_round(request: httpx2.Request) -> None:
        nonlocal rounds
        if request.url.path.endswith("/jobs") and "after" not in request.url.params:
            rounds += 1
            for job_id in jobs[(rounds - 1) * 500 : rounds * 500]:
                vendor.set_status(job_id, "succeeded")

    vendor.watch = next_round
    before = vendor.requests.total()
    done = client.wait_all(jobs, poll_s=0.0, progress=False)
    assert [job.id for job in done] == jobs
    assert rounds >= 2
    assert vendor.requests.total() - before <= 10 * rounds


# -- Azure -----------------------------------------------------------------------------------------------------------


def test_two_jobs_on_one_file_are_told_apart_where_azure_keeps_no_key(train: Path) -> None:
    vendor = AzureWireVendor()
    provider = AzureProvider(vendor.dated_client())
    provider.settle_s = 0.0
    client = Client(provider)
    file = client.upload(train, model=MODEL)
    vendor.faults += [resets, resets]
    first = client.create_job(model=MODEL, training_file=file, key="one")
    second = client.create_job(model=MODEL, training_file=file, key="two")
    assert first.id != second.id
    assert len(vendor.jobs) == 2
    assert all("metadata" not in body and "method" not in body for body in vendor.bodies)


def test_alike_jobs_with_a_seed_of_the_users_own_are_unclear_and_no_third_is_made(train: Path, tmp_path: Path) -> None:
    from ftkit.ledger import Ledger

    vendor = AzureWireVendor()
    clients = []
    for name in ("a", "b", "c"):
        provider = AzureProvider(vendor.dated_client())
        provider.settle_s = 0.0
        clients.append(Client(provider, ledger=Ledger(tmp_path / name)))
    file = clients[0].upload(train, model=MODEL)
    made = vendor.bodies
    clients[0].create_job(model=MODEL, training_file=file, seed=5)
    job = dict(next(iter(vendor.jobs.values())))
    vendor.jobs["ftjob-other"] = {**job, "id": "ftjob-other"}  # somebody else's, alike in everything
    with pytest.raises(UnclearOutcomeError):
        clients[2].create_job(model=MODEL, training_file=file, seed=5)
    assert len(made) == 1


def test_a_job_with_other_hyperparameters_is_another_though_model_files_and_seed_are_the_same(
    train: Path, tmp_path: Path
) -> None:
    from ftkit.ledger import Ledger

    vendor = AzureWireVendor()
    made = []
    for n_epochs, suffix in ((3, None), (5, None), (5, "b")):  # from three machines that know nothing of one another
        provider = AzureProvider(vendor.dated_client())
        provider.settle_s = 0.0
        client = Client(provider, ledger=Ledger(tmp_path / f"{n_epochs}{suffix}"))
        file = made[0].training_file if made else client.upload(train, model=MODEL).id
        method = Supervised(n_epochs=n_epochs)
        made.append(client.create_job(model=MODEL, training_file=file, method=method, suffix=suffix, seed=5))
        vendor.jobs[made[-1].id]["suffix"] = suffix or ""
    assert len({job.id for job in made}) == len(vendor.jobs) == 3


@pytest.mark.parametrize("resolved", [3, -1])
def test_what_azure_chose_itself_does_not_hide_a_job(train: Path, tmp_path: Path, resolved: int) -> None:
    from ftkit.ledger import Ledger

    vendor = AzureWireVendor()
    clients = []
    for name in ("a", "b"):
        provider = AzureProvider(vendor.dated_client())
        provider.settle_s = 0.0
        clients.append(Client(provider, ledger=Ledger(tmp_path / name)))
    file = clients[0].upload(train, model=MODEL).id
    asked: dict[str, Any] = {"model": MODEL, "training_file": file, "method": Supervised(n_epochs="auto"), "seed": 5}
    job = clients[0].create_job(**asked)
    vendor.jobs[job.id].update(method=None, suffix="", hyperparameters={"n_epochs": resolved, "batch_size": 1})
    assert clients[1].create_job(**asked).id == job.id
    assert len(vendor.jobs) == 1


def test_azure_is_one_account_in_both_dialects_and_asks_for_its_training_type(train: Path) -> None:
    vendor = AzureWireVendor()
    v1, dated = AzureProvider(vendor.client()), AzureProvider(vendor.dated_client())
    assert v1.identity() == dated.identity() == "azure:my-resource.openai.azure.com:resource"
    client = Client(v1)
    client.create_job(
        model=MODEL,
        training_file=client.upload(train, model=MODEL),
        provider_options={"training_type": "GlobalStandard"},
    )
    assert vendor.bodies[0]["trainingType"] == "GlobalStandard"
    with pytest.raises(UnsupportedError, match="keeps no metadata"):
        Client(dated).create_job(model=MODEL, training_file="file-1", metadata={"a": "b"})


class Credential:
    """Gives tokens away, and keeps for what they were asked."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken(KEY, 2**31)


@pytest.mark.parametrize(
    ("version", "scope"),
    [(None, "https://ai.azure.com/.default"), ("2024-10-21", "https://cognitiveservices.azure.com/.default")],
)
def test_entra_id_is_asked_for_the_scope_of_the_dialect(
    monkeypatch: pytest.MonkeyPatch, version: str | None, scope: str
) -> None:
    for name in ("AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    vendor, credential = AzureWireVendor(), Credential()
    provider = AzureProvider(
        endpoint=f"https://{vendor.host}", credential=credential, api_version=version, resource_group="g"
    )
    transport = httpx2.Client(transport=httpx2.MockTransport(vendor.handle))
    provider._line.client = provider._line.client.with_options(http_client=transport)
    assert Client(provider).list_jobs().items == ()
    assert credential.scopes == [scope]


# -- webhooks --------------------------------------------------------------------------------------------------------


def signed(payload: bytes, secret: str, at: int) -> dict[str, str]:
    """Signs as Standard Webhooks has it (standardwebhooks.com), which OpenAI follows."""
    import base64
    import hashlib
    import hmac

    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, b"msg_1." + str(at).encode() + b"." + payload, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}


def test_a_webhook_is_heeded_only_if_it_is_the_vendors(vendor: WireVendor, train: Path) -> None:
    import time

    secret = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
    client = Client(OpenAIProvider(vendor.client(), webhook_secret=secret))
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL))
    vendor.set_status(job.id, "succeeded")
    payload = json.dumps({"id": "evt_1", "type": "fine_tuning.job.succeeded", "data": {"id": job.id}}).encode()
    now = int(time.time())
    assert client.receive_webhook(payload, signed(payload, secret, now)).status.value == "succeeded"
    for wrong in (
        signed(payload + b" ", secret, now),
        signed(payload, "whsec_b3RoZXI=", now),
        signed(payload, secret, now - 3600),
        {},
    ):
        with pytest.raises(CredentialsError):
            client.receive_webhook(payload, wrong)
    other = json.dumps({"id": "evt_2", "type": "batch.completed", "data": {"id": "batch_1"}}).encode()
    with pytest.raises(ProviderError, match="no fine-tuning job"):
        client.receive_webhook(other, signed(other, secret, now))
