"""The remote side of `MemoryProvider`: a vendor that lives in this process, trains nothing and answers with echoes.

It has its own words and its own exceptions, as a real vendor has, and knows nothing of ftkit. The second half of
`MemoryVendor` are levers for tests: what happens "out there" while a program looks on.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENDED = frozenset({"succeeded", "failed", "cancelled"})
"""The vendor's words for states that are final."""

T = TypeVar("T", "VendorFile", "VendorJob", "VendorEvent")
V = TypeVar("V")


class VendorError(Exception):
    """The vendor's own exception.

    Attributes:
        status: Like an HTTP status; None where no reply came.
        message: What the vendor says.
        request_id: The vendor's id of the request.
    """

    def __init__(self, status: int | None, message: str, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.request_id = request_id or (f"req-{uuid.uuid4().hex[:12]}" if status is not None else None)


@dataclass(frozen=True, slots=True)
class VendorFile:
    """A file at the vendor's."""

    id: str
    filename: str
    content: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class VendorOrder:
    """What a job was ordered with. There is no room for a label in it: this vendor keeps none."""

    model: str
    training_file: str
    validation_file: str | None = None
    method: Mapping[str, Any] = field(default_factory=dict[str, Any])
    suffix: str | None = None
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class VendorJob:
    """A job at the vendor's, as it is at one moment."""

    id: str
    order: VendorOrder
    created_at: datetime
    status: str = "pending"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    tuned_model: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class VendorEvent:
    """Something that happened in a job."""

    id: str
    created_at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class VendorCheckpoint:
    """A state of a model that was kept on the way."""

    id: str
    step: int
    model: str


@dataclass(frozen=True, slots=True)
class VendorDeployment:
    """A model that is being served."""

    name: str
    model: str
    created_at: datetime
    status: str = "running"


class MemoryVendor:
    """A vendor in memory. Safe to share between threads.

    Args:
        list_lag_s: Seconds after its creation in which a job is missing from lists; reading it by its id works.
        finish_after: A job succeeds at the so-manieth look at it (by id or in a list), and runs until then. None:
            jobs move only when `advance` or `fail` moves them.
        account: Name of the account; a new one if None, since nothing here outlives the process.
        api_key: The key that each request must carry; None if it takes any.

    Attributes:
        calls: How often each request was made, by name: `vendor.calls["create_job"]`.
    """

    def __init__(
        self,
        *,
        list_lag_s: float = 0.0,
        finish_after: int | None = 3,
        account: str | None = None,
        api_key: str | None = None,
    ) -> None:
        self.list_lag_s = list_lag_s
        self.account = account if account is not None else f"acct-{uuid.uuid4().hex[:12]}"
        self.calls: Counter[str] = Counter()
        self._finish_after = finish_after
        self._api_key = None if api_key is None else SecretStr(api_key)
        self._lock = threading.RLock()
        self._files: dict[str, VendorFile] = {}
        self._jobs: dict[str, VendorJob] = {}
        self._born: dict[str, float] = {}
        self._looks: Counter[str] = Counter()
        self._moved_by_hand: set[str] = set()
        self._events: dict[str, list[VendorEvent]] = {}
        self._deployments: dict[str, VendorDeployment] = {}
        self._lose_replies = 0
        self._lose_requests = 0
        self._refusals: list[VendorError] = []

    def __repr__(self) -> str:
        return f"MemoryVendor(account={self.account!r}, jobs={len(self._jobs)})"

    def authorize(self, api_key: SecretStr | None) -> None:
        """Refuses a request that does not carry the account's key."""
        if self._api_key is not None and api_key != self._api_key:
            raise VendorError(401, "the key is wrong")

    # -- files ---------------------------------------------------------------------------------------------------

    def create_file(self, filename: str, content: bytes) -> VendorFile:
        """Takes a file."""
        with self._request("create_file"):
            file = VendorFile(f"file-{uuid.uuid4().hex[:12]}", filename, content, datetime.now(UTC))
            self._files[file.id] = file
            return file

    def get_file(self, file_id: str) -> VendorFile:
        """Shows a file."""
        with self._request("get_file"):
            return self._known(self._files, file_id, "file")

    def list_files(self, after: str | None, limit: int) -> tuple[list[VendorFile], bool]:
        """Lists files, newest first, and whether there are more."""
        with self._request("list_files"):
            return _page(list(reversed(self._files.values())), after, limit)

    def delete_file(self, file_id: str) -> None:
        """Lets go of a file."""
        with self._request("delete_file"):
            del self._files[self._known(self._files, file_id, "file").id]

    # -- jobs ----------------------------------------------------------------------------------------------------

    def create_job(self, order: VendorOrder) -> VendorJob:
        """Takes an order. Every one is a new job: this vendor does not know what it was sent twice."""
        with self._request("create_job"):
            if self._lose_requests > 0:
                self._lose_requests -= 1
                raise VendorError(None, "the connection was reset")
            for file_id in (order.training_file, order.validation_file):
                if file_id is not None:
                    self._known(self._files, file_id, "file")
            job = VendorJob(f"job-{uuid.uuid4().hex[:12]}", order, datetime.now(UTC))
            self._jobs[job.id] = job
            self._born[job.id] = time.monotonic()
            self._tell(job.id, "the job was created")
            if self._lose_replies > 0:
                self._lose_replies -= 1
                raise VendorError(None, "the connection was reset")
            return job

    def get_job(self, job_id: str) -> VendorJob:
        """Shows a job."""
        with self._request("get_job"):
            return self._look_at(self._known(self._jobs, job_id, "job"))

    def list_jobs(self, after: str | None, limit: int) -> tuple[list[VendorJob], bool]:
        """Lists jobs, newest first, and whether there are more. What was made just now may be missing."""
        with self._request("list_jobs"):
            now = time.monotonic()
            shown = [job for job in self._jobs.values() if now - self._born[job.id] >= self.list_lag_s]
            jobs, more = _page(list(reversed(shown)), after, limit)
            return [self._look_at(job) for job in jobs], more

    def cancel_job(self, job_id: str) -> VendorJob:
        """Ends a job; one that has ended already is refused."""
        with self._request("cancel_job"):
            job = self._known(self._jobs, job_id, "job")
            if job.status in ENDED:
                raise VendorError(409, f"the job {job_id} has ended")
            return self._move(job, "cancelled")

    def list_events(self, job_id: str, after: str | None, limit: int) -> tuple[list[VendorEvent], bool]:
        """Lists what happened in a job, oldest first, and whether there is more."""
        with self._request("list_events"):
            return _page(self._known(self._events, job_id, "job"), after, limit)

    def list_checkpoints(self, job_id: str) -> list[VendorCheckpoint]:
        """Lists the two checkpoints of a job that has succeeded, the older one first."""
        with self._request("list_checkpoints"):
            model = self._known(self._jobs, job_id, "job").tuned_model
            steps = (10, 20) if model else ()
            return [VendorCheckpoint(f"{job_id}-step-{step}", step, f"{model}:step-{step}") for step in steps]

    # -- serving -------------------------------------------------------------------------------------------------

    def create_deployment(self, name: str, model: str) -> VendorDeployment:
        """Serves a model under a name; a name that is taken is refused."""
        with self._request("create_deployment"):
            if name in self._deployments:
                raise VendorError(409, f"there is a deployment '{name}'")
            self._deployments[name] = VendorDeployment(name, model, datetime.now(UTC))
            return self._deployments[name]

    def get_deployment(self, name: str) -> VendorDeployment:
        """Shows a deployment."""
        with self._request("get_deployment"):
            return self._known(self._deployments, name, "deployment")

    def list_deployments(self) -> list[VendorDeployment]:
        """Lists all deployments."""
        with self._request("list_deployments"):
            return list(self._deployments.values())

    def delete_deployment(self, name: str) -> None:
        """Ends a deployment."""
        with self._request("delete_deployment"):
            del self._deployments[self._known(self._deployments, name, "deployment").name]

    def chat(self, name: str, text: str) -> str:
        """Answers with an echo that says that it is one."""
        with self._request("chat"):
            model = self._known(self._deployments, name, "deployment").model
            return f"[{model}: nothing was trained, this is an echo] {text}"

    # -- levers for tests ----------------------------------------------------------------------------------------

    def advance(self, job_id: str, status_word: str) -> None:
        """Puts a job into a state, any word at all; from then on it moves only by hand."""
        with self._lock:
            self._moved_by_hand.add(job_id)
            self._move(self._known(self._jobs, job_id, "job"), status_word)

    def fail(self, job_id: str, message: str = "the training diverged") -> None:
        """Lets a job fail."""
        with self._lock:
            self.advance(job_id, "failed")
            self._jobs[job_id] = replace(self._jobs[job_id], error=message)

    def lose_replies(self, n: int) -> None:
        """Lets the next n orders be taken, and their replies get lost on the way."""
        with self._lock:
            self._lose_replies = n

    def lose_requests(self, n: int) -> None:
        """Lets the next n orders get lost on the way; from outside that looks the same."""
        with self._lock:
            self._lose_requests = n

    def set_deployment(self, name: str, status_word: str) -> None:
        """Puts a deployment into a state, any word at all."""
        with self._lock:
            self._deployments[name] = replace(self._known(self._deployments, name, "deployment"), status=status_word)

    def refuse(self, status: int | None, message: str, request_id: str | None = None) -> None:
        """Lets the next request, of whatever kind, be refused before anything is done; None: the line is cut."""
        with self._lock:
            self._refusals.append(VendorError(status, message, request_id))

    def add_event(self, job_id: str, message: str) -> None:
        """Lets something happen in a job."""
        with self._lock:
            self._tell(self._known(self._jobs, job_id, "job").id, message)

    @property
    def jobs(self) -> dict[str, VendorJob]:
        """All jobs by id, oldest first, whatever the lists show. Looking at them moves nothing."""
        with self._lock:
            return dict(self._jobs)

    # -- inside --------------------------------------------------------------------------------------------------

    def _request(self, verb: str) -> threading.RLock:
        with self._lock:
            self.calls[verb] += 1
            if self._refusals:
                raise self._refusals.pop(0)
        return self._lock

    def _look_at(self, job: VendorJob) -> VendorJob:
        self._looks[job.id] += 1
        if self._finish_after is None or job.id in self._moved_by_hand or job.status in ENDED:
            return job
        word = "succeeded" if self._looks[job.id] >= self._finish_after else "running"
        return job if job.status == word else self._move(job, word)

    def _move(self, job: VendorJob, word: str) -> VendorJob:
        now = datetime.now(UTC)
        begun = word in {"running", "succeeded"}
        self._jobs[job.id] = replace(
            job,
            status=word,
            started_at=job.started_at or (now if begun else None),
            finished_at=now if word in ENDED else None,
            tuned_model=f"{job.order.model}:{job.order.suffix or 'tuned'}:{job.id}" if word == "succeeded" else None,
        )
        self._tell(job.id, f"the job is {word}")
        return self._jobs[job.id]

    def _tell(self, job_id: str, message: str) -> None:
        events = self._events.setdefault(job_id, [])
        events.append(VendorEvent(f"event-{len(events)}", datetime.now(UTC), message))

    @staticmethod
    def _known(table: Mapping[str, V], key: str, noun: str) -> V:
        if key not in table:
            raise VendorError(404, f"there is no {noun} {key[:100]!r}")
        return table[key]


def _page(items: Sequence[T], after: str | None, limit: int) -> tuple[list[T], bool]:
    """Cuts a page out of a list: what follows the item of the id `after`."""
    if limit < 1:
        raise VendorError(400, "limit must be 1 or more")
    start = 0
    if after is not None:
        ids = [item.id for item in items]
        if after not in ids:
            raise VendorError(404, f"there is nothing {after[:100]!r} to list after")
        start = ids.index(after) + 1
    return list(items[start : start + limit]), start + limit < len(items)
