"""Counts what occurs in bytes, some ten times as fast as `bytes.count` for the short texts that are looked for here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_stringzilla: Any = import_module("stringzilla")  # it has no types

count = cast("Callable[[bytes | bytearray, bytes], int]", _stringzilla.count)
contains = cast("Callable[[bytes | bytearray, bytes], bool]", _stringzilla.contains)
