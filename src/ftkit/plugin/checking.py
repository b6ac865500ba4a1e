"""What is checked of a request before anything is sent: whatever a vendor has no room for is told, never dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from ftkit.errors import ConfigurationError
from ftkit.methods import explain, near
from ftkit.models import Problem
from ftkit.provider import unsupported_method

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import BaseModel

    from ftkit.methods import Method
    from ftkit.models import JobRequest

Field = Literal["validation_file", "suffix", "seed", "metadata"]
"""A field of a request that not every vendor has room for."""
_FIELDS: Mapping[Field, str] = {
    "validation_file": "it takes no validation file.",
    "suffix": "it takes no suffix.",
    "seed": "it takes no seed.",
    "metadata": "it keeps no metadata.",
}


def problems_of(
    request: JobRequest,
    *,
    methods: Mapping[type[Method], Collection[str]],
    fields: Collection[Field],
    options: type[BaseModel],
    longest_suffix: int | None = None,
) -> list[Problem]:
    """Returns all that a provider has no room for in a request. What else a vendor refuses, add to it.

    Args:
        request: The request.
        methods: The methods that there are, and the hyperparameters of each.
        fields: Which of the fields that not every vendor has there are.
        options: The model of the provider's own options.
        longest_suffix: Most characters of a suffix, where there is such a bound.
    """
    method = request.method
    found = unsupported_method(method, methods)
    if not found:
        found += hyperparameter_problems(method, methods[type(method)], f"the method '{method.type}'")
    found += [*field_problems(request, fields), *option_problems(options, request.provider_options)]
    if longest_suffix is not None and len(request.suffix or "") > longest_suffix:
        message = f"a suffix has {longest_suffix} characters at most, and this one has {len(request.suffix or '')}."
        found.append(Problem(code="long-suffix", field="suffix", message=message, fix="Write a shorter one."))
    return found


def hyperparameter_problems(method: Method, known: Collection[str], who: str) -> list[Problem]:
    """Returns the hyperparameters that were set and are not there.

    Args:
        method: The method.
        known: The hyperparameters that are there.
        who: What has them, for the message.
    """
    fix = f"It has: {', '.join(known) or 'none'}."
    return [
        Problem(
            code="unknown-hyperparameter",
            field=f"method.{name}",
            message=f"{who} has no hyperparameter '{name}' here{near(name, known) or '.'}",
            fix=fix,
        )
        for name in method.hyperparameters()
        if name not in known
    ]


def field_problems(request: JobRequest, known: Collection[Field]) -> list[Problem]:
    """Returns the fields that were set, and that the vendor has no room for.

    Args:
        request: The request.
        known: Which of the fields that not every vendor has there are.
    """
    return [
        Problem(code="unsupported-field", field=name, message=message, fix="Leave it out.")
        for name, message in _FIELDS.items()
        if name not in known and getattr(request, name) not in (None, {})
    ]


def option_problems(options: type[BaseModel], given: Mapping[str, Any]) -> list[Problem]:
    """Returns what is wrong with a provider's own options, one by one.

    Args:
        options: The model that checks them.
        given: What was given.
    """
    try:
        options(**given)
    except ConfigurationError as error:  # of a model that is one of ftkit's `Settings`
        wrong = error.message
    except ValidationError as error:
        wrong = explain(options, error, "option")
    else:
        return []
    where, fix = "provider_options", "Mend it, or leave it out."
    return [Problem(code="bad-option", field=where, message=line, fix=fix) for line in wrong.splitlines()]
