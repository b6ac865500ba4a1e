"""Ctrl-C and SIGTERM, at any moment while a script waits: its job lives on, and the same script takes it up again."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import pytest
from chats import chats
from hf_tools import HF_TOKEN
from local_conformance import IDLE, a_quiet_machine
from local_witness import FolderWitness, end_all_below
from scripts import scripts_in
from served_vendor import ServedVendor, openai_at
from wire_vendor import KEY, WireVendor

from ftkit import AsyncClient, Client, JobStatus
from ftkit.providers._local_jobs.folder import JobFolder
from ftkit.providers._processes import is_alive
from ftkit.providers.huggingface.local import LocalHuggingFace
from ftkit.testing.tally import ALL, Tally, record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    import httpx2
    from scripts import Script

    Start = Callable[[Callable[[], object]], Script]

ATTACK = "Ctrl-C and SIGTERM while waiting"
CREATE = "POST /fine_tuning/jobs"
MODEL = "gpt-4o-mini-2024-07-18"
PACE = {"poll_s": 0.02}
WITHIN_S = 0.4
"""Signals come within so many seconds after the job was made: in a look, between two, as the answer comes."""
AT_ONCE = 6
MOMENTS = 10 if os.environ.get(ALL) == "all" else 1
SIGNALS = (signal.SIGINT, signal.SIGTERM)
RANDOM = random.Random(4711)  # noqa: S311 - the same moments each time


@pytest.fixture
def start(tmp_path: Path) -> Generator[Start]:
    with scripts_in(tmp_path) as start:
        yield start


@pytest.fixture
def served() -> Generator[ServedVendor]:
    server = ServedVendor(Listener())
    yield server
    server.stop()


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a script says


# -- a job at a vendor -------------------------------------------------------------------------------------------


def waits(url: str, train: Path, name: str) -> None:
    client = Client(openai_at(url))
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL), suffix=name)
    say(client.wait(job, **PACE).id)


def fine_tunes(url: str, train: Path, name: str) -> None:
    say(Client(openai_at(url)).fine_tune(MODEL, train, suffix=name).id)


def waits_for_all(url: str, train: Path, name: str) -> None:
    client = Client(openai_at(url))
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL), suffix=name)
    (ended,) = client.wait_all([job], **PACE)
    say(ended.id)


def follows(url: str, train: Path, name: str) -> None:
    client = Client(openai_at(url))
    job = client.create_job(model=MODEL, training_file=client.upload(train, model=MODEL), suffix=name)
    for _ in client.follow(job, **PACE):
        pass
    say(client.get_job(job).id)


def awaits(url: str, train: Path, name: str) -> None:
    async def body() -> None:
        async with AsyncClient(openai_at(url)) as client:
            file = await client.upload(train, model=MODEL)
            job = await client.create_job(model=MODEL, training_file=file, suffix=name)
            say((await client.wait(job, **PACE)).id)

    asyncio.run(body())


def awaits_fine_tuning(url: str, train: Path, name: str) -> None:
    async def body() -> None:
        async with AsyncClient(openai_at(url)) as client:
            say((await client.fine_tune(MODEL, train, suffix=name)).id)

    asyncio.run(body())


SCRIPTS: list[Callable[[str, Path, str], None]] = [
    *(waits, fine_tunes, waits_for_all, follows, awaits, awaits_fine_tuning)
]


class Listener(WireVendor):
    """Notes which jobs were looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_at: set[str] = set()
        self.watch = self._on_request

    def _on_request(self, request: httpx2.Request) -> None:
        found = re.search(r"/fine_tuning/jobs/(ftjob-[^/]+)", request.url.path)
        if request.method == "GET" and found:
            self.looked_at.add(found[1])

    def named(self, name: str) -> str | None:
        """Returns the id of the job of a name."""
        return next((job_id for job_id, suffix in [*self._suffixes.items()] if suffix == name), None)


class Case(NamedTuple):
    """A script, and when it is struck: so long after its job is there, or after it was first looked at."""

    name: str
    body: Callable[[], None]
    number: signal.Signals
    delay_s: float
    looked_at: bool


def cases(url: str, train: Path) -> list[Case]:
    made: list[Case] = []
    for body in SCRIPTS:
        for number in SIGNALS:
            for n in range(MOMENTS):
                name = f"{body.__name__}-{number.name}-{n}"
                delay_s = RANDOM.uniform(0, WITHIN_S)
                made.append(Case(name, partial(body, url, train, name), number, delay_s, looked_at=len(made) % 3 > 0))
    return made


def strike(vendor: Listener, batch: Sequence[Case], start: Start) -> list[Script]:
    """Starts scripts, sends each its signal at its moment, and waits for their ends."""
    scripts = {case: start(case.body) for case in batch}
    due: dict[Case, float] = {}
    deadline = time.monotonic() + 60
    waiting = set(batch)
    while waiting:
        assert time.monotonic() < deadline, [scripts[case].errors for case in waiting]
        for case in sorted(waiting):
            job_id = vendor.named(case.name)
            waits = job_id in vendor.looked_at or "validating" in scripts[case].errors
            if job_id is not None and (waits or not case.looked_at):
                due.setdefault(case, time.monotonic() + case.delay_s)
            if time.monotonic() >= due.get(case, float("inf")):
                scripts[case].signal(case.number)
                waiting.remove(case)
        time.sleep(0.002)
    for case, script in scripts.items():
        script.end_by(case.number)
    return [scripts[case] for case in batch]


def test_the_job_at_the_vendor_lives_and_is_taken_up_again(tmp_path: Path, start: Start) -> None:
    vendor = Listener()
    server = ServedVendor(vendor)
    train = chats(tmp_path)
    every = cases(server.url, train)
    try:
        for batch in (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE)):
            for case, script in zip(batch, strike(vendor, batch, start), strict=True):
                job_id = vendor.named(case.name)
                assert job_id is not None
                assert vendor.jobs[job_id]["status"] == "validating_files", case.name
                assert script.output == "", case.name
                if case.number is signal.SIGTERM:
                    assert script.end() == -signal.SIGTERM, script.errors
                else:
                    assert script.end() == 1
                    assert "KeyboardInterrupt" in script.errors.splitlines()[-1], script.errors
                    if case.looked_at and "follows" not in case.name:
                        assert "Stopped waiting; the job" in script.errors, script.errors
                        assert job_id in script.errors
                vendor.set_status(job_id, "succeeded")
        assert len(vendor.jobs) == len(every)
        again = [start(case.body) for case in every]
        for case, script in zip(every, again, strict=True):
            assert script.end() == 0, script.errors
            assert script.output.split() == [vendor.named(case.name)]
    finally:
        server.stop()
    assert len(vendor.jobs) == vendor.requests[CREATE] == len(every)
    assert not [request for request in vendor.requests if "cancel" in request]
    record(Tally(attack=ATTACK, provider="openai", tries=len(every), wanted=len(every), made=len(vendor.jobs)))


# -- the command -------------------------------------------------------------------------------------------------


def write_recipe(folder: Path) -> Path:
    train, recipe = chats(folder), folder / "recipe.yml"
    recipe.write_text(
        f"""
task: llm-sft
base_model: ftkit/small
project_name: numbers
log: none
backend: local
data: {{path: {train.parent}, train_split: {train.stem}, valid_split: null, chat_template: tokenizer,
       column_mapping: {{text_column: messages}}}}
params: {{epochs: 1}}
"""
    )
    return recipe


@pytest.mark.parametrize("number", SIGNALS)
def test_the_command_says_how_to_go_on_and_shows_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start, number: signal.Signals
) -> None:
    vendor = Listener()
    server = ServedVendor(vendor)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    command = ["run", str(write_recipe(tmp_path)), "--provider", "openai", "--model", MODEL]
    try:
        first = start(partial(runs_the_command, command))
        first.until(lambda: vendor.looked_at)
        first.signal(number)
        assert first.end_by(number) == (130 if number is signal.SIGINT else -number)
        if number is signal.SIGINT:
            assert "Traceback" not in first.errors
            assert "the same command again takes it up" in first.errors
        (job_id,) = vendor.jobs
        vendor.set_status(job_id, "succeeded")
        again = start(partial(runs_the_command, command))
        assert again.end() == 0, again.errors
        assert f"job: {job_id}" in again.output
    finally:
        server.stop()
    assert vendor.requests[CREATE] == 1
    record(Tally(attack=ATTACK, provider="openai", tries=1, wanted=1, made=len(vendor.jobs)))


def runs_the_command(arguments: list[str]) -> None:
    from ftkit import cli

    sys.argv = ["ftkit", *arguments]
    cli.main()


# -- a deployment ------------------------------------------------------------------------------------------------


def deploys(url: str, name: str, heeds_sigterm: bool) -> None:  # noqa: FBT001 - a script takes its arguments by position
    if heeds_sigterm:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Client(openai_at(url)).deployed(MODEL, name=name):
        say("inside")
        time.sleep(60)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("heeds_sigterm", [True, False])
def test_a_deployment_is_torn_down_or_left_to_reap(
    start: Start,
    served: ServedVendor,
    number: signal.Signals,
    heeds_sigterm: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    client = Client(openai_at(served.url))
    script = start(partial(deploys, served.url, "mine", heeds_sigterm))
    script.until(lambda: script.output)
    assert [each.name for each in client.list_deployments()] == ["mine"]
    assert client.reap() == []  # its holder lives
    script.signal(number)
    left = number is signal.SIGTERM and not heeds_sigterm
    assert script.end_by(number) == (-number if left else 143 if number is signal.SIGTERM else 1)
    assert [each.name for each in client.list_deployments()] == (["mine"] if left else [])
    assert client.reap() == (["mine"] if left else [])
    assert client.list_deployments() == []
    record(Tally(attack=ATTACK, provider="openai", tries=1))


# -- a job on this machine ---------------------------------------------------------------------------------------


class Idle(LocalHuggingFace):
    _trainer: ClassVar[tuple[str, ...]] = IDLE


def trains_here(folder: Path, train: Path) -> None:
    say(Client(Idle(jobs_folder=folder)).fine_tune("ftkit/small", train).id)


def test_the_job_on_this_machine_lives_and_is_taken_up_again(tmp_path: Path, start: Start) -> None:
    train, model = chats(tmp_path), tmp_path / "model"
    model.mkdir()
    tries = [(number, RANDOM.uniform(0, WITHIN_S), n) for number in SIGNALS for n in range(2 * MOMENTS)]
    made = 0
    with a_quiet_machine(HF_TOKEN):
        for number, delay_s, n in tries:
            folder = tmp_path / f"{number.name}-{n}"
            try:
                body = partial(trains_here, folder, train)
                first = start(body)
                first.until(lambda folder=folder: [*folder.glob("ftjob-*")])
                (place,) = folder.glob("ftjob-*")
                if n % 2:
                    first.until(lambda place=place: JobFolder(place).state().word == "running")
                time.sleep(delay_s)
                first.signal(number)
                assert first.end_by(number) == (-number if number is signal.SIGTERM else 1), first.errors
                runner = JobFolder(place).state().runner
                if n % 2:
                    assert runner is not None
                    assert is_alive(runner)
                    assert Client(Idle(jobs_folder=folder)).get_job(place.name).status is JobStatus.RUNNING
                again = start(body)
                again.until(lambda place=place: JobFolder(place).state().word == "running")
                FolderWitness(folder, model, {}).set_status(place.name, "succeeded")
                assert again.end() == 0, again.errors
                assert again.output.split() == [place.name]
                if n % 2:
                    assert JobFolder(place).state().run == 1  # it never stopped
                made += len([*folder.glob("ftjob-*")])
            finally:
                end_all_below(folder)
    assert made == len(tries)
    record(Tally(attack=ATTACK, provider="huggingface", tries=len(tries), wanted=len(tries), made=made))
