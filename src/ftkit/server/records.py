"""What the server keeps: its own nouns, as they lie in its database. `dialects` writes them in a vendor's words."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from ftkit.methods import AnyMethod
from ftkit.models import EventLevel, FineTuningJob, Metrics, Noun, TrainingFile

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 24
_SHORT = 8

JOB_PREFIX = "ftjob-"


def new_id(prefix: str) -> str:
    """Returns an id that nobody can guess: 24 letters and digits by chance, 143 bits."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def short_id(job_id: str) -> str:
    """Returns the part of a job's id that stands in the name of its model."""
    return job_id.removeprefix(JOB_PREFIX)[:_SHORT]


def now() -> int:
    """Returns the time as the wire has it: seconds since 1970."""
    return int(time.time())


class Record(Noun):
    """One row of the store.

    Attributes:
        id: Its id, unique among the records of its kind.
    """

    kind: ClassVar[str]

    id: str

    @property
    def under(self) -> str:
        """What it is listed under, such as the job of an event."""
        return ""


class FileRecord(Record):
    """A file. Its bytes lie in the folder of files, under its id.

    Attributes:
        filename: The name that it was sent under; never the name of anything on our disk.
        purpose: What it is for: "fine-tune", "fine-tune-results", ...
        size: Bytes.
        created_at: When it was whole, in seconds since 1970.
        expires_at: When it is due to be deleted.
    """

    kind: ClassVar[str] = "file"

    filename: str
    purpose: str
    size: int
    created_at: int
    expires_at: int | None = None

    @property
    def under(self) -> str:
        """Files are listed by purpose."""
        return self.purpose


class UploadWord(StrEnum):
    """Where an upload in parts stands."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class UploadRecord(Record):
    """A file that comes in parts.

    Attributes:
        filename: The name that the file will have.
        purpose: What the file is for.
        size: Bytes that were announced.
        created_at: When it was begun.
        expires_at: When it must be complete.
        word: Where it stands.
        file_id: The file that it became.
        file_seconds: After how many seconds that file is due to be deleted.
    """

    kind: ClassVar[str] = "upload"

    filename: str
    purpose: str
    size: int
    created_at: int
    expires_at: int
    word: UploadWord = UploadWord.PENDING
    file_id: str | None = None
    file_seconds: int | None = None

    @property
    def under(self) -> str:
        """Uploads are listed by where they stand: those that are pending are looked after."""
        return self.word.value


class PartRecord(Record):
    """One part of an upload.

    Attributes:
        upload_id: The upload.
        size: Bytes.
        created_at: When it was whole.
    """

    kind: ClassVar[str] = "part"

    upload_id: str
    size: int
    created_at: int

    @property
    def under(self) -> str:
        """Parts are listed by upload."""
        return self.upload_id


class JobWord(StrEnum):
    """Where a job stands, in OpenAI's words; pausing, paused and resuming are seen on its wire, not in its types."""

    VALIDATING = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended for good."""
        return self in {JobWord.SUCCEEDED, JobWord.FAILED, JobWord.CANCELLED}


class Wish(StrEnum):
    """What a user has asked of a job, and the foreman has not done yet. It is on disk before the user is answered."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


class JobError(Noun):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None


class JobRecord(Record):
    """A fine-tuning job: what was asked for, and what has come of it.

    Attributes:
        created_at: When it was accepted.
        model: The base model, as the user named it.
        base: The provider's model that stands for it.
        method: The method and its hyperparameters.
        training_file: Id of our file.
        validation_file: Id of our file to validate on.
        suffix: A word for the name of the tuned model.
        seed: Seed of all randomness.
        metadata: The user's labels.
        training_type: What Azure's clients ask for, and are told again.
        word: Where it stands.
        wish: What was asked of it and is yet to be done.
        training: The provider's file that the training file became.
        validation: Likewise.
        handed: It was, or may have been, given to the provider.
        job: The provider's job, as it was last seen.
        seen_event: The last of the provider's events that we have.
        finished_at: When it ended.
        error: Why it failed.
        result_file: Id of our file with its metrics.
        model_deleted: Its tuned model was deleted.
        hidden: It was deleted, as Azure lets one do; its model stays.
    """

    kind: ClassVar[str] = "job"

    created_at: int
    model: str
    base: str
    method: AnyMethod
    training_file: str
    validation_file: str | None = None
    suffix: str | None = None
    seed: int
    metadata: Mapping[str, str] | None = None
    training_type: str | int | None = None
    word: JobWord = JobWord.VALIDATING
    wish: Wish | None = None
    training: TrainingFile | None = None
    validation: TrainingFile | None = None
    handed: bool = False
    job: FineTuningJob | None = None
    seen_event: str | None = None
    finished_at: int | None = None
    error: JobError | None = None
    result_file: str | None = None
    model_deleted: bool = False
    hidden: bool = False

    @property
    def is_at_work(self) -> bool:
        """Whether it takes one of the slots."""
        idle = self.word is JobWord.PAUSED or self.waits_for_a_slot or self.word.is_terminal
        return self.handed and not idle

    @property
    def waits_for_a_slot(self) -> bool:
        """Whether the next thing to do is to set it to work."""
        return self.wish is Wish.RESUME or (self.word is JobWord.QUEUED and not self.handed)

    def copies(self) -> list[tuple[str, str]]:
        """Returns our files that the provider has copies of, each with the id of its copy."""
        pairs = ((self.training_file, self.training), (self.validation_file, self.validation))
        return [(ours, copy.id) for ours, copy in pairs if ours is not None and copy is not None]

    def without(self, wish: Wish | None) -> JobRecord:
        """Returns it without a wish that was granted; one that was made since stays."""
        return self.model_copy(update={"wish": None}) if self.wish is wish else self

    @property
    def under(self) -> str:
        """Jobs are found by the short form of their id, which is part of the name of their model."""
        return short_id(self.id)


class EventRecord(Record):
    """Something that happened in a job.

    Attributes:
        job_id: The job.
        created_at: When.
        level: How loud.
        message: What.
        metrics: What was measured.
    """

    kind: ClassVar[str] = "event"

    job_id: str
    created_at: int
    level: EventLevel = EventLevel.INFO
    message: str
    metrics: Metrics | None = None

    @property
    def under(self) -> str:
        """Events are listed by job."""
        return self.job_id


def told(job_id: str, message: str, level: EventLevel = EventLevel.INFO) -> EventRecord:
    """Makes an event of our own, which happens now."""
    return EventRecord(id=new_id("ftevent-"), job_id=job_id, created_at=now(), level=level, message=message)


class RepeatRecord(Record):
    """What came of a request with an Idempotency-Key; the id is a hash of that key.

    Attributes:
        digest: Hash of the request, so that another one under the same key is refused.
        job_id: The job that it became.
    """

    kind: ClassVar[str] = "repeat"

    digest: str
    job_id: str


class DeploymentWord(StrEnum):
    """Where a deployment stands, in ARM's words."""

    CREATING = "Creating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DELETING = "Deleting"


class DeploymentRecord(Record):
    """A deployment that was asked for by name, as Azure's control plane has them; the id is its name.

    Attributes:
        created_at: When it was asked for.
        model: Name of the model, as the user gave it.
        version: The version that the user gave with it.
        format: The format that the user gave with it.
        sku: Name of the SKU, told again.
        capacity: Capacity, told again.
        word: Where it stands.
        error: Why it failed.
        stamp: Changes with every write; what ARM calls an etag.
        tags: The user's labels.
    """

    kind: ClassVar[str] = "deployment"

    created_at: int
    model: str
    version: str | None = None
    format: str = "OpenAI"
    sku: str = "Standard"
    capacity: int | None = None
    word: DeploymentWord = DeploymentWord.CREATING
    error: str | None = None
    stamp: str
    tags: Mapping[str, str] | None = None


class ServedRecord(Record):
    """A deployment that we made because somebody asked its model something; the id is its name.

    Attributes:
        target: The model's name on our wire.
    """

    kind: ClassVar[str] = "served"

    target: str


class KeyRecord(Record):
    """A bearer key; the id is the name that it was given.

    Attributes:
        digest: SHA-256 of the key. It is 256 bits of chance: there is nothing to guess, and no salt is needed.
        created_at: When it was made.
    """

    kind: ClassVar[str] = "key"

    digest: str
    created_at: int

    @property
    def under(self) -> str:
        """Keys are found by their digest."""
        return self.digest


class InstallationRecord(Record):
    """Who this server is; there is one.

    Attributes:
        since: When it was first started.
    """

    kind: ClassVar[str] = "installation"

    since: int
