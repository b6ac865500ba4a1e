"""Values as JSON, or not at all: no number is written as another one."""

from __future__ import annotations

import json
from decimal import Decimal


def as_json(value: object) -> str:
    """Returns a value as compact JSON; the same text on any machine.

    Raises:
        TypeError: There is something in it that JSON has no form for, such as a date.
        ValueError: There is a number in it that would be sent as another one, or not at all.
    """
    return _ENCODER.encode(value)


def _exactly(value: object) -> float:
    """Returns a number of a table, or one with many digits, as a float that equals it."""
    if not isinstance(value, Decimal):
        raise TypeError(f"JSON has no {type(value).__name__}")
    if Decimal(repr(float(value))) != value:
        raise ValueError(f"no float equals the number {value}, and it would be sent as another one")
    return float(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_exactly)
