"""What a provider is asked for: requests, targets of a deployment and ids, read with care."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ftkit.errors import ConfigurationError, ConflictError, NotFoundError, UnsupportedError
from ftkit.methods import near
from ftkit.models import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ftkit.models import ChatOptions, FineTuningJob, JobRequest

_MOST_SHOWN = 80
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")


def asked_of(request: JobRequest) -> dict[str, Any]:
    """Returns the fields of a `FineTuningJob` that come from its request, for who keeps the request itself."""
    return {
        "model": request.model,
        "method": request.method,
        "training_file": request.training_file.id,
        "validation_file": request.validation_file.id if request.validation_file is not None else None,
        "suffix": request.suffix,
        "seed": request.seed,
        "metadata": request.metadata,
    }


def same_named(told: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Returns the fields that a vendor tells under our own names, for a noun; an empty text counts as untold.

    Args:
        told: What the vendor tells: its JSON.
        names: Which fields. What else it tells may mean something else by one of our names, today or some day.
    """
    return {name: told[name] for name in names if told.get(name) not in (None, "")}


def known_id(given: str, noun: str, provider: str, pattern: re.Pattern[str] = _ID) -> str:
    """Returns an id that may be one of the vendor's. What cannot be is not sent: it would become part of an address.

    Args:
        given: What a user gave.
        noun: What it is the id of, such as "job".
        provider: Name of the provider.
        pattern: What the whole of an id looks like; up to 200 letters, digits and `._:-` by default.

    Raises:
        NotFoundError: There can be no such thing.
    """
    if not pattern.fullmatch(given):
        raise NotFoundError(f"there is no {noun} {given[:_MOST_SHOWN]!r}", provider=provider)
    return given


def model_of(target: FineTuningJob | Checkpoint | str, provider: str) -> tuple[str, str]:
    """Returns the name of the model that is to be deployed, and the id of what it comes from.

    Raises:
        ConflictError: It is a job that has no model, or none yet.
    """
    if isinstance(target, str):
        return target, target
    model = target.model if isinstance(target, Checkpoint) else target.fine_tuned_model
    if model is None:
        raise ConflictError(f"the job {target.id} has no tuned model", provider=provider, hint="Wait for it.")
    return model, target.id


def chat_options(options: ChatOptions, known: Collection[str]) -> dict[str, Any]:
    """Returns the options of a chat that were set, by name.

    Args:
        options: The options.
        known: Names of the options that the vendor has.

    Raises:
        UnsupportedError: One was set that the vendor has not: nothing is dropped in silence.
    """
    given = options.model_dump(mode="json", exclude_none=True, exclude={"extra"}) | dict(options.extra)
    unknown = sorted(given.keys() - known)
    if unknown:
        message = f"a chat here has no option '{unknown[0]}'{near(unknown[0], known)}"
        raise UnsupportedError(message, hint=f"It has: {', '.join(sorted(known)) or 'none'}.")
    return given


def no_options(options: Mapping[str, Any], known: Collection[str] = ()) -> None:
    """Sees that a deployment was given no option that there is not.

    Raises:
        ConfigurationError: It was; the hint says which ones there are.
    """
    for name in options:
        if name not in known:
            message = f"it has no option '{name}' for a deployment{near(name, known)}"
            raise ConfigurationError(message, hint=f"It has: {', '.join(known) or 'none'}.")
