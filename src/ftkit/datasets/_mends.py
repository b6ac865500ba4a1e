"""What can be mended in one row without changing what it says. Each mend is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit.datasets._values import excerpt, is_list, is_object
from ftkit.datasets.rules import role_meant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftkit.models import DatasetRules

_NOT_ALONE = {"tool"}
"""Roles that need more than their name: a message of a tool answers a call, by its id."""
_ONES: tuple[object, ...] = (True, 1.0, "1", "1.0", "true", "True")
_ZEROS: tuple[object, ...] = (False, 0.0, "0", "0.0", "false", "False")


class Mend(NamedTuple):
    """One thing that was mended.

    Attributes:
        code: A short, stable name of its sort.
        message: What was done.
        field: Where, if not in the whole row.
    """

    code: str
    message: str
    field: str | None = None


def mended(row: dict[str, Any], rules: DatasetRules) -> tuple[dict[str, Any], list[Mend]]:
    """Returns a row, mended where that is safe, and what was done. The row that is given stays as it is."""
    done: list[Mend] = []
    changed = dict(row)
    for name, value in row.items():
        if is_list(value) and any(is_object(item) and "role" in item for item in value):
            changed[name] = [_message(f"{name}[{i}]", item, rules, done) for i, item in enumerate(value)]
        elif is_object(value) and is_list(value.get("messages")):  # OpenAI's preferences
            place = f"{name}.messages"
            inner = [_message(f"{place}[{i}]", item, rules, done) for i, item in enumerate(value["messages"])]
            changed[name] = {**value, "messages": inner}
    return (changed, done) if done else (row, done)


def _message(place: str, message: object, rules: DatasetRules, done: list[Mend]) -> object:
    if not is_object(message):
        return message
    before = len(done)
    changed = dict(message)
    role: object = message.get("role")
    if isinstance(role, str) and role not in rules.roles:
        meant = role_meant(role, rules)
        if meant is not None and (meant not in _NOT_ALONE or role.strip().lower() == meant):
            changed["role"] = meant
            done.append(Mend("role", f"the role '{excerpt(role)}' is now '{meant}'.", f"{place}.role"))
    if "weight" in message:
        done += _weight(f"{place}.weight", changed)
    return changed if len(done) > before else message


def _weight(place: str, message: dict[str, Any]) -> Iterator[Mend]:
    """Writes a weight as 0 or 1; takes it away where it says that nothing is learnt of what never is."""
    weight: object = message["weight"]
    number = 1 if _is_one_of(weight, _ONES) else 0 if _is_one_of(weight, _ZEROS) else None
    if number is None:
        return
    if number == 0 and message.get("role") != "assistant":
        del message["weight"]
        yield Mend("weight", "weight 0 is gone: only the assistant's messages have one.", place)
    elif isinstance(weight, bool) or not isinstance(weight, int):
        message["weight"] = number
        yield Mend("weight", f"the weight {excerpt(weight)} is now {number}.", place)


def _is_one_of(weight: object, words: tuple[object, ...]) -> bool:
    """Whether a weight is one of some values; 1 == True, and so is every number that stands for them."""
    return isinstance(weight, bool | int | float | str) and weight in words
