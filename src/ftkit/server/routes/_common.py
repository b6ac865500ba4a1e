"""What the routes share: reading bodies and lists with care, and writing answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json, to_json

from ftkit.server.errors import BAD_REQUEST, ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from starlette.datastructures import FormData, UploadFile

    from ftkit.server.dialects import OpenAI

BYTES: Mapping[str, Any] = {"type": "string", "format": "binary"}
"""A file, as a field of a form."""

_CREATED = 201
_NAME_LENGTH = 255
_SMALL_FIELDS = 16
_SMALL_BYTES = 8 * 1024
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")

Cursor = Annotated[str | None, Query(max_length=200)]
"""`after` of a list: the id of the last item of the page before."""


class _StrictRequest(Request):
    """Reads JSON as it is written down in RFC 8259: no NaN, no half of a surrogate pair, no endless nesting."""

    async def json(self) -> Any:  # noqa: ANN401 - whatever is in it
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            # FastAPI lets only its own kind through; of any other, nobody would be told what is wrong.
            raise HTTPException(BAD_REQUEST, f"The body is not valid JSON: {error}") from error


class StrictRoute(APIRoute):
    """A route whose bodies are read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Returns the handler, behind a strict reader."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


def reply(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answers with JSON."""
    return Response(to_json(body, inf_nan_mode="null"), status, dict(headers or {}), media_type="application/json")


def made(request: Request, dialect: OpenAI, body: Mapping[str, Any]) -> Response:
    """Answers with what was just made; where the dialect says 201, with its address."""
    place = f"{str(request.url).partition('?')[0].rstrip('/')}/{body['id']}"
    return reply(body, dialect.created, {"Location": place} if dialect.created == _CREATED else None)


def form_with(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """Describes a multipart form, all of whose fields are required, for the OpenAPI document."""
    schema = {"type": "object", "required": [*fields], "properties": fields}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


async def read_form(request: Request) -> FormData:
    """Reads a multipart form with one file at most; the file lies on disk when it is large.

    Raises:
        ApiError: It is no such form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ApiError("The body must be multipart/form-data.", code="invalid_content_type")
    try:
        return await request.form(max_files=1, max_fields=_SMALL_FIELDS, max_part_size=_SMALL_BYTES)
    except UnicodeError as error:
        raise ApiError("The form is no text in the charset that it names.", code="invalid_charset") from error


def file_in(form: FormData, field: str) -> UploadFile:
    """Returns the file of a form.

    Raises:
        ApiError: There is none.
    """
    from starlette.datastructures import UploadFile

    found = form.get(field)
    if not isinstance(found, UploadFile):
        raise ApiError(f"'{field}' is required, and must be a file.", param=field, code="missing_required_parameter")
    return found


def text_in(form: FormData, field: str) -> str | None:
    """Returns a field of a form that is text.

    Raises:
        ApiError: It is a file.
    """
    found = form.get(field)
    if found is not None and not isinstance(found, str):
        raise ApiError(f"'{field}' must be text.", param=field, code="invalid_type")
    return found


def plain_name(name: str | None) -> str:
    """Returns the last part of a file's name, without what is no text. It is shown, and never opened.

    Raises:
        ApiError: Nothing is left.
    """
    plain = _CONTROLS.sub("", re.split(r"[\\/]", name or "")[-1]).encode(errors="ignore").decode()[:_NAME_LENGTH]
    if plain in {"", ".", ".."}:
        raise ApiError("The file needs a name.", param="file", code="invalid_value")
    return plain
