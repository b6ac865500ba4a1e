"""What can be done with a job, and what is told of it: its end, events, checkpoints, metrics, dates and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ftkit.models import Checkpoint, Estimate, FineTuningJob, JobEvent, JobStatus, Lifecycle, Metrics
from ftkit.provider import (
    Cancels,
    DeletesModels,
    EstimatesCost,
    FetchesResults,
    KnowsLifecycle,
    ListsCheckpoints,
    ListsEvents,
)
from ftkit.testing import _rules as rules
from ftkit.testing._rules import must
from ftkit.testing.hooks import ProviderHooks
from ftkit.testing.kit import basics
from ftkit.testing.witness import AddsEvents

if TYPE_CHECKING:
    from pathlib import Path

    from ftkit.provider import Provider
    from ftkit.testing.witness import Witness


class Around(ProviderHooks, kit=True):
    """Checks of the abilities around a job."""

    def test_cancel(self, provider: Provider, tmp_path: Path) -> None:
        """Cancelling ends a job, or begins to."""
        cancels = basics.able(provider, Cancels)
        job = cancels.cancel_job(basics.a_job(self, provider, tmp_path).id)
        rules.round_trips(FineTuningJob, job)
        must(job.status in {JobStatus.CANCELLED, JobStatus.CANCELLING}, f"a cancelled job is {job.status.value}")

    def test_cancel_of_an_ended_job(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Cancelling a job that has ended returns it as it is."""
        cancels = basics.able(provider, Cancels)
        for word in basics.terminal_words(witness):
            job = basics.a_job(self, provider, tmp_path)
            witness.set_status(job.id, word)
            before = provider.get_job(job.id)
            after = cancels.cancel_job(job.id)
            must(after == before, f"cancelling a job that was {word} returned {after!r}, not {before!r}")
            must(provider.get_job(job.id).status is before.status, f"{word} became something else by cancelling")

    def test_events(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Events come oldest first, each once, whatever the size of the pages."""
        lists = basics.able(provider, ListsEvents)
        job, events = _some_events(self, lists, provider, witness, tmp_path)
        ids = [event.id for event in events]
        must(len(ids) == len(set(ids)), f"events repeat: {ids}")
        times = [event.created_at for event in events]
        must(times == sorted(times), f"events are not oldest first: {times}")
        for event in events:
            rules.round_trips(JobEvent, event)
            must(event.job_id == job.id, f"an event of {event.job_id} is told of {job.id}")
        by_one = [event.id for event in rules.pages(lambda a, n: lists.list_events(job.id, a, n), 1)]
        must(by_one == ids, f"pages of 1 tell {by_one}, a page of 100 tells {ids}")

    def test_events_after(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """`after` takes the id of any event and tells what came later: after the last one, only what is new."""
        lists = basics.able(provider, ListsEvents)
        job, events = _some_events(self, lists, provider, witness, tmp_path)
        for n, event in enumerate(events, start=1):
            later = lists.list_events(job.id, event.id, 100)
            must(later.items == tuple(events[n:]), f"after event {n} of {len(events)} came {later.items}")
        if isinstance(witness, AddsEvents):
            witness.add_event(job.id, "ftkit: one more")
            new = lists.list_events(job.id, events[-1].id, 100).items
            must(len(new) == 1 and new[0].id not in {e.id for e in events}, f"one event was added, {len(new)} came")

    def test_checkpoints(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Checkpoints come newest first, and each names a model that can be deployed."""
        lists = basics.able(provider, ListsCheckpoints)
        job = basics.a_tuned_job(self, provider, witness, tmp_path)
        found = lists.list_checkpoints(job.id)
        steps = [checkpoint.step for checkpoint in found]
        must(steps == sorted(steps, reverse=True), f"checkpoints are not newest first: steps {steps}")
        for checkpoint in found:
            rules.round_trips(Checkpoint, checkpoint)
            must(checkpoint.job_id == job.id and checkpoint.model, f"not a checkpoint of this job: {checkpoint!r}")

    def test_results(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """Metrics come in the order of steps, one row a step."""
        fetches = basics.able(provider, FetchesResults)
        found = fetches.results(basics.a_tuned_job(self, provider, witness, tmp_path).id)
        steps = [row.step for row in found]
        must(steps == sorted(set(steps)), f"steps are not in order, or repeat: {steps}")
        for row in found:
            rules.round_trips(Metrics, row)

    def test_delete_model(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A job whose model was deleted has succeeded all the same: nobody is to pay for it again."""
        deletes = basics.able(provider, DeletesModels)
        job = basics.a_tuned_job(self, provider, witness, tmp_path)
        deletes.delete_model(str(job.fine_tuned_model))
        after = provider.get_job(job.id)
        must(after.status is JobStatus.SUCCEEDED, f"its model was deleted, and the job is {after.status.value}")

    def test_lifecycle(self, provider: Provider, tmp_path: Path) -> None:
        """The dates of a model are told, or None."""
        knows = basics.able(provider, KnowsLifecycle)
        found = knows.lifecycle(self.request(basics.a_file(self, provider, tmp_path)).model)
        if found is not None:
            rules.round_trips(Lifecycle, found)

    def test_estimate(self, provider: Provider, witness: Witness, tmp_path: Path) -> None:
        """A cost is estimated with and without a count of tokens, and makes no job."""
        estimates = basics.able(provider, EstimatesCost)
        request, before = self.request(basics.a_file(self, provider, tmp_path)), witness.creates()
        for tokens in (None, 1_000_000):
            rules.round_trips(Estimate, estimates.estimate(request, tokens))
        must(witness.creates() == before, "an estimate sent a create")


def _some_events(
    kit: ProviderHooks, lists: ListsEvents, provider: Provider, witness: Witness, folder: Path
) -> tuple[FineTuningJob, list[JobEvent]]:
    """Makes a job in which a few things happen, and reads them in one page."""
    job = basics.a_job(kit, provider, folder)
    if isinstance(witness, AddsEvents):
        for n in range(3):
            witness.add_event(job.id, f"ftkit: event {n}")
    witness.set_status(job.id, basics.terminal_words(witness)[0])
    provider.get_job(job.id)
    events = list(lists.list_events(job.id, None, 100).items)
    if not events:
        pytest.skip("nothing happens in a job; let the witness be one that AddsEvents")
    return job, events
