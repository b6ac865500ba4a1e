"""The wall clock is moved by two years while we wait, or the machine falls asleep. Nobody gives up or runs wild.

`time_machine` moves what the wall clock says to all of this process, and leaves the clock alone that only goes forward.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from arm_vendor import ArmVendor
from hubs.endpoints import TOKEN, USER, EndpointsStandIn, refusal
from huggingface_hub import constants
from scripts import scripts_in
from served_vendor import ServedVendor, openai_at
from wire_vendor import AzureWireVendor, WireVendor

from ftkit import (
    AsyncClient,
    Client,
    DeploymentStatus,
    JobStatus,
    JobTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from ftkit.models import FineTuningJob
from ftkit.plugin.http_errors import retry_after_s
from ftkit.progress import NoProgress
from ftkit.providers._hub_account import HubAccount
from ftkit.providers.azure import AzureProvider
from ftkit.providers.huggingface.endpoints import HubEndpoints
from ftkit.providers.openai import OpenAIProvider
from ftkit.retrying import read
from ftkit.testing import MemoryProvider, MemoryVendor
from ftkit.testing.tally import Tally, record
from ftkit.waiting import Pace, Watch, WatchAll

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import httpx2

    from ftkit.models import JobEvent

ATTACK = "clock moved by two years"
YEARS = timedelta(days=730)
POLL_S = 0.02
RUNS_S = 0.25
MODEL = "gpt-4o-mini-2024-07-18"


@pytest.fixture(params=[YEARS, -YEARS], ids=["ahead", "back"])
def moved(request: pytest.FixtureRequest) -> Generator[Callable[[], None]]:
    """Moves the wall clock, there and back again with every second call."""
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        steps = [request.param, -request.param]

        def move() -> None:
            clock.shift(steps[0])
            steps.reverse()

        yield move


class Restless(WireVendor):
    """The clock is moved at every third request; a job that is there runs for a while by the other clock."""

    def __init__(self, move: Callable[[], None]) -> None:
        super().__init__()
        self._move = move
        self._began = time.monotonic()
        self.moves = 0
        self.runs_s = RUNS_S
        self.watch = self._on_request

    def begin(self) -> str:
        self._keep("train.jsonl", "fine-tune", b"{}", "processed")
        _, job = self._new_job({"model": MODEL, "training_file": next(iter(self.files)), "hyperparameters": {}})
        self._began = time.monotonic()
        self.set_status(job["id"], "running")
        return str(job["id"])

    def _on_request(self, _: httpx2.Request) -> None:
        if self.requests.total() % 3 == 0:
            self.moves += 1
            self._move()
        if time.monotonic() - self._began >= self.runs_s:
            for job_id in self.jobs:
                self.set_status(job_id, "succeeded")

    def provider(self) -> OpenAIProvider:
        return OpenAIProvider(self.client())


def blocking_wait(vendor: Restless, job_id: str, **pace: Any) -> FineTuningJob:
    return Client(vendor.provider()).wait(job_id, progress=False, **pace)


def wait_for_all(vendor: Restless, job_id: str, **pace: Any) -> FineTuningJob:
    (job,) = Client(vendor.provider()).wait_all([job_id], progress=False, **pace)
    return job


def awaited(vendor: Restless, job_id: str, **pace: Any) -> FineTuningJob:
    async def body() -> FineTuningJob:
        async with AsyncClient(vendor.provider()) as client:
            return await client.wait(job_id, progress=False, **pace)

    return asyncio.run(body())


def all_awaited(vendor: Restless, job_id: str, **pace: Any) -> FineTuningJob:
    async def body() -> FineTuningJob:
        async with AsyncClient(vendor.provider()) as client:
            return (await client.wait_all([job_id], progress=False, **pace))[0]

    return asyncio.run(body())


def followed(vendor: Restless, job_id: str, **pace: Any) -> FineTuningJob:
    client = Client(vendor.provider())
    events: list[JobEvent] = [*client.follow(job_id, poll_s=pace["poll_s"])]
    assert len(events) == 1
    return client.get_job(job_id)


WAYS = [blocking_wait, wait_for_all, awaited, all_awaited, followed]


@pytest.mark.parametrize("way", WAYS)
def test_a_job_is_waited_for_to_its_end(moved: Callable[[], None], way: Callable[..., FineTuningJob]) -> None:
    vendor = Restless(moved)
    job_id = vendor.begin()
    began = time.monotonic()
    assert way(vendor, job_id, poll_s=POLL_S, timeout_s=60).status is JobStatus.SUCCEEDED
    assert time.monotonic() - began >= RUNS_S  # nobody gave up
    assert vendor.moves >= 1  # a busy machine looks seldom
    # At most a look, of two requests, every POLL_S: some for who the account is, and for the end.
    assert 1 <= vendor.requests.total() <= 2 * RUNS_S / POLL_S + 8
    record(Tally(attack=ATTACK, provider="openai", tries=vendor.moves, wanted=1, made=len(vendor.jobs)))


@pytest.mark.parametrize("way", WAYS[:-1])
def test_the_time_is_up_neither_early_nor_late(moved: Callable[[], None], way: Callable[..., FineTuningJob]) -> None:
    vendor = Restless(moved)
    vendor.runs_s = 60.0
    job_id = vendor.begin()
    began = time.monotonic()
    with pytest.raises(JobTimeoutError):
        way(vendor, job_id, poll_s=POLL_S, timeout_s=0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert vendor.moves >= 1  # a busy machine looks seldom
    record(Tally(attack=ATTACK, provider="openai", tries=vendor.moves))


def test_an_outage_is_waited_out_and_told_once(moved: Callable[[], None], caplog: pytest.LogCaptureFixture) -> None:
    class Away(MemoryProvider):
        misses = 0

        def get_job(self, job_id: str) -> FineTuningJob:
            self.misses += 1
            if self.misses <= 12:
                moved()
                raise ProviderUnavailableError("away", provider=self.name)
            return super().get_job(job_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ftkit.retrying.ATTEMPTS", 1)
        provider = Away(MemoryVendor(account="tests", finish_after=1))
        file = provider.vendor.create_file("train.jsonl", b"{}").id
        client = Client(provider)
        job = client.create_job(model="base", training_file=file)
        assert client.wait(job, poll_s=0.01, progress=False).status is JobStatus.SUCCEEDED
    assert provider.misses == 13
    assert len([text for text in caplog.messages if "still waiting" in text]) == 1


def test_a_deployment_at_azure_is_waited_for(moved: Callable[[], None]) -> None:
    vendor, arm = AzureWireVendor(), ArmVendor()
    arm.creating_s = RUNS_S
    answer, moves = arm.answer, [0]

    def restless(method: str, path: str, body: bytes) -> Any:
        moves[0] += 1
        moved()
        return answer(method, path, body)

    arm.answer = restless  # type: ignore[method-assign]  # a lever of the stand-in
    try:
        provider = AzureProvider(
            vendor.client(), management=arm.client(), resource_group="group", poll_s=POLL_S, servable_s=5.0
        )
        client = Client(provider)
        began = time.monotonic()
        deployment = client.deploy("gpt-4.1", name="mine", wait_s=30)
        assert deployment.status is DeploymentStatus.RUNNING
        assert time.monotonic() - began >= RUNS_S
        vendor.not_servable = 5  # the deployment is there, and answers a little later
        assert client.chat(deployment, "hello").text
        looks = arm.requests.total()
        client.delete_deployment(deployment)
    finally:
        arm.stop()
    assert 5 <= looks <= RUNS_S / POLL_S + 25
    assert vendor.requests["POST /chat/completions"] == 6
    record(Tally(attack=ATTACK, provider="azure", tries=moves[0]))


@pytest.fixture
def endpoints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[tuple[EndpointsStandIn, HubEndpoints]]:
    standin = EndpointsStandIn()
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", f"{standin.url}/v2")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    account = HubAccount("huggingface", USER, None, standin.api())
    yield standin, HubEndpoints(account, f"hub/{USER}", poll_s=POLL_S, wake_timeout_s=5.0)
    standin.stop()
    assert standin.tokens == {f"Bearer {TOKEN}"}


def test_an_endpoint_is_waited_for(
    moved: Callable[[], None], endpoints: tuple[EndpointsStandIn, HubEndpoints], monkeypatch: pytest.MonkeyPatch
) -> None:
    standin, ours = endpoints
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)

    standin.coming = ("pending", "initializing", "initializing", "pending", "running")
    shown, moves = standin._shown, [0]
    # Once it is asked to come again by a date, a second after the answer by the service's clock, whatever ours says.
    sent = datetime.now(UTC) - YEARS / 2
    dates = [format_datetime(moment, usegmt=True) for moment in (sent, sent + timedelta(seconds=1))]
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: dates[0])

    def restless(name: str) -> Any:
        moves[0] += 1
        moved()
        if moves[0] == 2:
            standin.refusing["GET endpoint/one"].append(refusal(429, "slow", retry_after=dates[1]))
        return shown(name)

    standin._shown = restless  # type: ignore[method-assign]  # a lever of the stand-in
    began = time.monotonic()
    assert ours.deploy("mine", f"{USER}/tuned", "job-4711", {"start_timeout_s": 20}).status is DeploymentStatus.RUNNING
    assert 1 <= time.monotonic() - began < 15
    assert not standin.refusing["GET endpoint/one"]
    assert moves[0] >= 5
    assert standin.requests["GET endpoint/one"] <= 10
    record(Tally(attack=ATTACK, provider="huggingface", tries=moves[0]))


# -- what is decided by a wall clock all the same ----------------------------------------------------------------


def test_a_vendors_clock_that_goes_back_hides_no_second_attempt(moved: Callable[[], None]) -> None:
    """A server of one's own has the clock of one's own machine."""
    vendor = MemoryVendor(account="tests", finish_after=None)
    file = vendor.create_file("train.jsonl", b"{}").id
    client = Client(MemoryProvider(vendor))
    first = client.create_job(model="base", training_file=file)
    vendor.fail(first.id)
    moved()
    vendor.lose_replies(1)
    second = client.create_job(model="base", training_file=file, retry_failed=True)
    assert [*vendor.jobs] == [first.id, second.id]
    moved()
    assert client.create_job(model="base", training_file=file).id == second.id
    assert vendor.calls["create_job"] == 2
    record(Tally(attack=ATTACK, provider="memory", tries=2, wanted=2, made=len(vendor.jobs)))


def test_a_time_to_live_is_the_wall_clocks_and_a_holder_is_not() -> None:
    """Nobody can tell a clock that was set from time that has passed; what is held lives, whatever the clock says."""
    client = Client(MemoryProvider(MemoryVendor(account="tests")))
    with time_machine.travel(datetime.now(UTC), tick=True) as clock, client.deployed("base", name="held"):
        client.deploy("base", name="mine", ttl_s=3600)
        clock.shift(-YEARS)
        assert client.reap() == []
        clock.shift(YEARS)
        assert client.reap() == []
        clock.shift(YEARS)
        assert client.reap(dry_run=True) == ["mine"]  # who doubts the clock looks first
        assert client.reap() == ["mine"]


# -- when to come again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong_by", [timedelta(0), YEARS, -YEARS])
def test_a_date_to_come_again_is_counted_from_the_answers_own(wrong_by: timedelta) -> None:
    sent = datetime.now(UTC).replace(microsecond=0) + wrong_by
    again = format_datetime(sent + timedelta(seconds=7), usegmt=True)
    assert retry_after_s(again, format_datetime(sent, usegmt=True)) == 7.0
    assert retry_after_s(format_datetime(sent, usegmt=True), again) == 0.0
    assert retry_after_s("7", "nonsense") == 7.0
    assert retry_after_s("nonsense", again) is None


@pytest.mark.parametrize("sent", [None, "nonsense"])
def test_without_it_a_wrong_clock_costs_a_bounded_time(sent: str | None) -> None:
    ahead = retry_after_s(format_datetime(datetime.now(UTC) + YEARS), sent)
    assert ahead is not None
    assert ahead > 1e7
    job = FineTuningJob(id="j", provider="p", status=JobStatus.RUNNING, model="m")
    assert Watch(job, Pace(), NoProgress()).miss(RateLimitError("slow", retry_after_s=ahead)) == 900
    behind = retry_after_s(format_datetime(datetime.now(UTC) - YEARS), sent)
    assert behind == 0.0


def test_a_date_that_has_passed_is_no_leave_to_ask_at_once_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", slept.append)
    asked = [0]

    def refuse() -> None:
        asked[0] += 1
        raise RateLimitError("slow", retry_after_s=0.0)

    with pytest.raises(RateLimitError):
        read(refuse)
    assert asked[0] == 5
    assert len(slept) == 4
    assert min(slept) >= 0.5


# -- parts of an upload that has expired -------------------------------------------------------------------------


class Expires(WireVendor):
    """Lets go of every upload but the newest; it gives each a number."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0

    def _uploads(self, request: httpx2.Request, rest: list[str]) -> Any:
        if not rest:
            self.begun += 1
            _, body = super()._uploads(request, rest)
            body["id"] = f"upload_{self.begun}"
            self.uploads[body["id"]] = body
            return 200, body
        if rest[0] != f"upload_{self.begun}":
            return 400, f"Upload {rest[0]} has expired"
        return super()._uploads(request, rest)


def test_an_upload_that_expired_though_our_clock_denies_it_is_begun_anew(tmp_path: Path) -> None:
    from ftkit.plugin.notes import Notes
    from ftkit.providers._openai_wire.line import Line
    from ftkit.providers._openai_wire.uploads import Sender

    vendor, path = Expires(), tmp_path / "train.jsonl"
    path.write_bytes(os.urandom(4000))

    def send() -> Any:
        notes = Notes(tmp_path / "notes.json", "openai")
        return Sender(Line(vendor.client(), "openai", ""), "openai", notes, 5.0, whole=1000, part=1000).send(path, "k")

    class Killed(BaseException):
        pass

    parts = [0]

    def strike(request: httpx2.Request) -> None:
        parts[0] += request.url.path.endswith("/parts")
        if parts[0] == 3:
            raise Killed

    vendor.watch = strike
    with pytest.raises(Killed):
        send()
    parts[0] = 10
    vendor.begun += 1  # meanwhile, it has expired
    assert vendor.contents[send().id] == path.read_bytes()
    assert vendor.begun == 3


# -- asleep ------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that only goes forward, but may jump: it counts the time that the machine was asleep."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("kind", ["one", "all"])
def test_the_job_may_end_and_the_line_be_cut_while_the_machine_sleeps(kind: str) -> None:
    job = FineTuningJob(id="j", provider="p", status=JobStatus.RUNNING, model="m")
    away, clock = ProviderUnavailableError("the network is not up yet", provider="p"), Clock()
    done = job.model_copy(update={"status": JobStatus.SUCCEEDED})
    watch = Watch(job, Pace(), NoProgress(), clock) if kind == "one" else WatchAll([job], Pace(), NoProgress(), clock)
    assert watch.miss(away) > 0  # it was away when we fell asleep
    clock.now += 8 * 3600
    assert watch.miss(away) > 0  # and is not up yet
    clock.now += 30
    over = watch.see(done, ()) if isinstance(watch, Watch) else watch.see({"j": done})
    assert over is None


def test_what_ended_while_the_machine_slept_is_no_timeout() -> None:
    job, clock = FineTuningJob(id="j", provider="p", status=JobStatus.RUNNING, model="m"), Clock()
    watch = Watch(job, Pace(timeout_s=60), NoProgress(), clock)
    assert watch.see(job, ()) == 0.5
    clock.now += 8 * 3600
    assert watch.see(job.model_copy(update={"status": JobStatus.SUCCEEDED}), ()) is None


def test_an_outage_that_outlasts_the_sleep_is_told_in_the_end() -> None:
    job, clock = FineTuningJob(id="j", provider="p", status=JobStatus.RUNNING, model="m"), Clock()
    away = ProviderUnavailableError("away", provider="p")
    watch = Watch(job, Pace(), NoProgress(), clock)
    looks = 0

    def look_on() -> None:
        nonlocal looks
        while looks < 1000:
            looks += 1
            clock.now += watch.miss(away)

    with pytest.raises(ProviderUnavailableError):
        look_on()
    assert 100 < looks < 400
    assert 900 <= clock.now < 1000


class Mortal(ServedVendor):
    """A server whose connections can be cut."""

    def __init__(self, vendor: WireVendor, port: int = 0) -> None:
        super().__init__(vendor, port)
        self.port = self._server.server_address[1]
        self._lines: list[socket.socket] = []
        lines, kind = self._lines, self._server.RequestHandlerClass

        class Noted(kind):  # type: ignore[valid-type,misc]  # the server's own handler
            def setup(self) -> None:
                lines.append(self.request)
                super().setup()

        self._server.RequestHandlerClass = Noted

    def cut(self) -> None:
        self.stop()
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


def waits(url: str, job_id: str) -> None:
    print(Client(openai_at(url)).wait(job_id, poll_s=0.05).status.value)  # noqa: T201 - what the script says


def test_a_process_that_stood_still_goes_on(tmp_path: Path) -> None:
    """SIGSTOP is what a closed lid is to a process, but that its clock goes on."""
    vendor = WireVendor()
    server = Mortal(vendor)
    vendor._keep("train.jsonl", "fine-tune", b"{}", "processed")
    _, job = vendor._new_job({"model": MODEL, "training_file": next(iter(vendor.files)), "hyperparameters": {}})
    vendor.set_status(job["id"], "running")
    try:
        with scripts_in(tmp_path) as start:
            script = start(partial(waits, server.url, job["id"]))
            script.until(lambda: vendor.requests["GET /fine_tuning/jobs/{id}"] >= 3)
            os.kill(script.pid, signal.SIGSTOP)
            server.cut()
            vendor.set_status(job["id"], "succeeded")
            time.sleep(1.5)
            server = Mortal(vendor, server.port)
            os.kill(script.pid, signal.SIGCONT)
            assert script.end() == 0, script.errors
            assert script.output.split() == ["succeeded"]
    finally:
        server.stop()
    made = len(vendor.jobs)
    record(Tally(attack="process stopped and continued while waiting", provider="openai", tries=1, wanted=1, made=made))
