"""Reading what the Inference Endpoints service tells of an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from ftkit.models import DeploymentStatus
from ftkit.providers.huggingface.endpoint_options import SOURCE

if TYPE_CHECKING:
    from datetime import datetime

    from huggingface_hub import InferenceEndpoint

RUNNING, ASLEEP, PAUSED, UPDATING = "running", "scaledToZero", "paused", "updating"
FAILED = frozenset({"failed", "updateFailed"})
FREE = frozenset({PAUSED, "failed"})
"""States in which nothing runs, and no request changes that."""

_STATES = {
    "pending": DeploymentStatus.CREATING,
    "initializing": DeploymentStatus.CREATING,
    UPDATING: DeploymentStatus.CREATING,
    RUNNING: DeploymentStatus.RUNNING,
    ASLEEP: DeploymentStatus.RUNNING,  # a request wakes it up
    PAUSED: DeploymentStatus.PAUSED,  # a request does not
    **dict.fromkeys(FAILED, DeploymentStatus.FAILED),
}
_SERVED = "--served-model-name"


@dataclass(frozen=True, slots=True)
class Seen:
    """An endpoint, as it was when the service was last asked.

    Attributes:
        name: Its name.
        state: The service's word for where it stands.
        message: What the service says about that.
        repository: The repository that it serves.
        revision: Its revision, as the service tells it.
        source: The job, checkpoint or model that it was made from, if ftkit made it.
        model: The name to put in a chat request.
        url: Its address, without /v1.
        health_route: Where it says whether it is well.
        ready: Replicas that answer.
        replicas: Replicas that run, or would if it were awake: 1 or more.
        min_replica: Replicas that always run.
        hardware: Vendor, region, kind, type and size of what it runs on.
        created_at: When it was made.
    """

    name: str
    state: str
    message: str
    repository: str
    revision: str | None
    source: str | None
    model: str
    url: str | None
    health_route: str
    ready: int
    replicas: int
    min_replica: int
    hardware: tuple[object, ...]
    created_at: datetime

    @property
    def status(self) -> DeploymentStatus:
        """Where it stands; one that is updated while replicas answer is running."""
        if self.state == UPDATING and self.ready:
            return DeploymentStatus.RUNNING
        return _STATES.get(self.state, DeploymentStatus.UNKNOWN)


def seen_of(endpoint: InferenceEndpoint) -> Seen:
    """Reads an endpoint."""
    raw = cast("dict[str, Any]", endpoint.raw)  # pyright: ignore[reportUnknownMemberType]
    status, model, compute, place = (_part(raw, name) for name in ("status", "model", "compute", "provider"))
    scaling = _part(compute, "scaling")
    least, ready = _count(scaling.get("minReplica")), _count(status.get("readyReplica"))
    kind = (compute.get("accelerator"), compute.get("instanceType"), compute.get("instanceSize"))
    return Seen(
        name=endpoint.name,
        state=str(status.get("state")),
        message=str(status.get("message") or ""),
        repository=endpoint.repository,
        revision=endpoint.revision,
        source=_text(_part(model, "env").get(SOURCE)),
        model=_served(model.get("args")) or endpoint.name,
        url=_text(endpoint.url),
        health_route=endpoint.health_route or "/health",
        ready=ready,
        replicas=max(1, least, ready, _count(status.get("targetReplica"))),
        min_replica=least,
        hardware=(place.get("vendor"), place.get("region"), *kind),
        created_at=endpoint.created_at,
    )


def _part(raw: dict[str, Any], name: str) -> dict[str, Any]:
    found: object = raw.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _served(arguments: object) -> str | None:
    """Returns the name that vLLM was told to serve the model by; without, the service takes the endpoint's."""
    words = [str(word) for word in cast("list[object]", arguments)] if isinstance(arguments, list) else []
    for word, following in pairwise([*words, ""]):
        if word == _SERVED and following:
            return following
        if word.startswith(f"{_SERVED}="):
            return word.removeprefix(f"{_SERVED}=")
    return None
