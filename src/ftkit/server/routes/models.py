"""Models: those to start from, and those that were tuned here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi import APIRouter, Response

from ftkit.errors import NotFoundError
from ftkit.models import Checkpoint
from ftkit.server import wire
from ftkit.server.catalogue import no_such_model
from ftkit.server.errors import ApiError
from ftkit.server.routes._common import StrictRoute, reply

if TYPE_CHECKING:
    from ftkit.server.catalogue import Tuned
    from ftkit.server.dialects import OpenAI
    from ftkit.server.office import Office

_FORBIDDEN = 403


def router(office: Office, dialect: OpenAI, since: int) -> APIRouter:
    """Returns the paths of models.

    Args:
        office: The server.
        dialect: How to write them.
        since: When the server was installed: base models are as old.
    """
    paths = APIRouter(tags=["models"], route_class=StrictRoute)

    @paths.get("/models", response_model=wire.List[wire.Model])
    def list_models() -> Response:
        """Lists the base models that were set up, and the tuned ones."""
        base = [dialect.base_model(name, since) for name in office.catalogue.names()]
        tuned = [dialect.tuned_model(job) for job in office.catalogue.all_tuned()]
        return reply({"object": "list", "data": [*base, *tuned]})

    @paths.get("/models/{model:path}", response_model=wire.Model)
    def retrieve_model(model: str) -> Response:
        """Tells what is known of a model."""
        tuned = office.catalogue.tuned(model)
        if tuned is not None:
            office.serving.target(model)  # a checkpoint may be gone
            return reply(dialect.tuned_model(tuned.job, tuned.step))
        if model not in office.catalogue.names():
            raise no_such_model(model)
        return reply(dialect.base_model(model, since))

    @paths.delete("/models/{model:path}", response_model=wire.Deleted)
    def delete_model(model: str) -> Response:
        """Deletes a tuned model, with its checkpoints, or one checkpoint."""
        tuned = office.catalogue.tuned(model)
        if tuned is None:
            raise _not_ours(model) if model in office.catalogue.names() else no_such_model(model)
        _delete(office, tuned, model)
        return reply(wire.Deleted(id=model, object="model").model_dump())

    return paths


def _delete(office: Office, tuned: Tuned, model: str) -> None:
    target = office.serving.target(model)
    office.deployments.demand_unused(model)
    office.serving.drop(model)
    with suppress(NotFoundError):  # deleted at the provider itself: what is left to do is to forget it
        office.client.delete_model(target.model if isinstance(target, Checkpoint) else target)
    if tuned.step is None:
        office.jobs.forget_model(tuned.job)


def _not_ours(model: str) -> ApiError:
    message = f"'{model}' is a base model: only tuned ones can be deleted."
    return ApiError(message, status=_FORBIDDEN, param="model", code="insufficient_permissions")
