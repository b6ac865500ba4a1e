"""`Plan`: what a recipe of ftkit's own asks for. Its keys are the keywords of `Client.fine_tune`, by the same names.

model = "small"
train = "train.jsonl"
provider = "huggingface"
method = { type = "supervised", n_epochs = 3, lora = { r = 8 } }

What a command line says besides wins over what the recipe says, key by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

from pydantic import Field

from ftkit.errors import ConfigurationError, looks_secret
from ftkit.methods import AnyMethod, Method, Supervised, names_secret, near, parse_method, values_in
from ftkit.models import Noun, counted
from ftkit.recipes.document import fill
from ftkit.recipes.sections import Name, Section, read_section

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND_LINE = "the command line"
_NEEDED = ("model", "train")
_MEANT = {
    "training_file": "train",
    "validation_file": "validation",
    "options": "provider_options",
    "labels": "metadata",
}
"""What a user may write -> the key that it is."""


class Plan(Noun):
    """A whole fine-tuning, as `Client.fine_tune` takes it.

    Attributes:
        source: The recipe's own path, or what stands for it in errors.
        provider: Name of the provider, or of a profile; None for the default profile.
        model: The base model, or a role.
        train: The data to train on. Its path is taken from the working folder, not from the recipe's.
        validation: The data to validate on.
        method: The method and its hyperparameters.
        suffix: A word that becomes part of the tuned model's name.
        seed: Seed of all randomness.
        metadata: Labels of the user's own.
        columns: The files' own column names -> those of the record.
        provider_options: What only this provider has.
        budget: The most that the job may cost; the client's own if None.
        key: What makes a deliberate second job of the same request.
    """

    source: str
    provider: str | None = None
    model: str
    train: str
    validation: str | None = None
    method: AnyMethod = Supervised()
    suffix: str | None = None
    seed: int | None = None
    metadata: Mapping[str, str] = Field(default_factory=dict[str, str])
    columns: Mapping[str, str] = Field(default_factory=dict[str, str])
    provider_options: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    budget: Decimal | None = None
    key: str | None = None


class Keys(Section):
    """The keys of such a recipe, but for the method."""

    place = ""

    provider: Name | None = None
    model: Name | None = None
    train: Name | None = None
    validation: Name | None = None
    suffix: Name | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    metadata: Mapping[str, str] | None = None
    columns: Mapping[str, str] | None = None
    provider_options: Mapping[str, Any] | None = None
    budget: Annotated[Decimal, Field(ge=0)] | None = None
    key: Name | None = None


_KNOWN = ("method", *Keys.model_fields)


class Written(NamedTuple):
    """A recipe as it is written.

    Attributes:
        source: Its path; `COMMAND_LINE` if there is none.
        document: Its keys.
    """

    source: str
    document: Mapping[str, Any]


def plan_of(written: Written, given: Mapping[str, Any]) -> Plan:
    """Makes a plan of a recipe, and of what was said besides.

    Args:
        written: The recipe.
        given: Keys as the recipe has them, which win over it: one by one, also within a table.

    Raises:
        ConfigurationError: Something is wrong; it names every key at once.
    """
    source, wrong = written.source, list[str]()
    document = fill(written.document, wrong, but=())
    wrong += [f"{place}: it looks like a secret, which has no place here. Take it out." for place in _secrets(document)]
    wrong += [f"{key}: there is no such key{_meant(key)}" for key in document if key not in _KNOWN]
    asked = merged({key: value for key, value in document.items() if key in _KNOWN}, given)
    method = _method(asked.pop("method", None), wrong)
    keys = read_section(Keys, asked, wrong)
    dashes = "--" if source == COMMAND_LINE else ""
    unset = [key for key in _NEEDED if key not in asked and not _is_told(key, wrong)]
    wrong += [f"{dashes}{key}: it is missing." for key in unset]
    if wrong or keys.model is None or keys.train is None or method is None:
        lines = "\n".join(f"  {line}" for line in wrong)
        message = f"{source} cannot be run as it is; {counted(len(wrong), 'thing')} to mend:\n{lines}"
        hint = "Or name a recipe: ftkit run RECIPE." if source == COMMAND_LINE and not given else None
        raise ConfigurationError(message, hint=hint)
    found = {name: value for name, value in keys.model_dump().items() if value is not None}
    return Plan(source=source, method=method, **found)


def merged(document: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a document with what was given laid over it, table by table."""
    found = dict(document)
    for name, value in given.items():
        below = found.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        found[name] = merged(cast("Mapping[str, Any]", below), cast("Mapping[str, Any]", value)) if both else value
    return found


def _is_told(key: str, wrong: list[str]) -> bool:
    return any(line.startswith(f"{key}:") for line in wrong)


def _method(value: object, wrong: list[str]) -> Method | None:
    if value is None:
        return Supervised()
    table: object = {"type": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping):
        wrong.append(f"method: here stand keys with values, such as type and n_epochs (got {value!r:.80}).")
        return None
    try:
        return parse_method({"type": Supervised().type, **cast("Mapping[str, Any]", table)})
    except ConfigurationError as error:
        wrong += [f"method: {line}" for line in error.message.splitlines()]
        return None


def _meant(key: str) -> str:
    if key in _MEANT:
        return f"; did you mean '{_MEANT[key]}'?"
    if any(key in method.model_fields for method in Method.registry.values()):
        return f"; it is a hyperparameter: write it within `method`, as method.{key}."
    return near(key, _KNOWN) or f". There are: {', '.join(_KNOWN)}."


def _secrets(document: Mapping[str, Any]) -> Iterator[str]:
    for names, value in values_in(document):
        is_named_so = bool(names) and names != ("key",) and names_secret(names[-1])
        if is_named_so or (isinstance(value, str) and looks_secret(value)):
            yield ".".join(names)
