"""Files: what is trained on, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import TypeAdapter, ValidationError

from ftkit.server import wire
from ftkit.server.errors import ApiError
from ftkit.server.routes._common import (
    BYTES,
    Cursor,
    StrictRoute,
    file_in,
    form_with,
    made,
    plain_name,
    read_form,
    reply,
    text_in,
)
from ftkit.server.store import Slice

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from ftkit.server.dialects import OpenAI
    from ftkit.server.office import Office

_MOST = 10_000
_PURPOSE = TypeAdapter[str](wire.Purpose)
_FORM = form_with(
    file=BYTES,
    purpose={"type": "string", "enum": list(wire.Purpose.__args__)},  # type: ignore[attr-defined]
)


def router(office: Office, dialect: OpenAI) -> APIRouter:
    """Returns the paths of files."""
    paths = APIRouter(tags=["files"], route_class=StrictRoute)

    @paths.post("/files", response_model=wire.File, openapi_extra=_FORM, status_code=dialect.created)
    async def create_file(request: Request) -> Response:
        """Takes a file."""
        form = await read_form(request)
        try:
            purpose, seconds = _purpose(form), _seconds(form)
            sent = file_in(form, "file")
            name = plain_name(sent.filename)
            file = await run_in_threadpool(office.files.add, sent.file, name, purpose, seconds)
        finally:
            await form.close()
        return made(request, dialect, dialect.file(file, just_came=True))

    @paths.get("/files", response_model=wire.List[wire.File])
    def list_files(
        after: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = _MOST,
        order: Literal["asc", "desc"] = "desc",
        purpose: Annotated[str | None, Query(max_length=100)] = None,
    ) -> Response:
        """Lists files, newest first if not asked otherwise."""
        files, more = office.files.page(Slice(limit, after, newest_first=order == "desc"), purpose)
        return reply(dialect.page([dialect.file(file) for file in files], more=more))

    @paths.get("/files/{file_id}", response_model=wire.File)
    def retrieve_file(file_id: str) -> Response:
        """Tells what is known of a file."""
        return reply(dialect.file(office.files.get(file_id)))

    @paths.get("/files/{file_id}/content", response_class=FileResponse)
    def retrieve_content(file_id: str) -> Response:
        """Gives a file back."""
        file = office.files.get(file_id)
        return FileResponse(office.files.path(file.id), media_type="application/octet-stream")

    @paths.delete("/files/{file_id}", response_model=wire.Deleted)
    def delete_file(file_id: str) -> Response:
        """Deletes a file."""
        office.files.delete(file_id)
        office.jobs.forget_file(file_id)
        return reply(wire.Deleted(id=file_id, object="file").model_dump())

    return paths


def _purpose(form: FormData) -> str:
    given = text_in(form, "purpose")
    try:
        return _PURPOSE.validate_python(given)
    except ValidationError as error:
        known = ", ".join(repr(word) for word in wire.Purpose.__args__)  # type: ignore[attr-defined]
        message = f"'{given}' is not one of {known} - 'purpose'" if given else "'purpose' is required."
        raise ApiError(message, param="purpose", code="invalid_value") from error


def _seconds(form: FormData) -> int | None:
    """Reads `expires_after`: its two fields come with brackets (OpenAI) or with dots (Azure)."""
    fields = {name: text_in(form, f"expires_after[{name}]") or text_in(form, f"expires_after.{name}") for name in _AGE}
    if not any(fields.values()):
        return None
    try:
        return wire.ExpiresAfter.model_validate_strings(fields).seconds
    except ValidationError as error:
        raise ApiError(
            f"expires_after: {error.errors()[0]['msg']}", param="expires_after", code="invalid_value"
        ) from error


_AGE = ("anchor", "seconds")
