"""Uploads: files that come in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from ftkit.server import wire
from ftkit.server.routes._common import BYTES, StrictRoute, file_in, form_with, plain_name, read_form, reply

if TYPE_CHECKING:
    from ftkit.server.dialects import OpenAI
    from ftkit.server.office import Office

_FORM = form_with(data=BYTES)


def router(office: Office, dialect: OpenAI) -> APIRouter:
    """Returns the paths of uploads."""
    paths = APIRouter(tags=["uploads"], route_class=StrictRoute)

    @paths.post("/uploads", response_model=wire.Upload)
    def create_upload(body: wire.CreateUpload) -> Response:
        """Begins an upload."""
        seconds = body.expires_after.seconds if body.expires_after else None
        upload = office.uploads.begin(plain_name(body.filename), body.purpose, body.bytes, seconds)
        return reply(dialect.upload(upload))

    @paths.post("/uploads/{upload_id}/parts", response_model=wire.Part, openapi_extra=_FORM)
    async def add_part(upload_id: str, request: Request) -> Response:
        """Takes a part."""
        form = await read_form(request)
        try:
            data = file_in(form, "data")
            part = await run_in_threadpool(office.uploads.add_part, upload_id, data.file, data.size or 0)
        finally:
            await form.close()
        return reply(dialect.part(part))

    @paths.post("/uploads/{upload_id}/complete", response_model=wire.Upload)
    def complete_upload(upload_id: str, body: wire.CompleteUpload) -> Response:
        """Puts the parts together."""
        return reply(dialect.upload(*office.uploads.complete(upload_id, body.part_ids, body.md5)))

    @paths.post("/uploads/{upload_id}/cancel", response_model=wire.Upload)
    def cancel_upload(upload_id: str) -> Response:
        """Ends an upload that is not complete."""
        return reply(dialect.upload(office.uploads.cancel(upload_id)))

    return paths
