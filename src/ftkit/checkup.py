"""What `ftkit check` does: a data set is looked over as a provider would, whether or not there is an account there.

report = examine("train.jsonl", Whose("openai", "gpt-4.1-mini"))
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, cast

from ftkit import datasets
from ftkit._preflight import canonical_rules, with_validation
from ftkit.client import Client
from ftkit.datasets._values import is_list, is_object
from ftkit.datasets.rulebook import built_in_providers
from ftkit.errors import ConfigurationError, UnknownProviderError
from ftkit.methods import Method, Supervised, parse_method
from ftkit.models import Problem, Severity
from ftkit.tokens import messages_of

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from ftkit.datasets.mending import Drop, Mended
    from ftkit.models import DatasetRules, Report
    from ftkit.provider import Provider

    Source = str | os.PathLike[str]


class How(TypedDict, total=False):
    """How a data set is looked over: the arguments that `examine` and `mend` have in common."""

    validation: Source | None
    columns: Mapping[str, str] | None
    warnings: str | Collection[str]


class Today(TypedDict, total=False):
    """How the untuned model is called today: the arguments of `Client.check` that say so."""

    prompt: Iterable[Mapping[str, Any]]
    calls_per_day: float | None
    cached: float


def today_of(path: Path | None, calls_per_day: float | None, cached: float) -> Today | None:
    """Reads the prompt of today from a file; None if there is none.

    Args:
        path: A text; or JSON: a list of messages, or an object with one.
        calls_per_day: How many calls are made a day.
        cached: Which share of the prompt is read from the provider's cache, 0 to 1.

    Raises:
        ConfigurationError: It cannot be read, is empty, or begins like JSON and has no messages; or there is none,
            and something is said of its calls.
    """
    if path is None:
        if calls_per_day is not None or cached:
            raise ConfigurationError("there is no prompt that is called so often.", hint="Name its file: --prompt FILE")
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the prompt '{path}' cannot be read: {error}") from error
    try:
        messages = messages_of(_messages_in(text) if text.lstrip().startswith(("[", "{")) else text)
    except ConfigurationError as error:
        raise ConfigurationError(f"'{path}': {error.message}", hint=error.hint) from None
    return Today(prompt=messages, calls_per_day=calls_per_day, cached=cached)


def _messages_in(text: str) -> list[dict[str, Any]]:
    """Returns the messages of a text that is a JSON list of them, or an object with such a list.

    Raises:
        ConfigurationError: It is neither. A text that begins like JSON and is none is more likely to be a file that was
            cut off than a prompt.
    """
    try:
        found: object = json.loads(text)
    except ValueError as error:
        if _is_lines(text):
            message = "the prompt is several lines of JSON, as training data is."
            raise ConfigurationError(message, hint="Give one prompt: that of a typical call today.") from None
        message = f"the prompt begins like JSON, and is none: {error}."
        raise ConfigurationError(message, hint=f"Mend it, or write the text as messages: {_AS_MESSAGES}") from None
    messages: object = found.get("messages") if is_object(found) else found
    if not is_list(messages) or not messages:
        message = "the prompt is JSON, and holds no messages."
        raise ConfigurationError(message, hint=f"Write them as {_AS_MESSAGES}")
    return cast("list[dict[str, Any]]", messages)


def _is_lines(text: str) -> bool:
    """Whether a text is lines of JSON, going by its first two."""
    lines = [line for line in text.splitlines() if line.strip()][:2]
    try:
        return len(lines) > 1 and all(is_object(json.loads(line)) for line in lines)
    except ValueError:
        return False


_AS_MESSAGES = '[{"role": "user", "content": "..."}]'
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
        n_epochs: How many epochs are asked for, where the method is named by its `type`.
        options: What only this provider has.
    """

    provider: str | None = None
    model: str | None = None
    method: str | Method | None = None
    n_epochs: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def asked(self) -> Method:
        """The method, supervised if none was named.

        Raises:
            ConfigurationError: There is no such method, or it has no epochs.
        """
        if self.provider is None and (self.n_epochs is not None or self.options):
            message = "the number of epochs, and options, are a provider's."
            raise ConfigurationError(message, hint="Name --provider and --model.")
        if isinstance(self.method, Method):
            return self.method
        epochs = {} if self.n_epochs is None else {"n_epochs": self.n_epochs}
        return parse_method({"type": self.method or Supervised().type, **epochs})

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
        return canonical_rules(None if self.method is None else asked)


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
        validation: The validation file, which is looked over as well; and rows are told which both files have.
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
            provider_options=whose.options,
            warnings=warnings,
            validation=validation,
            **(today or Today()),
        )
    else:
        watches = datasets.watches_for(warnings, validation=validation, columns=columns)
        rules = whose.rules_by(client)
        report = datasets.check(source, rules, columns=columns, watches=watches, progress=True)
        if validation is not None:
            report = with_validation(report, validation, rules, columns=columns)
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
    wanted, rules = cast("Collection[Drop]", drop), whose.rules()
    mended = datasets.mend(source, target, rules, columns=columns, drop=wanted, watches=watches)
    if validation is None:
        return mended
    report = with_validation(mended.report, validation, rules, columns=columns)
    return mended.model_copy(update={"report": report})


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


def options_of(words: Iterable[str]) -> dict[str, Any]:
    """Reads options of a provider as a command line has them: "training_type=GlobalStandard".

    A value that can be read as JSON is what that says; any other is the text itself.

    Raises:
        ConfigurationError: There is no name, or no = after it.
    """
    found: dict[str, Any] = {}
    for word in words:
        name, is_there, value = word.partition("=")
        if not (name and is_there):
            hint = "Write NAME=VALUE, such as training_type=GlobalStandard."
            raise ConfigurationError(f"'{name}' names no option and its value.", hint=hint)
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
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
