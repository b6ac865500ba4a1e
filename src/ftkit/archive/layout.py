"""What an archive is made of: its nouns, and how its folders are called.

    FOLDER/
      openai-5f3a9c01/                         an account: the provider, and a hash of its identity
        account.json                           `Account`
        jobs/ftjob-abc-5f3a9c01d2e4b6a7/       a job: letters of its id, and a hash of it
          job.json                             `KeptJob`: the job, what is beside it, and what is missing
          events-1a2b3c4d.jsonl                a noun on each line; the name ends with the hash of the content
          checkpoints-1a2b3c4d.jsonl
          results-1a2b3c4d.jsonl
        files/file-xyz-0b1c2d3e4f5a6b7c/       a training or validation file, once for all jobs
          file.json                            `KeptFile`
          content                              as the provider sends it
        answers.jsonl                          what tuned models answered: `ftkit.evaluate.Answer`, one a line

A thing is there when its .json file is: that is written last, and names the others with size and hash.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from ftkit.errors import FtkitError
from ftkit.models import FineTuningJob, Noun, TrainingFile, UtcDatetime, counted

FORMAT = 1
"""The version of the layout that this ftkit writes, and the newest that it reads."""

ACCOUNT, JOB, FILE = "account.json", "job.json", "file.json"
JOBS, FILES = "jobs", "files"
CONTENT = "content"
ANSWERS = "answers.jsonl"
Table = Literal["events", "checkpoints", "results"]

_NO_LETTER = re.compile(r"[^A-Za-z0-9]+")
_LONGEST = 48
_MOST_TOLD = 20


class ArchiveError(FtkitError):
    """An archive could not be written or read: the disk, damage, or a layout that is newer than this ftkit."""


class Account(Noun):
    """Whose jobs they are.

    Attributes:
        format: Version of the layout.
        provider: Name of the provider.
        identity: The account (see `Provider.identity`).
    """

    format: int = FORMAT
    provider: str
    identity: str


class Written(Noun):
    """A file that was written.

    Attributes:
        name: Its name, in the folder of the noun that names it.
        size: Size in bytes.
        sha256: Hash of its bytes, in hex.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*(\.jsonl)?$")]
    size: NonNegativeInt
    sha256: str


class Missing(Noun):
    """Something that could not be read. `str(missing)` is one line.

    Attributes:
        what: What it is.
        id: Id of the file; else of the job.
        reason: Why it could not be read.
        later: Whether it may be read later: the provider was away, say. What it does not have, or no longer, may not.
    """

    what: Literal["job", "events", "checkpoints", "results", "file"]
    id: str
    reason: str
    later: bool

    def __str__(self) -> str:
        name = f"{self.what} {self.id}" if self.what in {"job", "file"} else f"{self.what} of {self.id}"
        return f"{name}: {self.reason}"


class KeptJob(Noun):
    """A job in an archive.

    Attributes:
        format: Version of the layout.
        exported_at: When it was read.
        job: The job, as it was then.
        tables: What lies beside it: events, checkpoints, results.
        missing: What could not be read when that was last tried.
    """

    format: int = FORMAT
    exported_at: UtcDatetime
    job: FineTuningJob
    tables: Mapping[Table, Written] = Field(default_factory=dict[Table, Written])
    missing: tuple[Missing, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether the job had ended when it was read, all that the provider tells of it: it will never be another."""
        return self.job.status.is_terminal and not any(each.what == "job" for each in self.missing)


class KeptFile(Noun):
    """A file in an archive.

    Attributes:
        format: Version of the layout.
        exported_at: When it was read.
        file: What the provider told of it.
        content: Its content; None if that could not be read.
    """

    format: int = FORMAT
    exported_at: UtcDatetime
    file: TrainingFile
    content: Written | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its content is there, and as long as the provider told."""
        return self.content is not None and self.file.size in {None, self.content.size}


class Exported(Noun):
    """What an export has done in one account. `str(exported)` tells it, a line for each sort of thing that is missing.

    Attributes:
        provider: Name of the provider.
        identity: The account.
        folder: The account's folder in the archive.
        jobs: Ids of the jobs that were read.
        skipped: Ids of the jobs that had ended, and were there already.
        files: Ids of the files that were fetched.
        bytes: Their size in all.
        missing: What could not be read, of all jobs that were to be exported.
        going: Ids of the jobs that had not ended: there will be more to save of them.
    """

    provider: str
    identity: str
    folder: str
    jobs: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    bytes: NonNegativeInt = 0
    missing: tuple[Missing, ...] = ()
    going: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether all is there that the provider has: every job that was asked for, and nothing to be read later."""
        return not self.going and not any(each.later or each.what == "job" for each in self.missing)

    def __str__(self) -> str:
        there = f" ({len(self.skipped):,} there already)" if self.skipped else ""
        files = f"{counted(len(self.files), 'file')} fetched ({counted(self.bytes, 'byte')})"
        head = f"{self.folder}: {counted(len(self.jobs) + len(self.skipped), 'job')}{there}, {files}"
        later = [each for each in self.missing if each.later or each.what == "job"]
        never = [each for each in self.missing if each not in later]
        lines = [*_told(later, "not read"), *_told(never, "not there to be read")]
        lines += [f"not ended: {', '.join(self.going)}; export again after that"] if self.going else []
        again = ["The same command again tries what was not read."] if any(each.later for each in later) else []
        return "\n  ".join([head, *lines, *again])


def _told(missing: list[Missing], how: str) -> list[str]:
    """Returns a line for each thing, or one for all of a sort that are missing for the same reason."""
    alike = Counter((each.what, each.reason) for each in missing)
    lines = [f"{how}: {each}" for each in missing if alike[each.what, each.reason] == 1]
    for (what, reason), count in alike.items():
        if count > 1:
            name = counted(count, what) if what in {"job", "file"} else f"{what} of {counted(count, 'job')}"
            lines.append(f"{how}: {name}: {reason}")
    more = len(lines) - _MOST_TOLD
    return [*lines[:_MOST_TOLD], *([f"{how}: {more:,} more, which `missing` names"] if more > 0 else [])]


def folder_name(thing_id: str) -> str:
    """Returns the name of a thing's folder.

    An id is the vendor's, and may hold anything; two may differ in nothing but capital letters, which some disks do not
    tell apart. So the hash is what counts, and the letters before it are for people. The id itself is in the JSON.
    """
    return f"{_slug(thing_id)}-{_hash(thing_id)[:16]}"


def account_name(provider: str, identity: str) -> str:
    """Returns the name of an account's folder."""
    return f"{_slug(provider)}-{_hash(identity)[:8]}"


def _slug(text: str) -> str:
    return _NO_LETTER.sub("-", text[:_LONGEST]).strip("-").lower() or "id"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
