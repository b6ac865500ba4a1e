"""Jobs, which really run: each in a process that has nothing but what was posted with it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hubs.hardware import HARDWARE
from hubs.job import CANCELED, TERMINAL, Job
from hubs.repos import OURS
from hubs.runner import Runner
from hubs.wire import TOKEN, Answer, BrokenOffError, RefusedError, error, ok

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

POSTED = {"command", "arguments", "environment", "secrets", "flavor", "timeoutSeconds", "labels"}
"""What may be posted, and one of dockerImage and spaceId."""
LABEL = re.compile(r"[A-Za-z0-9_-]{1,100}")
LISTED_BY = {"stage", "label", "cursor"}


class Jobs(Runner):
    """The routes of jobs.

    Attributes:
        posts: How many were posted: none is ever taken for another.
        keep_alive_s: After how long a log that is silent says that it is still there, in seconds. The Hub's is 30.
        breaking: For each time that logs are asked for, after how many lines the line is cut.
        closing: Likewise, after how many they end as if the job had.
        jobs_page_size: Jobs on a page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.posts = 0
        self.keep_alive_s = 30.0
        self.breaking: list[int] = []
        self.closing: list[int] = []
        self.jobs_page_size = 100

    def _routes(self) -> dict[str, Callable[..., Answer]]:
        one = "/api/jobs/([^/]+)/([^/]+)"
        return {
            **super()._routes(),
            "GET /api/jobs/hardware": self._hardware,
            "GET /api/jobs/([^/]+)": self._jobs,
            "POST /api/jobs/([^/]+)": self._job,
            f"GET {one}": self._job,
            f"GET {one}/logs": self._logs,
            f"POST {one}/cancel": self._cancel,
            f"PUT {one}/labels": self._label,
        }

    def _hardware(self) -> Answer:
        return ok(list(HARDWARE.values()))

    def _jobs(self, namespace: str) -> Answer:
        if namespace not in OURS:
            return forbidden(namespace)
        if not self._query.keys() <= LISTED_BY:
            self.strange.append(f"jobs listed by {sorted(self._query.keys() - LISTED_BY)}")
        stages = self._query.get("stage", [])
        labels = {tuple(label.partition("=")[::2]) for label in self._query.get("label", [])}
        found = [
            job.shown()
            for job in reversed(self.jobs.values())
            if job.namespace == namespace and (not stages or job.stage in stages) and labels <= {*job.labels.items()}
        ]
        return self._page(found, f"/api/jobs/{namespace}", self.jobs_page_size)

    def _job(self, namespace: str, job_id: str | None = None) -> Answer:
        """Answers what one job is like; or, without an id, takes a new one."""
        if job_id is not None:
            return ok(self._job_of(namespace, job_id).shown())
        self.posts += 1
        if namespace not in OURS:
            return forbidden(namespace)
        posted: dict[str, Any] = json.loads(self._body)
        problems = problems_of(posted)
        if problems:
            self.strange += [f"POST job: {problem}" for problem in problems]
            return error(400, "; ".join(problems))
        if TOKEN in json.dumps({name: value for name, value in posted.items() if name != "secrets"}):
            self.strange.append("POST job: the token stands where everybody can read it")
        job = Job(namespace, posted)
        shown = job.shown()  # before it begins to run
        self._begin(job)
        return ok(shown)

    def _cancel(self, namespace: str, job_id: str) -> Answer:
        job = self._job_of(namespace, job_id)
        if job.stage not in TERMINAL:
            job.move(CANCELED)
            self._changed.notify_all()
        return ok(job.shown())

    def _job_of(self, namespace: str, job_id: str) -> Job:
        if namespace not in OURS:
            raise RefusedError(forbidden(namespace))
        job = self.jobs.get(job_id)
        if job is None or job.namespace != namespace:
            raise RefusedError(error(404, "Job not found"))
        return job

    def _label(self, namespace: str, job_id: str) -> Answer:
        job, labels = self._job_of(namespace, job_id), json.loads(self._body)["labels"]
        problems = problems_of({**job.posted, "labels": labels})
        if problems:
            return error(400, "; ".join(problems))
        job.posted["labels"] = labels
        return ok(job.shown())

    # -- logs ----------------------------------------------------------------------------------------------------

    def _logs(self, namespace: str, job_id: str) -> Answer:
        job = self._job_of(namespace, job_id)
        tail = self._query.get("tail")
        begin = max(0, len(job.lines) - int(tail[0])) if tail else 0
        breaks = self.breaking.pop(0) if self.breaking else -1
        closes = self.closing.pop(0) if self.closing else -1
        return 200, self._follow(job, begin, breaks, closes), {"content-type": "text/event-stream"}

    def _follow(self, job: Job, at: int, breaks: int, closes: int) -> Generator[bytes]:
        """Yields the lines of a job until it is over, each as an event."""
        told = 0
        while True:
            fresh, ends = self._fresh(job, at)
            at += len(fresh)
            for stamped, line in fresh:
                if told in {breaks, closes}:
                    break
                yield f"data: {json.dumps({'data': line, 'timestamp': stamped})}\n\n".encode()
                told += 1
            if told == breaks:
                raise BrokenOffError
            if ends or told == closes:
                return
            if not fresh:
                yield b": keep-alive\n\n"

    def _fresh(self, job: Job, at: int) -> tuple[list[tuple[str, str]], bool]:
        """Waits for more lines, and returns them, and whether there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: len(job.lines) > at or self._ends(job), self.keep_alive_s)
            return job.lines[at:], self._ends(job)

    def _ends(self, job: Job) -> bool:
        return job.is_over or not job.has_logs or self._has_stopped


def forbidden(namespace: str) -> Answer:
    return error(403, f"you have no rights to the jobs of {namespace}")


def problems_of(posted: dict[str, Any]) -> list[str]:
    """Returns what the Hub would refuse, and what it would not but this stand-in cannot do."""
    found = [f"{name} is not known here" for name in sorted(posted.keys() - POSTED - {"dockerImage", "spaceId"})]
    if ("dockerImage" in posted) == ("spaceId" in posted):
        found.append("one of dockerImage and spaceId is needed")
    if posted.get("flavor") not in HARDWARE:
        found.append(f"there is no flavor {posted.get('flavor')}")
    if not posted.get("command") or not are_texts(posted["command"]):
        found.append("command is no list of texts")
    maps = {name: posted.get(name, {}) for name in ("environment", "secrets")}
    found += [f"{name} holds what is no text" for name, values in maps.items() if not are_texts(values.values())]
    for name, value in posted.get("labels", {}).items():
        # A name alone may have dots.
        if not LABEL.fullmatch(name) or not LABEL.fullmatch(value.replace(".", "-") if name == "name" else value):
            found.append(f"the label {name}={value} has other characters than letters, digits, - and _, or over 100")
    return found


def are_texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
