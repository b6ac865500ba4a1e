"""What is wrong with a body or a query, from pydantic's words into OpenAI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.server.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi.exceptions import RequestValidationError

_BRANCHES = {"bool", "dict", "float", "int", "list", "none", "str"}
_PHRASES = {
    "Input should be": "it should be",
    "String should have": "it should have",
    "List should have": "it should have",
    "Dictionary should have": "it should have",
    " after validation": "",
    ", not more": "",
}


def invalid(error: RequestValidationError) -> ApiError:
    """Returns the answer to a request that is not as it should be: the first thing that is wrong, by its path."""
    faults: Sequence[dict[str, Any]] = error.errors()
    first = faults[0]
    path = _path(first)
    of_field = [fault for fault in faults if _path(fault) == path]
    where, field = str(first["loc"][0]), path[:200]
    if first["type"] == "extra_forbidden":
        message = f"Unrecognized request argument supplied: {field}"
        return ApiError(message, param=field, code="unknown_parameter")
    if first["type"] == "missing":
        message = f"Missing required parameter: '{field or where}'."
        return ApiError(message, param=field or where, code="missing_required_parameter")
    return ApiError(f"'{field or where}': {_told(of_field)}", param=field or None, code="invalid_value")


def _told(faults: Sequence[dict[str, Any]]) -> str:
    """Says what a field should be; of something that may be a word or a number, both."""
    words = [fault["ctx"]["expected"] for fault in faults if fault["type"] == "literal_error"]
    others = [str(fault["msg"]) for fault in faults if fault["type"] != "literal_error"]
    if not others:
        return f"it should be {' or '.join(words)}"
    told = others[0]
    for phrase, plain in _PHRASES.items():
        told = told.replace(phrase, plain)
    return f"{told[:1].lower()}{told[1:]}{''.join(f', or {word}' for word in words)}"


def _path(fault: dict[str, Any]) -> str:
    """Returns the path of a field, without the branches of a union that pydantic names in it."""
    _, *path = fault["loc"]
    shown = [part for part in path if isinstance(part, int) or not _is_branch(part)]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in shown).lstrip(".")


def _is_branch(part: str) -> bool:
    return part in _BRANCHES or "[" in part or part.startswith("constrained-")
