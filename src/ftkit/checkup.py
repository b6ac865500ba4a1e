"""What `ftkit check` does: a data set is looked over as a provider would, whether or not there is an account there.

report = examine("train.jsonl", Whose("openai", "gpt-4.1-mini"))
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, cast

from ftkit import datasets
from ftkit.client import Client
from ftkit.datasets._values import is_list, is_object
from ftkit.datasets.rulebook import built_in_providers
from ftkit.errors import ConfigurationError, UnknownProviderError
from ftkit.methods import Method, Supervised, parse_method
from ftkit.models import DatasetRules, Problem, RecordKind, Report, Severity

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from ftkit.datasets.mending import Drop, Mended
    from ftkit.provider import Provider

    Source = str | os.PathLike[str]


class How(TypedDict, total=False):
    """How a data set is looked over: the arguments that `examine` and `mend` have in common."""

    validation: Source | None
    columns: Mapping[str, str] | None
    warnings: str | Collection[str]


class Today(TypedDict, total=False):
    """How the untuned model is called today: the arguments of `Client.check` that say so."""

    prompt: str | list[dict[str, Any]]
    calls_per_day: float | None
    cached: float


def today_of(path: Path | None, calls_per_day: float | None, cached: float) -> Today | None:
    """Reads the prompt of today from a file; None if there is none.

    Args:
        path: A text, or a JSON list of messages.
        calls_per_day: How many calls are made a day.
        cached: Which share of the prompt is read from the provider's cache, 0 to 1.

    Raises:
        ConfigurationError: It cannot be read; or there is none, and something is said of its calls.
    """
    if path is None:
        if calls_per_day is not None or cached:
            raise ConfigurationError("there is no prompt that is called so often.", hint="Name its file: --prompt FILE")
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the prompt '{path}' cannot be read: {error}") from error
    return Today(prompt=_messages_in(text) or text, calls_per_day=calls_per_day, cached=cached)


def _messages_in(text: str) -> list[dict[str, Any]] | None:
    """Returns the messages of a text that is a JSON list of them, or an object with such a list."""
    try:
        found: object = json.loads(text)
    except ValueError:
        return None
    messages: object = found.get("messages") if is_object(found) else found
    return messages if is_list(messages) and messages and all(is_object(m) and "role" in m for m in messages) else None


_KINDS = {
    "supervised": frozenset({RecordKind.CHAT, RecordKind.PROMPT_COMPLETION, RecordKind.TEXT}),
    "reinforcement": frozenset({RecordKind.ITEM}),
}
_PAIRS = frozenset({RecordKind.PREFERENCE})
_PLACEHOLDERS: tuple[dict[str, Any], ...] = (
    {"api_key": "no-account"},
    {"api_key": "no-account", "endpoint": "https://no-account.invalid"},
)
"""Options with which a provider can be made that is asked nothing. What ends in .invalid leads nowhere (RFC 6761)."""
_ASKS = {"lifecycle"}
"""What a check would ask of the service."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose rules a data set is held against.

    Attributes:
        provider: Name of a provider or a profile; None for what all providers refuse.
        model: The base model, or a role. It goes with a provider.
        method: The fine-tuning method, or its `type`; None for supervised with a provider, and any without.
    """

    provider: str | None = None
    model: str | None = None
    method: str | Method | None = None

    @property
    def asked(self) -> Method:
        """The method, supervised if none was named.

        Raises:
            ConfigurationError: There is no such method.
        """
        if self.method is None:
            return Supervised()
        return parse_method({"type": self.method} if isinstance(self.method, str) else self.method)

    def opened(self) -> tuple[Client | None, Problem | None]:
        """Returns a client, and a note if it has no account.

        There is no client where no provider was named, or where its vendor's package is not installed: the rules of a
        built-in provider need none.

        Raises:
            ConfigurationError: There is no such provider, or only one of provider and model was named.
        """
        if self.provider is None and self.model is None:
            return None, None
        if self.provider is None or self.model is None:
            lacking, there = ("provider", "model") if self.provider is None else ("model", "provider")
            raise ConfigurationError(f"a {there} is named, and no {lacking}.", hint=f"Name both: --{lacking} ...")
        try:
            return _client(self.provider)
        except ConfigurationError as error:
            if self.provider not in built_in_providers():
                raise
            return None, _note(error, "tokens, price and dates are not known")

    def rules(self) -> DatasetRules:
        """Returns the rules.

        Raises:
            ConfigurationError: There is no such provider or method, or only one of provider and model was named.
        """
        client, _ = self.opened()
        return self.rules_by(client)

    def rules_by(self, client: Client | None) -> DatasetRules:
        """Returns the rules, by the client that `opened` returned."""
        asked = self.asked
        if client is not None and self.model is not None:
            return client.provider.rules(asked, client.resolve_model(self.model))
        if self.provider is not None and self.model is not None:
            return datasets.built_in(self.provider).rules(asked, self.model)
        kinds = frozenset(RecordKind) if self.method is None else _KINDS.get(asked.type, _PAIRS)
        return DatasetRules(layout="ftkit", accepts=kinds, needs_assistant=asked.type != "reinforcement")


def examine(
    source: Source,
    whose: Whose = Whose(),
    *,
    validation: Source | None = None,
    columns: Mapping[str, str] | None = None,
    warnings: str | Collection[str] = "default",
    today: Today | None = None,
) -> Report:
    """Looks a data set over. Where no account is set up, nothing is asked: rules, tokens and prices are known here.

    Args:
        source: A file, or a folder saved by `datasets.save_to_disk`.
        whose: Whose rules it is held against.
        validation: The validation file, so that rows are told which both files have.
        columns: The file's own column names -> those of the record.
        warnings: "default", "all", "none", or names of `ftkit.datasets.WARNINGS`.
        today: How the untuned model is called today, to see whether the training pays.

    Raises:
        ConfigurationError: There is no such provider, method, column or warning; or no provider to tell prices.
    """
    if today is not None and whose.provider is None:
        raise ConfigurationError("whether a training pays depends on prices.", hint="Name --provider and --model.")
    asked = whose.asked
    client, note = whose.opened()
    if client is not None and whose.model is not None:
        report = client.check(
            source,
            model=whose.model,
            method=asked,
            columns=columns,
            warnings=warnings,
            validation=validation,
            **(today or Today()),
        )
    else:
        watches = datasets.watches_for(warnings, validation=validation, columns=columns)
        report = datasets.check(source, whose.rules_by(client), columns=columns, watches=watches, progress=True)
    return report if note is None else report.model_copy(update={"problems": (*report.problems, note)})


def mend(
    source: Source,
    target: Path,
    whose: Whose = Whose(),
    *,
    validation: Source | None = None,
    columns: Mapping[str, str] | None = None,
    warnings: str | Collection[str] = "default",
    drop: Collection[str] = (),
) -> Mended:
    """Writes a mended copy, and looks that over, by the same rules as `examine`.

    Raises:
        DatasetError: It cannot be read; nothing is written.
        ConfigurationError: As `examine`, or the target cannot be written.
    """
    watches = datasets.watches_for(warnings, validation=validation, columns=columns)
    wanted = cast("Collection[Drop]", drop)
    return datasets.mend(source, target, whose.rules(), columns=columns, drop=wanted, watches=watches)


def columns_of(words: Iterable[str]) -> dict[str, str]:
    """Reads names of columns as a command line has them: "question=prompt".

    Raises:
        ConfigurationError: There is no = between two names.
    """
    found: dict[str, str] = {}
    for word in words:
        own, is_there, field = word.partition("=")
        if not (own and is_there and field):
            raise ConfigurationError(f"'{word}' names no column.", hint="Write OWN=FIELD, such as question=prompt.")
        found[own] = field
    return found


def _client(provider: str) -> tuple[Client, Problem | None]:
    """Returns a client; where no account is set up, one that asks nothing, and the note that says so."""
    try:
        return Client(provider), None
    except UnknownProviderError:
        raise
    except ConfigurationError as error:
        for options in _PLACEHOLDERS:
            try:
                offline: Any = _WithoutAccount(Client(provider, **options).provider)
            except ConfigurationError:
                continue
            return Client(offline), _note(error, "no account is set up, and none was asked")
        raise


class _WithoutAccount:
    """A provider that asks nothing of its service. Whatever else it is called for is its own."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - it stands for any attribute
        if name in _ASKS:
            raise AttributeError(name)
        return getattr(self._provider, name)


def _note(error: ConfigurationError, so: str) -> Problem:
    message = f"{so}: {error.message.rstrip('.')}."
    return Problem(severity=Severity.NOTE, code="no-account", message=message, fix=error.hint)
