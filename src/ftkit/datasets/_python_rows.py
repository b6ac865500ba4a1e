"""Rows that were printed by Python in place of being written as JSON: {'prompt': 'a', 'completion': None}."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any, cast

from ftkit.datasets._values import is_object, repeated

_LONGEST = 2**20
"""Letters of the longest row that is read so: what Python's parser takes is many times as much."""
_DEEPEST = 50
_HALF = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f]")


def python_row(text: str) -> dict[str, Any] | None:
    """Returns the row that a Python literal stands for, if JSON can hold it exactly; None otherwise.

    What is left out: tuples, sets and bytes, which JSON has not; a key that is no text, or occurs twice; a number that
    is infinite; half of a surrogate pair; a control character that Python would have printed as an escape; and whatever
    is no literal.
    """
    if len(text) > _LONGEST or not text.lstrip().startswith("{") or _CONTROL.search(text.strip()):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a text with a wrong escape is none that Python printed
            tree = ast.parse(text.strip(), mode="eval")
        value = _value(tree.body, 0)
    except (SyntaxError, ValueError, Warning, MemoryError, RecursionError):
        return None
    return value if is_object(value) else None


def _value(node: ast.expr, depth: int) -> Any:  # noqa: ANN401 - what JSON holds
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(node, ast.Dict):
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
        if len(keys) != len(node.keys) or repeated(keys) or _HALF.search("".join(keys)):
            raise ValueError
        return dict(zip(keys, (_value(value, depth + 1) for value in node.values), strict=True))
    if isinstance(node, ast.List):
        return [_value(element, depth + 1) for element in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = node.operand.value
        if type(number) in {int, float}:
            return -cast("float", _constant(node.operand))
    if isinstance(node, ast.Constant):
        return _constant(node)
    raise ValueError


def _constant(node: ast.Constant) -> str | float | None:
    value = node.value
    if isinstance(value, str) and _HALF.search(value):
        raise ValueError
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and abs(value) < float("inf")):
        return value
    raise ValueError
