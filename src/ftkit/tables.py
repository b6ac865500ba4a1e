"""Tables that people write in TOML: rules, prices, dates."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from typing import Any, cast

from ftkit.errors import ConfigurationError
from ftkit.methods import near


def rows_of(text: str, key: str, name: str) -> list[dict[str, Any]]:
    """Returns the rows of a table, which are written as `[[key]]`. A number with a point is a `Decimal`.

    Args:
        text: The TOML.
        key: What the rows are called. Nothing else stands at the top.
        name: What the table is called in errors: its file, say.

    Raises:
        ConfigurationError: It is no TOML, or not of this form.
    """
    hint = f"Each row begins with [[{key}]]."
    try:
        content = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: wrong TOML: {error}.", hint=hint) from error
    rows: object = content.pop(key, [])
    if content:
        found = next(iter(content))
        message = f"{name}: unknown '{found}'{near(found, [key]) or '.'}"
        raise ConfigurationError(message, hint=f"Only [[{key}]] stand at the top.")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in cast("list[object]", rows)):
        raise ConfigurationError(f"{name}: '{key}' is no list of rows.", hint=hint)
    return cast("list[dict[str, Any]]", rows)
