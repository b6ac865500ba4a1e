"""The life of a job on the server, in front of a vendor whose jobs go as the test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai as sdk
import pytest
from live import MODEL, Live, until

from ftkit.testing import MemoryVendor
from ftkit.testing.vendor import VendorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

    from ftkit.testing.vendor import VendorJob, VendorOrder


def begin(client: OpenAI, rows: bytes, **asked: Any) -> FineTuningJob:
    file = client.files.create(file=("tea.jsonl", rows), purpose="fine-tune")
    return client.fine_tuning.jobs.create(**{"model": MODEL, "training_file": file.id, **asked})


def status(client: OpenAI, job: FineTuningJob) -> str:
    return client.fine_tuning.jobs.retrieve(job.id).status


def messages(client: OpenAI, job: FineTuningJob) -> list[str]:
    return [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=2)]


@pytest.fixture
def by_hand(start: Callable[..., Live]) -> Live:
    """A server before a vendor whose jobs move only when the test moves them."""
    return start(vendor=MemoryVendor(finish_after=None))


def test_a_job_goes_through_all_its_states(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        job = begin(client, rows)
        assert job.status == "validating_files"
        until(lambda: status(client, job) == "queued")
        made = by_hand.vendor_job()
        by_hand.vendor.advance(made.id, "running")
        until(lambda: status(client, job) == "running")
        assert client.fine_tuning.jobs.retrieve(job.id).finished_at is None
        by_hand.vendor.advance(made.id, "succeeded")
        until(lambda: status(client, job) == "succeeded")
        done = client.fine_tuning.jobs.retrieve(job.id)
        assert done.fine_tuned_model == f"ft:{MODEL}:ftkit::{job.id.removeprefix('ftjob-')[:8]}"
        assert done.finished_at is not None


def test_events_are_told_once_and_newest_first(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        job = begin(client, rows)
        made = by_hand.vendor_job()
        for n in range(45):
            by_hand.vendor.add_event(made.id, f"event {n}")
        by_hand.vendor.advance(made.id, "succeeded")
        until(lambda: status(client, job) == "succeeded")
        told = [event for event in messages(client, job) if event.startswith("event")]
        assert told == [f"event {n}" for n in reversed(range(45))]


def test_a_failed_job_says_why(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        job = begin(client, rows)
        by_hand.vendor.fail(by_hand.vendor_job().id, "the loss became NaN")
        until(lambda: status(client, job) == "failed")
        error = client.fine_tuning.jobs.retrieve(job.id).error
        assert error is not None
        assert error.message == "the loss became NaN"
        assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model is None


def test_a_bad_file_fails_the_job_with_every_problem_by_the_users_own_name_for_it(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        job = begin(client, rows + b'{"messages": [{"role": "uncle", "content": "?"}]}\nno json\n')
        until(lambda: status(client, job) == "failed")
        error = client.fine_tuning.jobs.retrieve(job.id).error
        assert error is not None
        assert (error.code, error.param) == ("invalid_training_file", "training_file")
        assert "tea.jsonl:13" in error.message
        assert "tea.jsonl:14" in error.message
        assert "file-" not in error.message, "no name of our own disk"
        assert by_hand.vendor.calls["create_job"] == 0


def test_a_word_that_nobody_knows_changes_nothing(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        job = begin(client, rows)
        made = by_hand.vendor_job()
        by_hand.vendor.advance(made.id, "running")
        until(lambda: status(client, job) == "running")
        by_hand.vendor.advance(made.id, "defragmenting")
        looks = by_hand.vendor.calls["get_job"]
        until(lambda: by_hand.vendor.calls["get_job"] > looks + 2)
        assert status(client, job) == "running"


def test_jobs_queue_for_the_slots_that_there_are(start: Callable[..., Live], rows: bytes) -> None:
    server = start(vendor=MemoryVendor(finish_after=None), slots=2)
    with server.openai() as client:
        jobs = [begin(client, rows, seed=n) for n in range(4)]
        until(lambda: len(server.vendor.jobs) == 2)
        until(lambda: [status(client, job) for job in jobs] == ["queued"] * 4)
        assert {job.order.seed for job in server.vendor.jobs.values()} == {0, 1}, "the oldest come first"
        server.vendor.advance(server.vendor_job().id, "succeeded")
        until(lambda: len(server.vendor.jobs) == 3)
        assert server.vendor_job().order.seed == 2


def test_a_job_that_waits_is_cancelled_at_once_and_never_made(start: Callable[..., Live], rows: bytes) -> None:
    server = start(vendor=MemoryVendor(finish_after=None))
    with server.openai() as client:
        first, second = begin(client, rows), begin(client, rows)
        until(lambda: status(client, second) == "queued" and len(server.vendor.jobs) == 1)
        assert client.fine_tuning.jobs.cancel(second.id).status == "cancelled"
        server.vendor.advance(server.vendor_job().id, "succeeded")
        until(lambda: status(client, first) == "succeeded")
        assert server.vendor.calls["create_job"] == 1


def test_a_job_at_work_is_cancelled(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        job = begin(client, rows)
        by_hand.vendor.advance(by_hand.vendor_job().id, "running")
        until(lambda: status(client, job) == "running")
        cancelled = client.fine_tuning.jobs.cancel(job.id)
        assert cancelled.status == "cancelled"
        assert cancelled.finished_at is not None
        assert by_hand.vendor_job().status == "cancelled"
        with pytest.raises(sdk.BadRequestError, match="cancelled"):
            client.fine_tuning.jobs.cancel(job.id)


def test_what_the_provider_cannot_do_is_refused(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        job = begin(client, rows)
        with pytest.raises(sdk.BadRequestError, match="cannot pause jobs"):
            client.fine_tuning.jobs.pause(job.id)
        with pytest.raises(sdk.BadRequestError, match="reinforcement"):
            begin(client, rows, method={"type": "reinforcement", "reinforcement": {"grader": {"type": "x"}}})


def test_each_post_is_a_job_and_an_idempotency_key_is_one(start: Callable[..., Live], rows: bytes) -> None:
    server = start(vendor=MemoryVendor(finish_after=None), slots=9)
    with server.openai() as client:
        file = client.files.create(file=("tea.jsonl", rows), purpose="fine-tune").id
        same = {"model": MODEL, "training_file": file, "seed": 5}
        assert len({client.fine_tuning.jobs.create(**same).id for _ in range(2)}) == 2
        key = {"Idempotency-Key": "once"}
        first = client.fine_tuning.jobs.create(**same, extra_headers=key)
        assert client.fine_tuning.jobs.create(**same, extra_headers=key).id == first.id
        with pytest.raises(sdk.ConflictError, match="another request"):
            client.fine_tuning.jobs.create(**{**same, "seed": 6}, extra_headers=key)
        until(lambda: len(server.vendor.jobs) == 3)
    server.stop()
    again = start(vendor=server.vendor, slots=9)
    with again.openai() as client:
        assert client.fine_tuning.jobs.create(**same, extra_headers=key).id == first.id
        assert again.vendor.calls["create_job"] == 3


def test_a_lost_reply_of_the_vendor_makes_no_second_job(start: Callable[..., Live], rows: bytes) -> None:
    server = start(vendor=MemoryVendor())
    server.vendor.lose_replies(1)
    with server.openai() as client:
        job = begin(client, rows)
        until(lambda: status(client, job) == "succeeded")
        assert len(server.vendor.jobs) == 1


def test_a_request_that_did_not_arrive_is_made_again(start: Callable[..., Live], rows: bytes) -> None:
    server = start(vendor=MemoryVendor())
    server.vendor.lose_requests(1)
    with server.openai() as client:
        job = begin(client, rows)
        until(lambda: status(client, job) == "succeeded")
        assert len(server.vendor.jobs) == 1
        assert any("cannot go on now" in message for message in messages(client, job))


def test_a_job_that_the_vendor_has_lost_has_failed_and_one_that_was_to_end_is_cancelled(
    start: Callable[..., Live], rows: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(vendor=MemoryVendor(finish_after=None), slots=2)

    def gone(job_id: str) -> Any:
        raise VendorError(404, f"there is no job {job_id}")

    with server.openai() as client:
        lost, unwanted = begin(client, rows, seed=1), begin(client, rows, seed=2)
        until(lambda: len(server.vendor.jobs) == 2)
        monkeypatch.setattr(server.vendor, "cancel_job", gone)
        assert client.fine_tuning.jobs.cancel(unwanted.id).status == "cancelled"
        monkeypatch.setattr(server.vendor, "get_job", gone)
        until(lambda: status(client, lost) == "failed")
        error = client.fine_tuning.jobs.retrieve(lost.id).error
        assert error is not None
        assert "no longer has the job" in error.message


def test_what_the_vendor_refuses_fails_the_job_and_what_it_is_out_of_does_not(
    start: Callable[..., Live], rows: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(vendor=MemoryVendor())
    answers = [VendorError(402, "no money left"), VendorError(429, "too fast"), VendorError(422, "not that model")]

    def create(_: VendorOrder) -> VendorJob:
        raise answers.pop(0)

    monkeypatch.setattr(server.vendor, "create_job", create)
    with server.openai() as client:
        job = begin(client, rows)
        until(lambda: status(client, job) == "failed")
        assert answers == []
        error = client.fine_tuning.jobs.retrieve(job.id).error
        assert error is not None
        assert "not that model" in error.message
        assert any("no money left" in message for message in messages(client, job))


def test_a_bad_end_leaves_nothing_that_hinders_the_next_start(start: Callable[..., Live], rows: bytes) -> None:
    server = start()
    with server.openai() as client:
        file = client.files.create(file=("tea.jsonl", rows), purpose="fine-tune")
    server.stop()
    settings = server.office.settings
    (settings.incoming_folder / "ftkit-half").mkdir()
    (settings.incoming_folder / "ftkit-half" / "x.jsonl").write_text("half")
    (settings.files_folder / "file-nobody-knows.jsonl").write_text("half")
    again = start(vendor=server.vendor)
    with again.openai() as client:
        assert client.files.content(file.id).content == rows
    assert list(settings.incoming_folder.iterdir()) == []
    assert [path.stem for path in settings.files_folder.iterdir()] == [file.id]


def test_after_a_restart_everything_is_there_and_goes_on(start: Callable[..., Live], rows: bytes) -> None:
    server = start(vendor=MemoryVendor(finish_after=None))
    with server.openai() as client:
        waiting = [begin(client, rows, metadata={"n": str(n)}) for n in range(2)]
        made = server.vendor_job()
        until(lambda: status(client, waiting[1]) == "queued")
        told = messages(client, waiting[0])
    server.stop()
    server.vendor.advance(made.id, "succeeded")  # it went on while we were away
    again = start(vendor=server.vendor)
    assert again.office.client.identity() == server.office.client.identity()
    with again.openai() as client:
        until(lambda: status(client, waiting[0]) == "succeeded")
        assert messages(client, waiting[0])[-len(told) :] == told
        until(lambda: len(again.vendor.jobs) == 2)
        again.vendor.advance(again.vendor_job().id, "succeeded")
        until(lambda: status(client, waiting[1]) == "succeeded")
        assert again.vendor.calls["create_job"] == 2


def test_a_key_of_before_a_restart_still_opens_it(start: Callable[..., Live]) -> None:
    server = start()
    server.stop()
    again = start(vendor=server.vendor)
    again.key = server.key
    with again.openai() as client:
        assert [model.id for model in client.models.list()] == [MODEL]


def test_jobs_are_found_by_their_labels(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        made = [begin(client, rows, metadata=labels) for labels in ({"a": "1"}, {"a": "2", "b": "x"}, None)]
        jobs = client.fine_tuning.jobs
        assert [job.id for job in jobs.list(metadata={"a": "2"})] == [made[1].id]
        assert [job.id for job in jobs.list(metadata={"a": "2", "b": "y"})] == []
        assert [job.id for job in jobs.list(extra_query={"metadata": "null"})] == [made[2].id]
        assert [job.id for job in jobs.list(limit=1)] == [job.id for job in reversed(made)], "page by page"


def test_a_cursor_that_is_not_in_the_list_is_refused(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        job = begin(client, rows)
        with pytest.raises(sdk.BadRequestError, match="nothing with the id"):
            client.fine_tuning.jobs.list(after="ftjob-nowhere")
        with pytest.raises(sdk.BadRequestError, match="No such checkpoint"):
            client.fine_tuning.jobs.checkpoints.list(job.id, after="x")


def test_a_model_that_was_not_set_up_is_refused_with_those_that_were(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client, pytest.raises(sdk.BadRequestError, match=MODEL):
        begin(client, rows, model="gpt-5")


def test_bounds_are_told_as_they_are(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        wrong: list[tuple[dict[str, Any], str, str]] = [
            ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs", "less than or equal to 50, or 'auto'"),
            ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs", "greater than or equal to 1, or 'auto'"),
            ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs", "a valid integer, or 'auto'"),
            ({"method": {"type": "sft"}}, "method.type", "'supervised', 'dpo' or 'reinforcement'"),
            ({"suffix": ""}, "suffix", "at least 1 character"),
            ({"metadata": {"k": 1}}, "metadata.k", "a valid string"),
        ]
        for asked, param, told in wrong:
            with pytest.raises(sdk.BadRequestError) as refused:
                begin(client, rows, **asked)
            assert refused.value.param == param
            assert told in refused.value.message


def test_a_job_that_cannot_be_begun_for_too_long_has_failed_with_the_cause(
    start: Callable[..., Live], rows: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(vendor=MemoryVendor(), patience_s=0.5)

    def away(filename: str, content: bytes) -> Any:
        raise VendorError(503, f"the hub is away, and {bool(filename and content)}")

    monkeypatch.setattr(server.vendor, "create_file", away)
    with server.openai() as client:
        job = begin(client, rows)
        until(lambda: status(client, job) == "failed")
        error = client.fine_tuning.jobs.retrieve(job.id).error
        assert error is not None
        assert "the hub is away" in error.message


def test_a_file_that_is_deleted_is_deleted_at_the_vendor_too(server: Live, openai: OpenAI, rows: bytes) -> None:
    job = begin(openai, rows)
    until(lambda: status(openai, job) == "succeeded")
    assert len(server.vendor.list_files(None, 9)[0]) == 1
    openai.files.delete(job.training_file)
    assert server.vendor.list_files(None, 9)[0] == []


def test_a_default_stands_for_every_other_model_but_for_those_tuned_elsewhere(
    start: Callable[..., Live], rows: bytes
) -> None:
    server = start(vendor=MemoryVendor(), default_model="memory-large")
    with server.openai() as client:
        with pytest.raises(sdk.BadRequestError, match="not available"):
            begin(client, rows, model="ft:gpt-4o-mini-2024-07-18:acme::abc123")
        begin(client, rows, model="gpt-5")
        assert server.vendor_job().order.model == "memory-large"


def test_the_seed_is_drawn_and_told_and_kept(by_hand: Live, rows: bytes) -> None:
    with by_hand.openai() as client:
        drawn = begin(client, rows)
        assert by_hand.vendor_job().order.seed == drawn.seed
        assert begin(client, rows, seed=7).seed == 7
