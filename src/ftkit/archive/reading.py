"""Reads an archive as a `Client` reads a provider."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ftkit.archive import _disk as disk
from ftkit.archive.layout import (
    ACCOUNT,
    ANSWERS,
    FILE,
    FILES,
    JOB,
    JOBS,
    Account,
    KeptFile,
    KeptJob,
    Missing,
    Table,
    folder_name,
)
from ftkit.errors import ConfigurationError, NotFoundError
from ftkit.evaluate.answers import read_answers
from ftkit.models import Checkpoint, FineTuningJob, JobEvent, Metrics, Noun, Page, Results, TrainingFile
from ftkit.plugin.disk import place_for

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from ftkit.evaluate.answers import Answer

N = TypeVar("N", bound=Noun)
K = TypeVar("K", KeptJob, KeptFile)

_MOST_NAMED = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Place(NamedTuple):
    """An account, and its folder."""

    folder: Path
    account: Account


class Archive:
    """What an export has saved. Its verbs are those of a `Client`, so that code can read from either.

    What is read is held against the hash that was written down with it: an `ArchiveError` names what is damaged.

    Args:
        folder: Folder of the archive, or of one account in it.
        account: Whose jobs to read, where the archive holds those of several accounts: the identity, the provider's
            name, or the name of the account's folder; None for all of them.

    Raises:
        ConfigurationError: There is no archive, or no such account in it, or several.
        ArchiveError: It cannot be read: its layout is newer than this ftkit, say.
    """

    def __init__(self, folder: str | os.PathLike[str], *, account: str | None = None) -> None:
        self._folder = Path(folder)
        self._places = _chosen(_places(self._folder), self._folder, account)

    def __repr__(self) -> str:
        return f"Archive({str(self._folder)!r})"

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts whose jobs it reads."""
        return tuple(place.account for place in self._places)

    # -- jobs ----------------------------------------------------------------------------------------------------

    def get_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Reads a job, as it was when it was saved.

        Raises:
            NotFoundError: It is not here; the error names some that are.
            ConfigurationError: Several accounts have a job of that id.
        """
        return self._job(job)[1].job

    def list_jobs(
        self, *, metadata: Mapping[str, str] | None = None, after: str | None = None, limit: int = 20
    ) -> Page[FineTuningJob]:
        """Lists jobs, newest first.

        Args:
            metadata: Lists only jobs that bear all of these labels.
            after: The `next` of the page before.
            limit: Most jobs on a page, 1 or more.
        """
        labels = (metadata or {}).items()
        jobs = [(_cursor(path), job) for path, job in self._jobs() if labels <= job.metadata.items()]
        jobs.sort(key=lambda each: (each[1].created_at or _EPOCH, each[0]), reverse=True)
        return _page(jobs, after, limit)

    def list_events(self, job: FineTuningJob | str, *, after: str | None = None, limit: int = 100) -> Page[JobEvent]:
        """Lists the events of a job, oldest first; `after` takes an event's id, or the `next` of a page.

        Raises:
            NotFoundError: They could not be read when the job was saved. So for checkpoints and results.
        """
        return _page([(event.id, event) for event in self._table(job, "events", JobEvent)], after, limit)

    def list_checkpoints(self, job: FineTuningJob | str) -> list[Checkpoint]:
        """Lists the checkpoints of a job, newest first."""
        return self._table(job, "checkpoints", Checkpoint)

    def results(self, job: FineTuningJob | str) -> Results:
        """Returns the metrics of a job, one row a step, in the order of steps."""
        return Results(self._table(job, "results", Metrics))

    def missing(self, job: FineTuningJob | str) -> tuple[Missing, ...]:
        """Returns what could not be read when the job was last saved; its files among it."""
        return self._job(job)[1].missing

    def answers(self, job: FineTuningJob | str) -> list[Answer]:
        """Returns what the model of a job answered while it could be asked (`ftkit export --answers`).

        Raises:
            ConfigurationError: The file of the answers is damaged.
        """
        kept = self.get_job(job)
        files = [place.folder / ANSWERS for place in self._places if place.account.identity == kept.identity]
        return [each for file in files if file.exists() for each in read_answers(file) if each.model == kept.id]

    # -- files ---------------------------------------------------------------------------------------------------

    def get_file(self, file: TrainingFile | str) -> TrainingFile:
        """Reads what the provider told of a file."""
        return self._file(file)[1].file

    def download_file(self, file: TrainingFile | str, path: str | os.PathLike[str]) -> Path:
        """Writes the content of a file to `path`, and returns that path.

        Raises:
            NotFoundError: There is no such file here, or its content could not be read when it was saved.
            ConfigurationError: The path is a folder, or in one that is not there.
            ArchiveError: It is damaged, and nothing was written; or it cannot be written there.
        """
        folder, kept = self._file(file)
        target = place_for(path)
        if kept.content is None:
            message = f"the archive has no content of the file {kept.file.id}: it could not be read when it was saved"
            raise NotFoundError(message, hint="`missing(job)` says why. Export again, while the provider has it.")
        with disk.written_to(target.parent, "the file"):
            disk.copy_content(folder, kept.content, target)
        return target

    # -- inside --------------------------------------------------------------------------------------------------

    def _table(self, job: FineTuningJob | str, name: Table, noun: type[N]) -> list[N]:
        folder, kept = self._job(job)
        table = kept.tables.get(name)
        if table is None:
            why = next((each.reason for each in kept.missing if each.what == name), "they were not read")
            raise NotFoundError(f"the archive has no {name} of the job {kept.job.id}: {why}")
        return disk.load_lines(folder, table, noun)

    def _job(self, job: FineTuningJob | str) -> tuple[Path, KeptJob]:
        kept = self._kept(job, JOBS, JOB, KeptJob)
        if kept is None:
            raise self._unknown("job", job, (each.id for _, each in self._jobs()))
        return kept

    def _file(self, file: TrainingFile | str) -> tuple[Path, KeptFile]:
        kept = self._kept(file, FILES, FILE, KeptFile)
        if kept is None:
            raise self._unknown("file", file, (each.file.id for _, each in self._all(FILES, FILE, KeptFile)))
        return kept

    def _kept(
        self, thing: FineTuningJob | TrainingFile | str, where: str, name: str, noun: type[K]
    ) -> tuple[Path, K] | None:
        """Returns the folder of a thing, and its document; None if it is not here."""
        thing_id = thing if isinstance(thing, str) else thing.id
        identity = None if isinstance(thing, str) else thing.identity
        found: list[tuple[_Place, Path]] = []
        for place in self._places:
            folder = place.folder / where / folder_name(thing_id)
            if identity in {None, place.account.identity} and disk.has(folder / name):
                found.append((place, folder))
        if len(found) > 1:
            accounts = ", ".join(repr(place.folder.name) for place, _ in found)
            message = f"{len(found)} accounts have something of the id {thing_id[:80]!r} in '{self._folder}'"
            raise ConfigurationError(message, hint=f"Say whose is meant: Archive(..., account=...), of {accounts}.")
        if not found:
            return None
        folder = found[0][1]
        kept = disk.load(folder / name, noun)
        if (kept.job if isinstance(kept, KeptJob) else kept.file).id != thing_id:
            raise disk.damaged(folder / name, "it is that of another id")
        return folder, kept

    def _jobs(self) -> Iterator[tuple[Path, FineTuningJob]]:
        return ((folder, kept.job) for folder, kept in self._all(JOBS, JOB, KeptJob))

    def _all(self, where: str, name: str, noun: type[K]) -> Iterator[tuple[Path, K]]:
        for place in self._places:
            for document in sorted((place.folder / where).glob(f"*/{name}")):
                yield document.parent, disk.load(document, noun)

    def _unknown(self, what: str, thing: object, there: Iterator[str]) -> NotFoundError:
        names = sorted(there)
        thing_id = thing if isinstance(thing, str) else getattr(thing, "id", "")
        some = ", ".join(names[:_MOST_NAMED])
        more = f", and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        hint = f"It has {some}{more}." if names else f"It has no {what}s."
        return NotFoundError(f"the archive '{self._folder}' has no {what} {str(thing_id)[:80]!r}", hint=hint)


def _places(folder: Path) -> list[_Place]:
    """Returns the accounts of an archive; of the folder of one account, that one.

    Raises:
        ConfigurationError: It is no archive.
    """
    inside = [folder] if disk.has(folder / ACCOUNT) else [each.parent for each in sorted(folder.glob(f"*/{ACCOUNT}"))]
    if not inside:
        there = "there is nothing that ftkit exported" if folder.is_dir() else "there is no folder"
        hint = "`ftkit export PROFILE: --to FOLDER` makes an archive."
        raise ConfigurationError(f"{there} '{folder}'" if not folder.is_dir() else f"{there} in '{folder}'", hint=hint)
    return [_Place(each, disk.load(each / ACCOUNT, Account)) for each in inside]


def _chosen(places: list[_Place], folder: Path, account: str | None) -> list[_Place]:
    if account is None:
        return places
    exact = [each for each in places if account in {each.account.identity, each.folder.name}]
    found = exact or [each for each in places if account == each.account.provider]
    if len(found) == 1:
        return found
    which = f"{len(found)} accounts" if found else "no account"
    names = ", ".join(f"{each.folder.name} ({each.account.identity})" for each in places)
    raise ConfigurationError(f"'{folder}' has {which} {account!r}", hint=f"It has {names}.")


def _cursor(folder: Path) -> str:
    """Returns what stands for a job in a list of those of all accounts."""
    return f"{folder.parents[1].name}/{folder.name}"


def _page(items: Sequence[tuple[str, N]], after: str | None, limit: int) -> Page[N]:
    """Cuts a page out of a list: what follows the item with the name `after`."""
    if limit < 1:
        raise ConfigurationError(f"limit is the most entries of a page, 1 or more (got {limit!r})")
    names = [name for name, _ in items]
    if after is not None and after not in names:
        raise NotFoundError(f"the archive has nothing {after[:80]!r} to list after")
    start = 0 if after is None else names.index(after) + 1
    cut = items[start : start + limit]
    return Page(items=tuple(item for _, item in cut), next=cut[-1][0] if start + limit < len(items) else None)
