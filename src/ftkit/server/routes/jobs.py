"""Fine-tuning jobs, with their events and checkpoints."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from ftkit.server import wire
from ftkit.server.errors import ApiError
from ftkit.server.routes._common import Cursor, StrictRoute, made, reply
from ftkit.server.store import Filter, Slice

if TYPE_CHECKING:
    from ftkit.server.dialects import OpenAI
    from ftkit.server.office import Office
    from ftkit.server.records import JobRecord

_MOST = 100
_LOOK_S = 0.05
_END_WAIT_S = 5.0
"""How long a request to cancel is held back for the end of the job: most clients expect it to be cancelled then."""
_MOST_LABELS = 16
_LABEL = re.compile(r"metadata\[(.*)\]", re.DOTALL)

Limit = Annotated[int, Query(ge=1, le=_MOST)]
RepeatKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


def router(office: Office, dialect: OpenAI) -> APIRouter:
    """Returns the paths of jobs."""
    paths = APIRouter(tags=["fine-tuning"], route_class=StrictRoute)

    @paths.post("/fine_tuning/jobs", response_model=wire.Job, status_code=dialect.created)
    def create_job(request: Request, body: wire.CreateJob, repeat_key: RepeatKey = None) -> Response:
        """Accepts a job. The same Idempotency-Key is the same job; without one, each request is a new job."""
        job = office.jobs.create(body, repeat_key)
        office.foreman.nudge(job.id)
        return made(request, dialect, dialect.job(job))

    @paths.get("/fine_tuning/jobs", response_model=wire.List[wire.Job])
    def list_jobs(request: Request, after: Cursor = None, limit: Limit = 20) -> Response:
        """Lists jobs, newest first; `metadata[key]=value` picks some, `metadata=null` those without."""
        jobs, more = office.jobs.page(Slice(limit, after), _labels(request))
        return reply(dialect.page([dialect.job(job) for job in jobs], more=more))

    @paths.get("/fine_tuning/jobs/{fine_tuning_job_id}", response_model=wire.Job)
    def retrieve_job(fine_tuning_job_id: str) -> Response:
        """Tells how a job is."""
        return reply(dialect.job(office.jobs.get(fine_tuning_job_id)))

    @paths.post("/fine_tuning/jobs/{fine_tuning_job_id}/cancel", response_model=wire.Job)
    async def cancel_job(fine_tuning_job_id: str) -> Response:
        """Asks for the end of a job."""
        return reply(dialect.job(await _cancelled(office, fine_tuning_job_id)))

    @paths.post("/fine_tuning/jobs/{fine_tuning_job_id}/pause", response_model=wire.Job)
    def pause_job(fine_tuning_job_id: str) -> Response:
        """Asks a job to stand still."""
        return _asked(office.jobs.pause(fine_tuning_job_id))

    @paths.post("/fine_tuning/jobs/{fine_tuning_job_id}/resume", response_model=wire.Job)
    def resume_job(fine_tuning_job_id: str) -> Response:
        """Lets a paused job go on."""
        return _asked(office.jobs.resume(fine_tuning_job_id))

    def _asked(job: JobRecord) -> Response:
        office.foreman.nudge(job.id)
        return reply(dialect.job(job))

    @paths.get("/fine_tuning/jobs/{fine_tuning_job_id}/events", response_model=wire.List[wire.Event])
    def list_events(fine_tuning_job_id: str, after: Cursor = None, limit: Limit = 20) -> Response:
        """Lists the events of a job, newest first."""
        events, more = office.jobs.events(fine_tuning_job_id, Slice(limit, after))
        return reply(dialect.page([dialect.event(event) for event in events], more=more))

    @paths.get("/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints", response_model=wire.List[wire.Checkpoint])
    def list_checkpoints(fine_tuning_job_id: str, after: Cursor = None, limit: Limit = 10) -> Response:
        """Lists the checkpoints of a job, newest first."""
        job = office.jobs.get(fine_tuning_job_id)
        items = [dialect.checkpoint(job, checkpoint) for checkpoint in office.jobs.checkpoints(job)]
        begin = _after(after, [item["id"] for item in items])
        page = items[begin : begin + limit]
        return reply(dialect.page(page, more=begin + limit < len(items)))

    return paths


async def _cancelled(office: Office, job_id: str) -> JobRecord:
    """Cancels a job, and returns it when it has ended, or when that takes too long."""
    job = await run_in_threadpool(office.jobs.cancel, job_id)
    office.foreman.nudge(job.id)
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_WAIT_S):
            while not job.word.is_terminal:
                await asyncio.sleep(_LOOK_S)  # and no thread waits: many may want to cancel what takes its time to end
                job = await run_in_threadpool(office.jobs.get, job_id)
    return job


def deleting(office: Office) -> APIRouter:
    """Returns the path that only Azure's dated form has."""
    paths = APIRouter(tags=["fine-tuning"], route_class=StrictRoute)

    @paths.delete("/fine_tuning/jobs/{fine_tuning_job_id}", status_code=204)
    def delete_job(fine_tuning_job_id: str) -> Response:
        """Forgets a job that has ended; its model stays."""
        office.jobs.delete(fine_tuning_job_id)
        return Response(status_code=204)

    return paths


def _labels(request: Request) -> Filter:
    """Reads the filter by metadata. OpenAI's clients write it as `metadata[key]=value`."""
    query = request.query_params
    labels = {match[1]: value for name, value in query.multi_items() if (match := _LABEL.fullmatch(name))}
    if len(labels) > _MOST_LABELS:
        message = f"A job has at most {_MOST_LABELS} pairs of metadata."
        raise ApiError(message, param="metadata", code="invalid_value")
    return Filter(labels=labels or None, unlabelled=query.get("metadata") == "null")


def _after(cursor: str | None, ids: list[str]) -> int:
    if cursor is None:
        return 0
    if cursor not in ids:
        raise ApiError(f"No such checkpoint: {cursor}", param="after", code="invalid_value")
    return ids.index(cursor) + 1
