"""The application: routes in every dialect, behind the guard, with errors in the words of whoever asked."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ftkit.errors import FtkitError
from ftkit.server.dialects import Azure, AzureV1, OpenAI, dialect_of
from ftkit.server.errors import NOT_FOUND, UNAVAILABLE, ApiError, api_error
from ftkit.server.faults import invalid
from ftkit.server.guard import HEALTH, Guard
from ftkit.server.records import InstallationRecord, now
from ftkit.server.routes import arm, chat, files, jobs, models, uploads
from ftkit.server.routes._common import reply
from ftkit.server.store import UnknownCursorError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from ftkit.server.office import Office


def create_app(office: Office) -> FastAPI:
    """Makes the application of a server. It starts the office, and stops it in the end.

    Args:
        office: What the server is made of.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        office.start()
        try:
            yield
        finally:
            office.stop()

    installation = _installation(office)
    app = FastAPI(
        title="ftkit serve",
        description="OpenAI's and Azure's fine-tuning API, in front of any provider.",
        version=version("ftkit"),
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # no key is sent on to where a redirect points
    )
    for router in _routers(office, installation.since):
        app.include_router(router)
    app.add_api_route(HEALTH, _health(office, installation.id), methods=["GET"], include_in_schema=False)
    for kind in (ApiError, FtkitError, HTTPException, RequestValidationError, UnknownCursorError):
        app.add_exception_handler(kind, _on_error)
    app.add_middleware(Guard, keys=office.keys, settings=office.settings, installation=installation.id)
    return app


def _routers(office: Office, since: int) -> list[APIRouter]:
    """Returns the routes of all dialects; of two prefixes that fit, the longer stands first."""
    azure = Azure()
    dated = APIRouter(prefix=azure.prefix, dependencies=[Depends(_demand_version)])
    for router in [*_shared(office, azure, since), jobs.deleting(office), chat.deployed(office, azure)]:
        dated.include_router(router)
    undated: list[APIRouter] = []
    for dialect in (OpenAI(), AzureV1()):
        paths = APIRouter(prefix=dialect.prefix)
        for router in [*_shared(office, dialect, since), chat.router(office, dialect)]:
            paths.include_router(router)
        undated.append(paths)
    return [*undated, dated, arm.router(office)]


def _shared(office: Office, dialect: OpenAI, since: int) -> list[APIRouter]:
    return [
        files.router(office, dialect),
        uploads.router(office, dialect),
        jobs.router(office, dialect),
        models.router(office, dialect, since),
    ]


def _demand_version(version: Annotated[str | None, Query(alias="api-version", max_length=40)] = None) -> None:
    """Azure's dated form answers nothing that does not say which version it speaks."""
    if version is None:
        raise ApiError("Resource not found: the query needs an api-version.", status=NOT_FOUND, code="404")


def _installation(office: Office) -> InstallationRecord:
    """Returns who this server is: its id stays, whatever host and port it answers at."""
    known = office.store.everything(InstallationRecord)
    if known:
        return known[0]
    made = InstallationRecord(id=secrets.token_hex(16), since=now())
    office.store.add(made)
    return made


def _health(office: Office, installation: str) -> Callable[[], Response]:
    def health() -> Response:
        """Tells whether the server is well. Needs no key."""
        is_well = office.foreman.is_well
        status = {"status": "ok" if is_well else "unwell", "installation": installation}
        return reply(status, 200 if is_well else UNAVAILABLE)

    return health


async def _on_error(request: Request, error: Exception) -> Response:
    api = _api_error(error)
    return reply(dialect_of(request.url.path).error(api), api.status, api.headers)


def _api_error(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, FtkitError):
        return api_error(error)
    if isinstance(error, RequestValidationError):
        return invalid(error)
    if isinstance(error, UnknownCursorError):
        message = f"There is nothing with the id {str(error)[:200]} in this list."
        return ApiError(message, param="after", code="invalid_value")
    if isinstance(error, HTTPException):  # no such path, no such method, a form that cannot be read
        return ApiError(str(error.detail), status=error.status_code, headers=error.headers)
    raise error
