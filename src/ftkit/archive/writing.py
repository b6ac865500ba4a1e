"""Saves what a provider tells of jobs: each job and each file once, whole or not at all."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from ftkit.archive import _disk as disk
from ftkit.archive._showing import Bar
from ftkit.archive._trying import Trying, walk
from ftkit.archive.layout import (
    ACCOUNT,
    CONTENT,
    FILE,
    FILES,
    JOB,
    JOBS,
    Account,
    ArchiveError,
    Exported,
    KeptFile,
    KeptJob,
    Missing,
    Table,
    Written,
    account_name,
    folder_name,
)
from ftkit.errors import FtkitError, without_keys
from ftkit.models import FineTuningJob, Noun, counted
from ftkit.plugin.disk import sync

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable, Sequence

    from ftkit.client import Client
    from ftkit.models import JobEvent, TrainingFile

N = TypeVar("N", bound=Noun)

_PAGE = 100
_LOCK = ".lock"


def export(
    client: Client,
    folder: str | os.PathLike[str],
    jobs: Iterable[FineTuningJob | str] | FineTuningJob | str | None = None,
    *,
    progress: bool = True,
) -> Exported:
    """Saves jobs with all that the provider tells of them, and their files, to be read with `Archive`.

    The same again goes on where it was: a job that had ended, and of which all is there, is not read again, nor a file.
    What could not be read is tried again. What was read once stays, also when the provider has it no more. Data are
    written as they are, for their owner's eyes only: folders have the mode 0700, files 0600.

    Args:
        client: A client of the account.
        folder: Folder of the archive; made if it is not there. Several accounts can share one.
        jobs: The jobs, or their ids, or one; None for all of the account.
        progress: Show on a terminal how far it is, if it takes more than two seconds.

    Returns:
        What was saved, and what could not be read, which is no error: `exported.missing`. `exported.is_complete` says
        whether there may be more to save.

    Raises:
        ArchiveError: The folder cannot be written (it is full, say), holds a newer layout, or another export writes
            into it. What is complete is kept.
        FtkitError: The list of jobs cannot be read, or the credentials are refused. Likewise.
    """
    account = Account(provider=client.provider.name, identity=client.identity())
    place = Path(folder) / account_name(account.provider, account.identity)
    chosen = [jobs] if isinstance(jobs, str | FineTuningJob) else None if jobs is None else list(jobs)
    with Bar(None if chosen is None else len(chosen), shown=progress) as bar:
        work = _Export(client, place, bar)
        try:
            with disk.written_to(Path(folder)):
                for each in (Path(folder), place, place / JOBS, place / FILES):
                    disk.make_folder(each)
                with _alone_in(place):
                    _claim(place, account)
                    work.all_jobs() if chosen is None else work.some_jobs(chosen)
        except FtkitError as error:
            error.add_note(work.so_far())
            raise
    return work.outcome(account)


class _Export:
    """One export of one account.

    Args:
        client: A client of it.
        place: Its folder.
        bar: Shows how far it is.
    """

    def __init__(self, client: Client, place: Path, bar: Bar) -> None:
        self._client = client
        self._place = place
        self._bar = bar
        self._trying = Trying()
        self._jobs: dict[str, bool] = {}  # whether it was read
        self._files: dict[str, Missing | None] = {}
        self._fetched: dict[str, int] = {}
        self._missing: dict[tuple[str, str], Missing] = {}
        self._going: list[str] = []

    def all_jobs(self) -> None:
        """Saves all jobs of the account, those of a page before the next one is asked for."""
        for listed in walk(lambda after: self._client.list_jobs(after=after, limit=_PAGE)):
            if listed.id not in self._jobs:  # what is made while pages are read moves the others down
                self._one(listed.id, listed, listed)

    def some_jobs(self, jobs: Sequence[FineTuningJob | str]) -> None:
        """Saves the jobs that were asked for."""
        for each in jobs:
            job_id = each if isinstance(each, str) else each.id
            if job_id not in self._jobs:
                self._one(job_id, each, None)

    def _one(self, job_id: str, asked: FineTuningJob | str, listed: FineTuningJob | None) -> None:
        """Saves a job; of one that cannot be read, what a list tells of it, which may be less."""
        before = _load(self._place / JOBS / folder_name(job_id), JOB, KeptJob)
        before = before if before is not None and before.job.id == job_id else None
        if before is not None and before.has_ended:
            self._save(before.job, before, None)
            return
        job = self._trying.read("job", job_id, partial(self._client.get_job, asked))
        if not isinstance(job, Missing):
            self._save(job, before, None)
            return
        known = before.job if before is not None else listed
        if known is not None:
            self._save(known, before, job)
        else:
            self._missing["job", job_id] = job
            self._bar.has_job()

    def so_far(self) -> str:
        """Says what is kept, of an export that comes to a bad end."""
        kept = f"{counted(len(self._jobs), 'job')} and {counted(len(self._fetched), 'new file')}"
        return f"Kept in '{self._place}' by this export: {kept}. The same again goes on from there."

    def outcome(self, account: Account) -> Exported:
        """Returns what was done."""
        return Exported(
            provider=account.provider,
            identity=account.identity,
            folder=str(self._place),
            jobs=tuple(job_id for job_id, was_read in self._jobs.items() if was_read),
            skipped=tuple(job_id for job_id, was_read in self._jobs.items() if not was_read),
            files=tuple(self._fetched),
            bytes=sum(self._fetched.values()),
            missing=tuple(self._missing.values()),
            going=tuple(self._going),
        )

    # -- a job ---------------------------------------------------------------------------------------------------

    def _save(self, job: FineTuningJob, before: KeptJob | None, lost: Missing | None) -> None:
        """Saves a job: first what is beside it, and its files; last the document by which it is there.

        Args:
            job: The job.
            before: What an earlier export has saved of it.
            lost: Why it could not be read itself, if it could not.
        """
        folder = disk.make_folder(self._place / JOBS / folder_name(job.id))
        job = job.model_copy(update={"error": without_keys(job.error)}) if job.error else job
        tables, missing = self._tables(job, folder, before)
        missing[:0] = [lost] if lost is not None else []
        for file_id in dict.fromkeys(each for each in (job.training_file, job.validation_file) if each):
            no_file = self._file(file_id)
            missing += [no_file] if no_file is not None else []
        now = KeptJob(exported_at=datetime.now(UTC), job=job, tables=tables, missing=tuple(missing))
        is_new = before is None or now != before.model_copy(update={"exported_at": now.exported_at})
        was_read = is_new or not now.has_ended
        if was_read:
            disk.write(folder / JOB, disk.as_json(now))
        self._jobs[job.id] = was_read
        self._going += [] if job.status.is_terminal else [job.id]
        disk.sweep(folder, (JOB, *(table.name for table in tables.values())))
        self._missing |= {(each.what, each.id): each for each in missing}
        self._bar.has_job()

    def _tables(
        self, job: FineTuningJob, folder: Path, before: KeptJob | None
    ) -> tuple[dict[Table, Written], list[Missing]]:
        """Reads what is beside a job, but for what was read after its end. What cannot be read now stays as it was."""
        tables, missing = dict[Table, Written](), list[Missing]()
        for name, call in self._readers(job).items():
            old = before.tables.get(name) if before is not None else None
            old = old if old is not None and disk.is_there(folder, old) else None
            if old is not None and before is not None and before.has_ended:
                tables[name] = old
                continue
            self._bar.reads(f"{name} of {job.id}")
            nouns = self._trying.read(name, job.id, call)
            if isinstance(nouns, Missing):
                missing.append(nouns)
                tables |= {name: old} if old is not None else {}
            else:
                tables[name] = _write_table(folder, name, nouns)
        return tables, missing

    def _readers(self, job: FineTuningJob) -> dict[Table, Callable[[], Sequence[Noun]]]:
        client = self._client
        return {
            "events": lambda: _clean(walk(lambda after: client.list_events(job, after=after, limit=_PAGE))),
            "checkpoints": lambda: client.list_checkpoints(job),
            "results": lambda: client.results(job),
        }

    # -- a file --------------------------------------------------------------------------------------------------

    def _file(self, file_id: str) -> Missing | None:
        """Saves a file, once for all jobs that name it; says why if it cannot be read."""
        if file_id not in self._files:
            self._files[file_id] = self._read_file(file_id)
        return self._files[file_id]

    def _read_file(self, file_id: str) -> Missing | None:
        folder = self._place / FILES / folder_name(file_id)
        before = _load(folder, FILE, KeptFile)
        before = before if before is not None and before.file.id == file_id else None
        if before is not None and before.is_whole and before.content and disk.is_there(folder, before.content):
            return None
        self._bar.reads(f"file {file_id}")
        file = self._trying.read("file", file_id, lambda: self._client.get_file(file_id))
        if isinstance(file, Missing):
            return file
        disk.make_folder(folder)
        content = self._trying.read("file", file_id, lambda: self._fetch(file, folder))
        if isinstance(content, Missing):
            if before is None:  # what the provider tells of it is more than nothing
                self._keep_file(folder, file, None)
            return content
        self._fetched[file_id] = content.size
        kept = self._keep_file(folder, file, content)
        if kept.is_whole:
            return None
        reason = f"it came with {content.size:,} bytes, and the provider tells of {file.size:,}; kept as it came"
        return Missing(what="file", id=file_id, reason=reason, later=True)

    def _fetch(self, file: TrainingFile, folder: Path) -> Written:
        landing = folder / f".ftkit-{uuid.uuid4().hex}.partial"
        try:
            self._client.download_file(file, landing)
            disk.close_to_others(landing)
            size, sha256 = disk.hash_of(landing)
            sync(landing)
            landing.replace(folder / CONTENT)
        finally:
            landing.unlink(missing_ok=True)
        return Written(name=CONTENT, size=size, sha256=sha256)

    @staticmethod
    def _keep_file(folder: Path, file: TrainingFile, content: Written | None) -> KeptFile:
        kept = KeptFile(exported_at=datetime.now(UTC), file=file, content=content)
        disk.write(folder / FILE, disk.as_json(kept))
        disk.sweep(folder, (FILE, *((content.name,) if content else ())))
        return kept


def _clean(events: Iterable[JobEvent]) -> list[JobEvent]:
    """Returns events without keys: a vendor may quote one that was wrong."""
    return [each.model_copy(update={"message": without_keys(each.message)}) for each in events]


def _write_table(folder: Path, name: Table, nouns: Sequence[Noun]) -> Written:
    content = disk.as_lines(nouns)
    sha256 = disk.sha256_of(content)
    written = Written(name=f"{name}-{sha256[:8]}.jsonl", size=len(content), sha256=sha256)
    disk.write(folder / written.name, content)
    return written


def _load(folder: Path, name: str, noun: type[N]) -> N | None:
    """Reads what an earlier export has written of a thing; what is damaged is read from the provider again."""
    try:
        return disk.load(folder / name, noun)
    except disk.NewerLayoutError:
        raise
    except (FileNotFoundError, ArchiveError):
        return None


def _claim(place: Path, account: Account) -> None:
    """Writes down whose folder it is, or sees that it is this account's.

    Raises:
        ArchiveError: It is another's, damaged, or of a newer layout.
    """
    try:
        found = disk.load(place / ACCOUNT, Account)
    except FileNotFoundError:
        disk.write(place / ACCOUNT, disk.as_json(account))
        return
    if (found.provider, found.identity) != (account.provider, account.identity):
        message = f"'{place}' is the folder of {found.identity} ({found.provider}), and not of {account.identity}"
        raise ArchiveError(message, hint="Export to another folder.")


@contextmanager
def _alone_in(place: Path) -> Generator[None]:
    """Holds an account's folder; the system lets go of it if the process dies.

    Raises:
        ArchiveError: Another export holds it, or the disk knows no locks.
    """
    lock = FileLock(place / _LOCK, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise ArchiveError(f"another export writes into '{place}'", hint="Wait for its end.") from error
    except NotImplementedError as error:
        raise ArchiveError(f"the disk of '{place}' knows no locks", hint="Export to another disk.") from error
    try:
        yield
    finally:
        lock.release()
