"""AWS's own description of Bedrock, which botocore brings: which operation a request is, and whether a value fits."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import botocore.session

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = ("bedrock", "bedrock-runtime")


class Asked(NamedTuple):
    """An operation, and what stands in its path."""

    operation: Any
    name: str
    path: dict[str, str]


@cache
def service(name: str) -> Any:
    """Returns the model of a service."""
    return botocore.session.Session().get_service_model(name)


def enum(shape: str) -> set[str]:
    """Returns the words that a text of Bedrock's may be."""
    return set(service("bedrock").shape_for(shape).enum)


@cache
def _routes() -> list[tuple[str, re.Pattern[str], Any]]:
    found: list[tuple[str, re.Pattern[str], Any]] = []
    for model in map(service, SERVICES):
        for name in model.operation_names:
            operation = model.operation_model(name)
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(operation.http["requestUri"]))
            found.append((operation.http["method"], re.compile(pattern), operation))
    return found


def asked_for(method: str, raw_path: str) -> Asked | None:
    """Returns which operation a request asks for; None if it is none of Bedrock's."""
    for verb, pattern, operation in _routes():
        match = pattern.fullmatch(raw_path) if verb == method else None
        if match is not None:
            return Asked(operation, operation.name, {name: unquote(value) for name, value in match.groupdict().items()})
    return None


def status_of(code: str) -> int:
    """Returns the HTTP status of an error."""
    for model in map(service, SERVICES):
        if code in model.shape_names:
            return int(model.shape_for(code).metadata["error"]["httpStatusCode"])
    return 403  # those of all of AWS that tell of credentials


def misfits(shape: Any, value: Any, where: str = "") -> Iterator[str]:
    """Yields what is wrong with a value: fields missing or unknown, words that are none, patterns and lengths."""
    kind = shape.type_name
    if kind == "structure" and not getattr(shape, "is_document_type", False):
        yield from _of_object(shape, value, where)
    elif kind == "list":
        for n, inner in enumerate(value):
            yield from misfits(shape.member, inner, f"{where}[{n}]")
    elif kind == "map":
        for name, inner in value.items():
            yield from misfits(shape.value, inner, f"{where}[{name}]")
    elif kind == "string":
        yield from _of_text(shape, value, where)
    elif kind in {"integer", "long", "float", "double"} and isinstance(value, bool | str):
        yield f"{where} is no number: {value!r}"


def _of_object(shape: Any, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object: {value!r}"
        return
    yield from (f"{where}.{name} is missing" for name in shape.required_members if name not in value)
    for name, inner in value.items():
        if name in shape.members:
            yield from misfits(shape.members[name], inner, f"{where}.{name}")
        else:
            yield f"{where}.{name} is unknown"


def _of_text(shape: Any, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where} is no text: {value!r}"
        return
    limits = shape.metadata
    if "enum" in limits and value not in limits["enum"]:
        yield f"{where} is none of {limits['enum']}: {value!r}"
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        yield f"{where} does not fit {limits['pattern']!r}: {value!r}"
    if not limits.get("min", 0) <= len(value) <= limits.get("max", len(value)):
        yield f"{where} is too short or too long: {value!r}"
