"""Rules as data: a table of what is asked of training data, by provider, method and model.

    BOOK = RuleBook.from_toml(text)                      a plug-in's own table
    BOOK = RuleBook(
        {"layout": "chat", "accepts": ["chat"], "min_rows": 20, "source": "its guide", "as_of": "2026-11-23"},
        {"model": "tiny-*", "max_tokens": 4096},
    )
    BOOK.rules(method, model)                            the `DatasetRules` of a provider's `rules`
    built_in("openai").rules("supervised", "gpt-4.1")    without any account

Each field is that of the last row that fits and has it. The table of the built-in providers is `ftkit/rules.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from ftkit.datasets.layouts import layout_named
from ftkit.errors import ConfigurationError
from ftkit.methods import Method, explain, near
from ftkit.models import DatasetRules
from ftkit.tables import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SELECTS = ("provider", "method", "model")
_NEEDED: dict[str, object] = {"layout": "chat", "accepts": ["chat"]}
"""What every rules have: a row that lacks them is checked as if it had these."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table: for what, and which fields."""

    selects: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, Any]

    def fits(self, **asked: str) -> bool:
        return all(any(fnmatchcase(asked[name], glob) for glob in globs) for name, globs in self.selects.items())


class RuleBook:
    """A table of rules.

    Args:
        rows: The rows, the more special ones later. A row has any fields of `DatasetRules`, and beside them `provider`,
            `method` (its `type`) and `model` (with * for any letters), each a text or a list of texts, which say what
            it is for: everything, where it has none of them.
        name: What the table is called in errors.

    Raises:
        ConfigurationError: A row has a field that there is not, or a value that cannot be.
    """

    def __init__(self, *rows: Mapping[str, object], name: str = "the rules") -> None:
        self._name = name
        self._rows = tuple(_read(f"{name}, row {number}", row) for number, row in enumerate(rows, 1))

    @classmethod
    def from_toml(cls, text: str, *, name: str = "the rules") -> RuleBook:
        """Reads a table that is written as `[[rules]]` in TOML.

        Args:
            text: The TOML.
            name: What it is called in errors: its file, say.

        Raises:
            ConfigurationError: It is no TOML, or not of this form.
        """
        rows = rows_of(text, "rules", name)
        if not rows:
            raise ConfigurationError(f"{name}: there are no rules.", hint="Each row begins with [[rules]].")
        return cls(*rows, name=name)

    def of(self, provider: str) -> RuleBook:
        """Returns the part of the table that is for one provider.

        Raises:
            ConfigurationError: It has nothing for that provider.
        """
        book = RuleBook(name=f"{self._name}, {provider}")
        book._rows = tuple(
            _Row({k: v for k, v in row.selects.items() if k != "provider"}, row.fields)
            for row in self._rows
            if any(fnmatchcase(provider, glob) for glob in row.selects.get("provider", ("*",)))
        )
        if not book._rows:
            known = ", ".join(sorted(self.providers))
            message = f"{self._name}: nothing is told of the provider '{provider}'{near(provider, self.providers)}"
            raise ConfigurationError(message, hint=f"Known: {known or 'none'}.")
        return book

    @property
    def providers(self) -> frozenset[str]:
        """The providers that the table names."""
        return frozenset(name for row in self._rows for name in row.selects.get("provider", ()))

    def rules(self, method: Method | str, model: str, **known: object) -> DatasetRules:
        """Returns the rules for a method and a model.

        Args:
            method: The method, or its `type`.
            model: The model.
            known: Fields that are known only now, such as what the model's own configuration says. They win.

        Raises:
            ConfigurationError: Nothing is told of the method: no row that fits has a layout; or there is no such
                layout; or a known field is wrong.
        """
        kind = method.type if isinstance(method, Method) else method
        fitting = [row.fields for row in self._rows if row.fits(provider="", method=kind, model=model)]
        merged: dict[str, Any] = {}
        for fields in fitting:
            merged |= fields
        lacking = [name for name in _NEEDED if name not in {**merged, **known}]
        if lacking:
            message = f"{self._name}: nothing is told of the method '{kind}' and the model '{model}': no {lacking[0]}."
            raise ConfigurationError(message, hint="Add a row that has it.")
        merged |= {"source": _joined(fitting), "as_of": _oldest(fitting)} | known
        found = _checked(self._name, merged)
        try:
            layout_named(found.layout)  # only now: a plug-in may register it after its table is read
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._name}: {error.message}", hint=error.hint) from error
        return found


@cache
def built_in(provider: str) -> RuleBook:
    """Returns the rules of a built-in provider. They are read from the table once.

    Raises:
        ConfigurationError: There is no built-in provider of that name.
    """
    return _all().of(provider)


@cache
def _all() -> RuleBook:
    text = files("ftkit").joinpath("rules.toml").read_text(encoding="utf-8")
    return RuleBook.from_toml(text, name="ftkit/rules.toml")


def built_in_providers() -> frozenset[str]:
    """Returns the names of the providers that the table of ftkit itself has rules for."""
    return _all().providers


def _read(where: str, row: Mapping[str, object]) -> _Row:
    selects = {name: _texts(where, name, row[name]) for name in _SELECTS if name in row}
    fields = {name: value for name, value in row.items() if name not in _SELECTS}
    names = [*_SELECTS, *DatasetRules.model_fields]
    for name in fields:
        if name not in names:
            message = f"{where}: there is no rule '{name}'{near(name, names) or '.'}"
            raise ConfigurationError(message, hint=f"There are: {', '.join(names)}.")
    if not fields:
        raise ConfigurationError(f"{where}: the row says nothing.", hint="Give it a rule, such as min_rows = 10.")
    checked = _checked(where, {**_NEEDED, **fields})
    return _Row(selects, {name: getattr(checked, name) for name in fields})


def _texts(where: str, name: str, value: object) -> tuple[str, ...]:
    values = cast("list[object]", value) if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(each, str) and each for each in values):
        raise ConfigurationError(f"{where}: {name} is a text or a list of texts.", hint=f'Such as {name} = "a".')
    return tuple(str(each) for each in values)


def _checked(where: str, fields: Mapping[str, object]) -> DatasetRules:
    try:
        return DatasetRules.model_validate(fields)
    except ValidationError as error:
        message = f"{where}: {explain(DatasetRules, error, 'rule')}"
    raise ConfigurationError(message)


def _joined(rows: list[Mapping[str, Any]]) -> str | None:
    sources: Iterator[str] = (row["source"] for row in rows if row.get("source"))
    return "; ".join(dict.fromkeys(sources)) or None


def _oldest(rows: list[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - a date; None where there is none
    return min((row["as_of"] for row in rows if row.get("as_of")), default=None)
