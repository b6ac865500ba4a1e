"""What a job tells of its request, for providers that keep the request themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.models import JobRequest


def asked_of(request: JobRequest) -> dict[str, Any]:
    """Returns the fields of a `FineTuningJob` that come from its request."""
    return {
        "model": request.model,
        "method": request.method,
        "training_file": request.training_file.id,
        "validation_file": request.validation_file.id if request.validation_file is not None else None,
        "suffix": request.suffix,
        "seed": request.seed,
        "metadata": request.metadata,
    }
