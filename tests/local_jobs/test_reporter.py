"""What a trainer tells: no id twice, no step twice, and no change once it has ended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from job_tools import ask_only
from pydantic import ValidationError

from ftkit.errors import ConflictError
from ftkit.models import EventLevel, JobStatus, Metrics
from ftkit.providers._local_jobs import Reporter

if TYPE_CHECKING:
    from ftkit.providers._local_jobs import JobFolder, LocalJobs


@pytest.fixture
def place(jobs: LocalJobs) -> JobFolder:
    return ask_only(jobs)


def test_events_are_read_as_they_were_told(place: JobFolder) -> None:
    reporter = Reporter(place.path)
    odd = 'a "quoted"\r\nline\u2028of \0 \N{SNOWMAN}'
    reporter.event(odd, EventLevel.WARNING, Metrics(step=1, train_loss=math.nan, extra={"grad_norm": math.inf}))
    (event,) = place.events()
    assert (event.id, event.job_id, event.message, event.level) == ("00000001", place.id, odd, EventLevel.WARNING)
    assert event.metrics is not None
    assert event.metrics.train_loss is not None
    assert math.isnan(event.metrics.train_loss)
    assert event.metrics.extra == {"grad_norm": math.inf}


def test_what_is_no_text_is_told_as_well_as_can_be(place: JobFolder) -> None:
    reporter = Reporter(place.path)
    reporter.event("cannot read caf\udce9.txt")
    reporter.status("failed", error="cannot read caf\udce9.txt")
    assert place.events()[0].message == "cannot read caf?.txt"
    assert (place.job().status, place.job().error) == (JobStatus.FAILED, "cannot read caf?.txt")


def test_a_torn_line_is_cut_off_and_the_next_one_is_whole(place: JobFolder) -> None:
    first = Reporter(place.path)
    first.event("one")
    first.event("two")
    events = place.path / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-20])
    assert [event.message for event in place.events()] == ["one"]
    Reporter(place.path).event("three")
    assert [(event.id, event.message) for event in place.events()] == [("00000001", "one"), ("00000002", "three")]
    events.write_bytes(b"torn")
    Reporter(place.path).event("four")
    assert [event.message for event in place.events()] == ["four"]


def test_going_on_takes_back_later_steps_and_gives_no_id_twice(place: JobFolder) -> None:
    seen: dict[str, str] = {}
    for number in range(1, 4):  # three runs; each one dies after four more steps, and the last two are lost
        reporter = Reporter(place.path)
        kept = 2 * (number - 1)
        if kept:
            reporter.go_on_from(kept, f"Going on from step {kept}")
        assert reporter.state.step == (kept or None)
        for step in range(kept + 1, kept + 5):
            reporter.event(f"Run {number}, step {step}", metrics=Metrics(step=step))
        for event in place.events():
            assert seen.setdefault(event.id, event.message) == event.message
    assert [event.metrics.step for event in place.events() if event.metrics] == [1, 2, 3, 4, 5, 6, 7, 8]
    ids = [event.id for event in place.events()]
    assert ids == sorted(set(ids))
    assert [event.message for event in place.events() if not event.metrics] == [
        "Going on from step 2",
        "Going on from step 4",
    ]


def test_going_on_from_the_start_gives_no_id_twice_in_the_run_after(place: JobFolder) -> None:
    reporter = Reporter(place.path)
    reporter.event("Step 1", metrics=Metrics(step=1))
    reporter.go_on_from(0, "From the start")
    again = Reporter(place.path)
    again.event("Step 1", metrics=Metrics(step=1))
    assert [event.id for event in place.events()] == ["00000002", "00000003"]


@pytest.mark.parametrize("word", ["succeeded", "failed", "cancelled"])
def test_what_has_ended_never_changes(place: JobFolder, word: str) -> None:
    reporter = Reporter(place.path)
    reporter.status(word, error="because")
    ended = place.job()
    assert ended.status.is_terminal
    assert ended.finished_at is not None
    for later in ("running", "interrupted", "failed", None):
        with pytest.raises(ConflictError, match=f"is {word}: that never changes"):
            reporter.status(later, step=9)
        with pytest.raises(ConflictError):
            Reporter(place.path).status(later)
    assert place.job() == ended


def test_an_unknown_word_or_field_changes_nothing(place: JobFolder) -> None:
    reporter = Reporter(place.path)
    before = place.state()
    with pytest.raises(KeyError):
        reporter.status("dreaming")
    with pytest.raises(ValidationError):
        reporter.status("running", mood="good")
    assert place.state() == before == reporter.state


def test_a_wish_to_pause_is_for_one_run_and_one_to_cancel_for_good(place: JobFolder) -> None:
    reporter = Reporter(place.path)
    assert reporter.want() is None
    place.ask("paused", 1)
    assert reporter.want() == "paused"
    reporter.status(run=2)
    assert reporter.want() is None
    place.ask("cancelled", 1)
    assert reporter.want() == "cancelled"
