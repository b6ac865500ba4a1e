from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ftkit.errors import (
    JobCancelledError,
    JobFailedError,
    JobPausedError,
    JobTimeoutError,
    NotFoundError,
    ProviderUnavailableError,
)
from ftkit.models import FineTuningJob, JobEvent, JobStatus, Metrics
from ftkit.progress import BarProgress, LineProgress, as_progress
from ftkit.waiting import Pace, Watch, WatchAll

if TYPE_CHECKING:
    from collections.abc import Sequence


class Said:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.closed = False

    def update(self, job: FineTuningJob, events: Sequence[JobEvent]) -> None:
        """Keeps nothing."""

    def say(self, text: str) -> None:
        self.lines.append(text)

    def close(self) -> None:
        self.closed = True


def job(status: JobStatus = JobStatus.RUNNING, step: int | None = None) -> FineTuningJob:
    return FineTuningJob(
        id="ftjob-1", provider="memory", status=status, model="m", step=step, total_steps=10, error="the reason"
    )


def event(number: int, loss: float | None = None) -> JobEvent:
    metrics = Metrics(step=number, train_loss=loss) if loss is not None else None
    return JobEvent(
        id=str(number), job_id="ftjob-1", created_at=datetime.now(UTC), message=f"e{number}", metrics=metrics
    )


class Clock:
    """A clock that goes forward when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def watch(pace: Pace | None = None) -> tuple[Watch, Said, Clock]:
    said, clock = Said(), Clock()
    return Watch(job(), pace or Pace(), said, clock), said, clock


@pytest.mark.parametrize(
    ("waited_s", "delay_s"), [(0, 0.5), (10, 0.5), (100, 2.0), (1000, 20.0), (1500, 30.0), (1_000_000, 30.0)]
)
def test_the_end_is_seen_at_most_two_percent_late(waited_s: float, delay_s: float) -> None:
    assert Pace().delay(waited_s) == pytest.approx(delay_s)


def test_no_delay_goes_past_the_end_of_the_waiting() -> None:
    assert Pace(timeout_s=100).delay(99.9) == pytest.approx(0.1)
    assert Pace(poll_s=7, timeout_s=100).delay(10) == 7


@pytest.mark.parametrize("status", [*JobStatus])
def test_waiting_ends_with_the_job_and_goes_on_without_knowing(status: JobStatus) -> None:
    seen, _, _ = watch()
    over = status.is_terminal or status is JobStatus.PAUSED
    assert (seen.see(job(status), ()) is None) == over


def test_the_outcome_is_the_job_or_its_error() -> None:
    for status, error in {
        JobStatus.FAILED: JobFailedError,
        JobStatus.CANCELLED: JobCancelledError,
        JobStatus.PAUSED: JobPausedError,
    }.items():
        seen, _, _ = watch()
        seen.see(job(status), ())
        with pytest.raises(error) as caught:
            seen.outcome()
        assert caught.value.job.status is status
    seen, _, _ = watch()
    seen.see(job(JobStatus.SUCCEEDED), ())
    assert seen.outcome().status is JobStatus.SUCCEEDED


def test_a_paused_job_says_the_line_that_resumes_it() -> None:
    seen, _, _ = watch()
    seen.see(job(JobStatus.PAUSED), ())
    with pytest.raises(JobPausedError, match=r"Client\('memory'\)\.resume_job\('ftjob-1'\)"):
        seen.outcome()


def test_the_time_is_up_by_a_clock_that_only_goes_forward() -> None:
    seen, _, clock = watch(Pace(timeout_s=5))
    assert seen.see(job(), ()) is not None
    clock.now = 5.0
    with pytest.raises(JobTimeoutError, match="The job goes on"):
        seen.see(job(), ())


def test_a_running_job_without_steps_is_told_once_until_it_moves() -> None:
    seen, said, clock = watch(Pace(stall_s=60))
    seen.see(job(step=3), ())
    for clock.now in (61.0, 62.0, 63.0):
        seen.see(job(step=3), ())
    assert [line for line in said.lines if "no step for 1 min" in line] == said.lines
    assert len(said.lines) == 1
    seen.see(job(step=4), ())
    clock.now = 200.0
    seen.see(job(step=4), ())
    assert len(said.lines) == 2


def test_a_queued_job_does_not_stall() -> None:
    seen, said, clock = watch(Pace(stall_s=60))
    clock.now = 1000.0
    seen.see(job(JobStatus.QUEUED), ())
    assert said.lines == []


def test_an_outage_is_waited_out_for_a_while_and_then_told() -> None:
    seen, said, clock = watch()
    away = ProviderUnavailableError("away", provider="memory")
    for clock.now in (0.0, 400.0, 800.0):
        assert seen.miss(away) > 0
    assert len(said.lines) == 1
    clock.now = 900.0
    with pytest.raises(ProviderUnavailableError):
        seen.miss(away)


def test_an_error_that_waiting_does_not_mend_is_raised_at_once() -> None:
    seen, _, _ = watch()
    with pytest.raises(NotFoundError):
        seen.miss(NotFoundError("gone"))


def test_ctrl_c_says_how_to_take_the_job_up_again() -> None:
    seen, said, _ = watch()
    with pytest.raises(KeyboardInterrupt), seen:
        raise KeyboardInterrupt
    assert said.closed
    assert said.lines == [
        "Stopped waiting; the job goes on. Take it up again with:\n  Client('memory').wait('ftjob-1')"
    ]


def test_a_log_file_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display = as_progress(progress=True)  # pytest's stderr is no terminal
    assert isinstance(display, LineProgress)
    display.update(job(JobStatus.QUEUED), ())
    display.update(job(step=1), [event(1, loss=2.5)])
    display.update(job(step=2), [event(2, loss=2.4)])  # too soon for another line
    display.update(job(step=3), [event(3)])
    display.update(job(JobStatus.SUCCEEDED, step=10), ())
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "ftjob-1: queued",
        "ftjob-1 step 1/10: running, loss 2.5000",
        "ftjob-1: e3",  # what happened may be long past: the step of now is not its step
        "ftjob-1 step 10/10: succeeded",
    ]


def test_a_terminal_gets_a_bar_with_step_loss_and_newest_event(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    display = BarProgress()
    display.update(job(step=3), [event(3, loss=1.25)])
    display.update(job(step=4), [event(4, loss=1.125), event(5)])
    display.close()
    shown = screen.getvalue()
    assert "3/10" in shown
    assert "4/10" in shown
    assert "running, loss 1.1250, e5" in shown


@pytest.mark.parametrize("total_steps", [None, 10])
def test_a_bar_tells_the_time_that_is_left_from_when_it_ran(
    monkeypatch: pytest.MonkeyPatch, total_steps: int | None
) -> None:
    screen, clock = io.StringIO(), Clock()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("tqdm.std.time", clock)
    display = BarProgress()
    display.update(job(JobStatus.QUEUED).model_copy(update={"total_steps": total_steps}), ())
    clock.now = 600.0  # ten minutes in a queue
    display.update(job(JobStatus.QUEUED).model_copy(update={"total_steps": total_steps}), ())
    display.update(job(step=0), ())
    clock.now = 610.0
    display.update(job(step=5), ())
    display.close()
    assert "5/10 [00:10<00:10" in screen.getvalue()


def test_many_jobs_are_counted_in_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", screen)
    display = as_progress(progress=True, jobs=3)
    for number, status in enumerate([JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.RUNNING]):
        display.update(job(status).model_copy(update={"id": f"ftjob-{number}"}), ())
    display.close()
    assert "1/3" in screen.getvalue()
    assert "2 running, 1 succeeded" in screen.getvalue()


def test_many_jobs_in_a_log_file_do_not_take_turns_at_every_look(capsys: pytest.CaptureFixture[str]) -> None:
    display = LineProgress()
    for _ in range(3):
        for name, status in {"a": JobStatus.RUNNING, "b": JobStatus.QUEUED}.items():
            display.update(job(status).model_copy(update={"id": name}), ())
    assert capsys.readouterr().err.splitlines() == ["a: running", "b: queued"]


def test_steps_without_events_are_lines_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftkit.progress._LINE_EVERY_S", 0.0)
    display = LineProgress()
    for step in (1, 2, 2):
        display.update(job(step=step), ())
    assert capsys.readouterr().err.splitlines() == ["ftjob-1 step 1/10: running", "ftjob-1 step 2/10: running"]


def test_a_job_that_counts_no_steps_moves_with_its_events_and_is_not_judged_without() -> None:
    seen, said, clock = watch(Pace(stall_s=60))
    seen.see(job(), [event(1)])
    clock.now = 100.0
    seen.see(job(), None)  # nobody looked at its events
    assert said.lines == []
    seen.see(job(), [event(2)])
    clock.now = 159.0
    seen.see(job(), [])
    assert said.lines == []
    clock.now = 161.0
    seen.see(job(), [])
    assert said.lines == ["ftjob-1: running, but no step for 1 min"]


def test_a_key_that_the_vendor_does_not_keep_is_kept() -> None:
    seen = Watch(job().model_copy(update={"key": "v1:k"}), Pace(), Said())
    seen.see(job(), ())
    assert seen.job.key == "v1:k"


def test_what_stops_the_waiting_for_many_names_those_that_are_left() -> None:
    said = Said()
    jobs = [job().model_copy(update={"id": name}) for name in ("a", "b")]
    all_ = WatchAll(jobs, Pace(), said, client="Client('cheap')")
    all_.see({"a": jobs[0].model_copy(update={"status": JobStatus.SUCCEEDED}), "b": jobs[1]})
    with pytest.raises(KeyboardInterrupt), all_:
        raise KeyboardInterrupt
    assert said.lines[-1].endswith("Client('cheap').wait_all(['b'])")
