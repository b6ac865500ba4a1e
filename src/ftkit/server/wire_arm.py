"""The bodies of `Microsoft.CognitiveServices/accounts/deployments`, API version 2025-09-01 (azure-mgmt 14.1)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, StringConstraints

from ftkit.server.wire import Answer, ModelName

Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class _Asked(BaseModel):
    """A body that is sent to us; what we have no use for is taken, as it is of this API's many other resources."""

    model_config = ConfigDict(extra="ignore", strict=True)


class Sku(_Asked):
    """What is paid for."""

    name: Word
    capacity: NonNegativeInt | None = None


class DeployedModel(_Asked):
    """What is deployed."""

    name: ModelName
    format: Word = "OpenAI"
    version: Word | None = None


class Properties(_Asked):
    """What stands under `properties`."""

    model: DeployedModel


class PutDeployment(_Asked):
    """A deployment as it is asked for."""

    sku: Sku | None = None
    properties: Properties
    tags: Annotated[dict[Annotated[str, StringConstraints(max_length=512)], str], Field(max_length=50)] | None = None


class Deployment(Answer):
    """A deployment as it is told."""

    id: str
    type: str = "Microsoft.CognitiveServices/accounts/deployments"
    name: str
    sku: dict[str, Any]
    properties: dict[str, Any]
    etag: str
    tags: dict[str, str] | None = None


class Operation(Answer):
    """Something that takes a while, as one asks after it."""

    id: str
    name: str
    status: str
    error: dict[str, Any] | None = None


class DeploymentList(Answer):
    """All deployments of an account; there is never a second page."""

    value: list[Deployment]
