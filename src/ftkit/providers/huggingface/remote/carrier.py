"""What runs on the Hub's machine: `python -m ftkit.providers.huggingface.remote.carrier`.

All it needs to know is in its environment. It fetches the job's folder, as it was at the last checkpoint, lets the
trainer of local training work in it, in a process of its own, and carries back to the Hub what comes of it: events as
lines of its log, at once; checkpoints when they are whole; at the end the model. The machine may vanish at any moment:
what the Hub has then is whole.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.errors import ConfigurationError, FtkitError
from ftkit.plugin.disk import write_atomically
from ftkit.providers._hub_account import HubAccount
from ftkit.providers._local_jobs import JobFolder, JobRecord, JobState, Reporter
from ftkit.providers._local_jobs.folder import JOB_ID, REQUEST, WORDS
from ftkit.providers._local_jobs.names import TRAINING, VALIDATION
from ftkit.providers._processes import this_process
from ftkit.providers.huggingface.kinds import NAME
from ftkit.providers.huggingface.remote.carrying import Cargo
from ftkit.providers.huggingface.remote.files import HubFiles
from ftkit.providers.huggingface.remote.results import BRANCH, TOLD, repository_of
from ftkit.providers.huggingface.remote.runs import FLAVOR, NUMBER, RECORD, HubRuns

if TYPE_CHECKING:
    from types import FrameType

OWNER = "FTKIT_OWNER"
"""Environment variable: the user or organisation whose job it is."""
_EVENTS_A_RUN = 1_000_000
"""An event's number says in which run it was told: what was told and then lost must not lend its number to another."""
_POLL_S = 0.5
_WISH_S = 15.0
"""Between two looks at whether the job is to pause. Each is a request."""
_TRAINER = (sys.executable, "-P", "-m", "ftkit.providers.huggingface.train")


class Carrier:
    """One run of a job.

    Args:
        record: What was asked for.
        number: Which run it is, from 1.
        account: The account.
    """

    def __init__(self, record: JobRecord, number: int, account: HubAccount) -> None:
        self._record = record
        self._number = number
        self._account = account
        self._runs = HubRuns(account)
        self._job = str(record.extra["job"])
        if not JOB_ID.fullmatch(self._job):  # it becomes a folder here
            raise ConfigurationError(f"{RECORD} names no job: {self._job[:80]!r}")
        self._path = Path(self._job).absolute()
        self._cargo = Cargo(account, repository_of(account.namespace, self._job, record.request), self._path)
        self._told = (number - 1) * _EVENTS_A_RUN
        self._stopping = False
        self._looked = 0.0

    def run(self) -> int:
        """Does the run, and returns the exit status: 0 if the job has ended as it should, or was paused."""
        signal.signal(signal.SIGTERM, self._on_signal)
        self._fetch()
        if self._is_over():
            return 0
        self._begin()
        with subprocess.Popen([*_TRAINER, str(self._path)]) as trainer:  # noqa: S603 - our own interpreter
            while trainer.poll() is None:
                self._attend(trainer)
                time.sleep(_POLL_S)
        self._tell()
        state = JobFolder(self._path).state()
        if not WORDS[state.word].is_terminal and state.word not in {"paused", "interrupted"}:
            # It died without a word. The next run goes on from what it has left.
            self._cargo.send_checkpoint()
            print(f"the trainer ended with status {trainer.returncode}", flush=True)  # noqa: T201 - the job's log
            return 1
        self._cargo.deliver(state)
        return 0 if state.word in {"succeeded", "paused"} else 1

    def _fetch(self) -> None:
        """Brings the folder to this machine: data, and what the runs before have left."""
        from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]

        self._cargo.make_repository()
        account = self._account
        account.insist(
            lambda: snapshot_download(
                self._cargo.name,
                revision=BRANCH,
                local_dir=self._path,
                token=account.token,
                endpoint=account.api.endpoint,
            )
        )
        self._path.mkdir(exist_ok=True)
        shutil.rmtree(self._path / ".cache", ignore_errors=True)  # notes of huggingface_hub
        self._cargo.count_fetched()
        files, request = HubFiles(account, self._record.identity), self._record.request
        files.download(request.training_file.id, self._path / TRAINING)
        if request.validation_file is not None:
            files.download(request.validation_file.id, self._path / VALIDATION)
        write_atomically(self._path / REQUEST, self._record.model_dump_json(indent=2, exclude_none=True))

    def _is_over(self) -> bool:
        """Whether an earlier run has done all there is to do."""
        try:
            return WORDS[JobFolder(self._path).state().word].is_terminal
        except FileNotFoundError:
            return False

    def _begin(self) -> None:
        """Writes that the job runs, and gives this run's events numbers of their own."""
        us, now = this_process(), datetime.now(UTC)
        try:
            before = JobFolder(self._path).state().model_dump()
        except FileNotFoundError:
            before = {"started_at": now}
        mine = {"word": "running", "run": self._number, "asker": us, "runner": us, "error": None}
        JobFolder(self._path).write_state(JobState.model_validate({**before, **mine}))
        reporter = Reporter(self._path, first_event=self._told + 1)
        again = f"Run {self._number} of the job" if self._number > 1 else "The job"
        reporter.event(f"{again} begins on a machine of the Hub ({os.environ.get(FLAVOR, 'unknown')})")

    def _attend(self, trainer: subprocess.Popen[bytes]) -> None:
        """Carries on what is new, and hands on a wish to stop."""
        self._tell()
        try:
            self._cargo.send_checkpoint()
            if not self._stopping and time.monotonic() - self._looked > _WISH_S:
                self._looked = time.monotonic()
                self._look()
        except FtkitError as error:  # the Hub is away; the training goes on, and the next time may be better
            print(f"the Hub cannot be reached: {error}", flush=True)  # noqa: T201 - the job's log
        if self._stopping:
            trainer.terminate()

    def _look(self) -> None:
        """Looks at whether the job is to pause: that is a label of its run."""
        mine = [run for run in self._runs.of(self._job) if run.number == self._number]
        if any(run.want == "paused" for run in mine):
            JobFolder(self._path).ask("paused", self._number)
            self._stopping = True

    def _tell(self) -> None:
        """Prints the events that are new."""
        for event in JobFolder(self._path).events_after(self._told):
            self._told = int(event.id)
            print(TOLD + event.model_dump_json(exclude={"job_id"}, exclude_none=True), flush=True)  # noqa: T201 - the log

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        self._stopping = True


def main() -> int:
    """Does the run that the environment tells of, and returns the exit status."""
    record = JobRecord.model_validate_json(os.environ[RECORD])
    account = HubAccount(NAME, os.environ[OWNER], None, None)
    try:
        return Carrier(record, int(os.environ[NUMBER]), account).run()
    except FtkitError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
