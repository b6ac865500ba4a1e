"""What is wrong with a grader: looked at before anything is sent, by the types of the `openai` package."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError

from ftkit.methods import near
from ftkit.models import Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

_GRADERS = {
    "string_check": "StringCheckGraderParam",
    "text_similarity": "TextSimilarityGraderParam",
    "python": "PythonGraderParam",
    "score_model": "ScoreModelGraderParam",
    "multi": "MultiGraderParam",
}
"""The types of grader -> the package's names for what they hold."""


def grader_problems(grader: object, field: str) -> Iterator[Problem]:
    """Yields what is wrong with a grader, and with those inside it.

    Without a type, or without a field that its type must have, it is certain to be refused. Anything else that this
    version of the package does not know is a warning: the service may know it.

    Args:
        grader: The grader, as it was given.
        field: Where it stands in the request.
    """
    fields = _object(grader)
    kind = fields.get("type")
    known = ", ".join(_GRADERS)
    if not isinstance(kind, str) or not kind:
        message, fix = f"a grader has a type (got {str(grader)[:80]!r}).", f"Give it one of these: {known}."
        yield Problem(code="bad-grader", field=f"{field}.type", message=message, fix=fix)
    elif kind not in _GRADERS:
        message = f"the package knows no grader of type '{kind}'{near(kind, _GRADERS) or '.'}"
        yield _warning(f"{field}.type", message, f"It knows: {known}.")
    else:
        yield from _of_known_type(kind, fields, field)


def _of_known_type(kind: str, fields: dict[str, Any], field: str) -> Iterator[Problem]:
    if kind == "multi":
        for name, each in _object(fields.get("graders")).items():
            yield from grader_problems(each, f"{field}.graders.{name}")
    wrong: set[str] = set()
    for error in _errors(kind, fields):
        name = str(error["loc"][0])
        if error["type"] == "missing" and len(error["loc"]) == 1:
            message = f"a grader of type '{kind}' must have '{name}'."
            yield Problem(code="bad-grader", field=f"{field}.{name}", message=message, fix="Add it.")
        elif name != "graders" and name not in wrong:  # those inside are told one by one
            wrong.add(name)
            yield _warning(f"{field}.{name}", f"{str(fields.get(name))[:80]!r} may be refused: {error['msg']}.", None)


def _object(given: object) -> dict[str, Any]:
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def _errors(kind: str, fields: dict[str, Any]) -> list[Any]:
    try:
        _adapter(kind).validate_python(fields)
    except ValidationError as error:
        return list(error.errors(include_url=False))
    return []


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    """Makes what checks a type of grader. Where no job is for a grader, nobody waits for it: 80 ms."""
    from openai.types import graders

    return TypeAdapter(getattr(graders, _GRADERS[kind]))


def _warning(field: str, message: str, fix: str | None) -> Problem:
    return Problem(severity=Severity.WARNING, code="strange-grader", field=field, message=message, fix=fix)
