"""What two records say, and where they say something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.datasets._encoding import as_json
from ftkit.datasets._shapes import At
from ftkit.datasets._values import is_list, is_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ftkit.datasets.records import Record

_CONVERSATIONS = ("messages", "prompt", "chosen", "rejected")
_NOTHING = object()


def said(record: Mapping[str, Any]) -> bytes:
    """Returns what a canonical record says: the same bytes just when another one says the same.

    A weight of 1 says what no weight says.

    Raises:
        TypeError: There is something in it that JSON has no form for.
        ValueError: There is a number in it that would be sent as another one.
    """
    return as_json(_unweighted(record)).encode()


def differences(record: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[At]:
    """Yields the places at which two canonical records of one kind say something else."""
    one, two = _unweighted(record), _unweighted(other)
    for field in dict.fromkeys([*one, *two]):
        mine, theirs = one.get(field, _NOTHING), two.get(field, _NOTHING)
        if field in _CONVERSATIONS and is_list(mine) and is_list(theirs):
            for n in range(max(len(mine), len(theirs))):
                for rest in _differing(_item(mine, n), _item(theirs, n)):
                    yield At(field, n, rest)
        elif any(True for _ in _differing(mine, theirs)):
            yield At(field)


def _item(values: list[Any], n: int) -> object:
    return values[n] if n < len(values) else _NOTHING


def _differing(one: object, two: object, path: str = "") -> Iterator[str]:
    if is_object(one) and is_object(two) and (one or two):
        order = [key for key in one if key in two] == [key for key in two if key in one]
        for key in dict.fromkeys([*one, *two]) if order else ():
            yield from _differing(one.get(key, _NOTHING), two.get(key, _NOTHING), f"{path}.{key}" if path else key)
        if not order:
            yield path
    elif is_list(one) and is_list(two):
        for n in range(max(len(one), len(two))):
            yield from _differing(_item(one, n), _item(two, n), f"{path}[{n}]")
    elif one is _NOTHING or two is _NOTHING or as_json(one) != as_json(two):
        yield path


def _unweighted(record: Mapping[str, Any]) -> Record:
    return {
        name: [_without_weight(message) for message in value] if name in _CONVERSATIONS and is_list(value) else value
        for name, value in record.items()
    }


def _without_weight(message: object) -> object:
    if not is_object(message) or message.get("role") != "assistant" or isinstance(message.get("weight"), bool):
        return message
    return {k: v for k, v in message.items() if k != "weight"} if message.get("weight") == 1 else message
