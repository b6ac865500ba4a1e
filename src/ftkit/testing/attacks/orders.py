"""Every order of doing things: Hypothesis makes up what a user, the vendor and the weather do, step by step.

After each step, what the vendor's side holds is compared with what was paid for: one job for each request, and one
more for each new attempt that was asked for. Needs Hypothesis, which is imported when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from ftkit.client import Client
from ftkit.errors import (
    FtkitError,
    JobCancelledError,
    JobFailedError,
    UnclearOutcomeError,
)
from ftkit.ledger import Ledger
from ftkit.models import FineTuningJob, JobStatus, TrainingFile
from ftkit.testing._rules import must
from ftkit.testing.attacks.errand import arguments_of, uploaded
from ftkit.testing.witness import LosesReplies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ftkit.models import JobRequest
    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness

STEPS = 25
_ENDED = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})
_STRANGE = "ftkit_never_seen"
_WHICH = st.integers(min_value=0, max_value=99)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where it all happens.

    Attributes:
        provider: The provider.
        witness: Sees the vendor's side.
        folder: Where ledgers and data may be written.
        data: Writes the n-th training file, which is like no other.
        request: Makes a request of an uploaded file.
    """

    provider: Provider
    witness: Witness
    folder: Path
    data: Callable[[int], Path]
    request: Callable[[TrainingFile], JobRequest]


@dataclass(slots=True)
class _Order:
    """A request, and the jobs that it became, the first attempt first."""

    file: TrainingFile
    jobs: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Counted:
    """What all examples together came to."""

    steps: int = 0
    wanted: int = 0
    made: int = 0
    files: int = 0


def play(scene: Scene, examples: int) -> Counted:
    """Plays so many examples, of 25 steps each, and returns what was counted.

    Raises:
        BrokenRuleError: An order of steps broke the promise; Hypothesis has printed the shortest that does.
    """
    counted = Counted()

    class Example(_AnyOrder):
        def __init__(self) -> None:
            super().__init__(scene, counted)

    run_state_machine_as_test(
        Example,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    return counted


class _AnyOrder(RuleBasedStateMachine):
    """One example."""

    def __init__(self, scene: Scene, counted: Counted) -> None:
        super().__init__()
        self._scene = scene
        self._counted = counted
        self._ended: dict[str, JobStatus] = {}
        self._began = scene.witness.jobs()
        counted.files += 1
        self._home = scene.folder / f"ledger-{counted.files}"
        self._client = self._new_client()
        self._orders: list[_Order] = []

    # -- what a user does ----------------------------------------------------------------------------------------

    @rule()
    def upload(self) -> None:
        """A new request."""
        if len(self._orders) < 3:  # noqa: PLR2004 - few, so that steps meet
            self._counted.files += 1
            self._orders.append(_Order(self._upload(self._client)))

    @rule(which=_WHICH, retry_failed=st.booleans(), lost=st.booleans())
    def create(self, which: int, *, retry_failed: bool, lost: bool) -> None:
        """The script is run, perhaps for the first time; the reply may be lost."""
        if self._orders:
            if lost and isinstance(self._scene.witness, LosesReplies):
                self._scene.witness.lose_replies(1)
            self._create(self._client, self._orders[which % len(self._orders)], retry_failed=retry_failed)

    @rule()
    def restart(self) -> None:
        """The process ends; the next one has the same ledger."""
        self._client = self._new_client()

    @rule(which=_WHICH)
    def create_elsewhere(self, which: int) -> None:
        """The same from a machine with an empty ledger: the same job, or an error; nothing new."""
        made = [order for order in self._orders if order.jobs]
        if not made:
            return
        order, before = made[which % len(made)], self._scene.witness.jobs()
        self._counted.files += 1
        client = Client(self._scene.provider, ledger=Ledger(self._scene.folder / f"other-{self._counted.files}"))
        try:
            found = client.create_job(**self._asked(order))
        except (JobFailedError, JobCancelledError) as error:
            must(error.job.id in order.jobs, f"an empty ledger was told of {error.job.id}, which is not its own")
        except UnclearOutcomeError:
            must(len(order.jobs) > 1, "one job there is, and an empty ledger could not tell which")
        else:
            must(found.id in order.jobs, f"an empty ledger got {found.id}, not one of {order.jobs}")
        must(self._scene.witness.jobs() == before, "an empty ledger made a job that was there")

    @rule(which=_WHICH, verb=st.sampled_from(["cancel_job", "pause_job", "resume_job", "get_job", "delete_model"]))
    def ask(self, which: int, verb: str) -> None:
        """Something is done with a job; what cannot be done is an error of ftkit's."""
        job_id = self._job(which)
        if job_id is None:
            return
        try:
            answer: object = getattr(self._client, verb)(self._client.get_job(job_id) if "model" in verb else job_id)
        except FtkitError:
            answer = None
        if isinstance(answer, FineTuningJob):
            self._see(answer)

    @rule(which=_WHICH)
    def deploy(self, which: int) -> None:
        """A job is deployed for a moment, if it has come so far."""
        job_id = self._job(which)
        if job_id is None or "Deploys" not in self._client.abilities or self._ended.get(job_id) in {None, *_ENDED}:
            return
        try:
            self._client.delete_deployment(self._client.deploy(job_id))
        except FtkitError:
            return

    # -- what happens at the vendor's ----------------------------------------------------------------------------

    @rule(which=_WHICH, word=_WHICH)
    def move(self, which: int, word: int) -> None:
        """The vendor's job goes on: to an end, or to a state that nobody has heard of."""
        job_id = self._job(which)
        if job_id is None or self._read(job_id).status.is_terminal:
            return
        known = self._scene.witness.known_status_words()
        words = [_STRANGE, *sorted(each for each, status in known.items() if status.is_terminal)]
        chosen = words[word % len(words)]
        self._scene.witness.set_status(job_id, chosen)
        seen = self._read(job_id).status
        wanted = known.get(chosen, JobStatus.UNKNOWN)
        must(seen is wanted, f"{chosen!r} must read as {wanted.value}, and reads as {seen.value}")

    # -- inside --------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Counts what was made in all."""
        self._counted.wanted += sum(len(order.jobs) for order in self._orders)
        self._counted.made += self._scene.witness.jobs() - self._began
        for order in self._orders:
            for job_id in order.jobs:
                self._read(job_id)

    def _new_client(self) -> Client:
        return Client(self._scene.provider, ledger=Ledger(self._home))

    def _upload(self, client: Client) -> TrainingFile:
        asked = self._scene.request(TrainingFile(id="file-to-be", provider=self._scene.provider.name))
        return uploaded(client, self._scene.data(self._counted.files), asked)

    def _asked(self, order: _Order) -> dict[str, Any]:
        return {"training_file": order.file, **arguments_of(self._scene.request(order.file))}

    def _create(self, client: Client, order: _Order, *, retry_failed: bool) -> None:
        self._counted.steps += 1
        before = self._scene.witness.jobs()
        last = self._read(order.jobs[-1]) if order.jobs else None
        is_new = last is None or (last.status in _ENDED and retry_failed)
        try:
            job = client.create_job(**self._asked(order), retry_failed=retry_failed)
        except (JobFailedError, JobCancelledError) as error:
            must(not is_new and last is not None, f"a request that may be made was refused: {error}")
            must(last is None or error.job.id == last.id, "the error holds another job")
        else:
            if is_new:
                order.jobs.append(job.id)
            must(job.id == order.jobs[-1], f"the request is the job {order.jobs[-1]}, and {job.id} came")
            self._see(job)
        made = self._scene.witness.jobs() - before
        must(made == int(is_new), f"{made} jobs were made, and {int(is_new)} was asked for")

    def _job(self, which: int) -> str | None:
        jobs = [job_id for order in self._orders for job_id in order.jobs]
        return jobs[which % len(jobs)] if jobs else None

    def _read(self, job_id: str) -> FineTuningJob:
        job = self._client.get_job(job_id)
        self._see(job)
        return job

    def _see(self, job: FineTuningJob) -> None:
        """Terminal states stay, and what is unknown is none."""
        before = self._ended.get(job.id)
        must(before in {None, job.status}, f"{job.id} was {before}, and is {job.status.value} now")
        must(job.status is not JobStatus.UNKNOWN or not job.status.is_terminal, "an unknown state counts as an end")
        if job.status.is_terminal:
            self._ended[job.id] = job.status
