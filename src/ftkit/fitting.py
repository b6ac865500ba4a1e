"""A request for another provider than the one it was thought for: what can be carried over, and what cannot.

A hyperparameter that a provider does not know is an error, never dropped. Whoever moves from one provider to another
leaves some out knowingly: `fit` finds which, and names each with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import not_
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError, create_model

from ftkit.errors import UnsupportedError
from ftkit.methods import Method, Supervised
from ftkit.models import NOT_SENT, JobRequest, Problem, Severity, TrainingFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import BaseModel

    from ftkit.client import Client

_FIELD = "method."


@dataclass(frozen=True, slots=True)
class _Way:
    """Another way to say an option.

    Attributes:
        name: What other providers call it.
        value: The value in their words.
    """

    name: str
    value: Callable[[Any], Any] = lambda value: value


_BITS = {"int4": "4bit", "int8": "8bit"}
_FLASH = "flash_attention_2"
_SYNONYMS: Mapping[str, _Way] = {
    "block_size": _Way("max_length"),
    "disable_gradient_checkpointing": _Way("gradient_checkpointing", not_),
    "mixed_precision": _Way("precision"),
    "gradient_accumulation": _Way("gradient_accumulation_steps"),
    "optimizer": _Way("optim"),
    "quantization": _Way("quantization", {**_BITS, **{ours: theirs for theirs, ours in _BITS.items()}}.get),
    "scheduler": _Way("lr_scheduler_type"),
    "use_flash_attention_2": _Way("attention", {True: _FLASH}.get),
    "max_length": _Way("block_size"),
    "gradient_checkpointing": _Way("disable_gradient_checkpointing", not_),
    "precision": _Way("mixed_precision"),
    "gradient_accumulation_steps": _Way("gradient_accumulation"),
    "optim": _Way("optimizer"),
    "lr_scheduler_type": _Way("scheduler"),
    "attention": _Way("use_flash_attention_2", {_FLASH: True}.get),
}
_NEEDLESS: Mapping[str, tuple[object, ...]] = {
    "add_eos_token": (True,),
    "auto_find_batch_size": (False,),
    "chat_template": ("tokenizer",),
    "merge_adapter": (True,),
    "packing": (False,),
    "padding": ("right",),
    "quantization": ("none",),
    "trainer": ("sft", "generic"),
    "use_flash_attention_2": (False,),
}
"""Values that ask for what every provider does by itself, where it has no such option."""
_IMMATERIAL = {"gradient_accumulation", "gradient_accumulation_steps", "gradient_checkpointing"}
"""How a step is computed, which changes nothing of what is learnt: `batch_size` is all of it."""


class Fitted(NamedTuple):
    """What of a request a provider can do.

    Attributes:
        method: The method, with the hyperparameters that the provider knows.
        provider_options: The options, in the provider's own words.
        left_out: What cannot be carried over, each with its reason.
    """

    method: Method
    provider_options: dict[str, Any]
    left_out: tuple[Problem, ...]


def fit(
    client: Client,
    *,
    model: str,
    method: Method | None = None,
    provider_options: Mapping[str, Any] | None = None,
) -> Fitted:
    """Returns what of a method and of options a client's provider can do, and what it cannot. Sends nothing.

    Options of Hugging Face and of AutoTrain that mean the same are carried over under the name that the provider has.

    Args:
        client: A client of the provider.
        model: The base model there, or a role such as "small".
        method: The method and its hyperparameters, whatever provider they were thought for; supervised if None.
        provider_options: Options in any provider's words.

    Raises:
        UnsupportedError: The provider has no such method at all.
    """
    asked, problems = method or Supervised(), list[Problem]()
    if type(asked) not in client.provider.methods:
        raise UnsupportedError(no_method(client, asked))
    options = carry(provider_options or {}, client.provider.Options, problems)
    while refused := list(_refused(client, client.resolve_model(model), asked, options)):
        names = {str(problem.field).removeprefix(_FIELD).partition(".")[0] for problem in refused}
        problems += refused
        asked = type(asked)(**{name: value for name, value in _set_in(asked) if name not in names})
    return Fitted(asked, options, tuple(problems))


def no_method(client: Client, method: Method) -> str:
    """Says that a provider has no such method, and which it has."""
    known = ", ".join(sorted(str(each.model_fields["type"].default) for each in client.provider.methods))
    return f"there is no '{method.type}' here. There is: {known}."


def carry(options: Mapping[str, Any], known: type[BaseModel], problems: list[Problem]) -> dict[str, Any]:
    """Returns options in a provider's own words.

    Args:
        options: Options in any provider's words.
        known: The provider's `Options`.
        problems: Gets a problem for each option that cannot be carried over.
    """
    found = dict[str, Any]()
    for name, value in options.items():
        way = _SYNONYMS.get(name, _Way(name))
        if _takes(known, name, value):
            found[name] = value
        elif value in _NEEDLESS.get(name, ()):
            continue
        elif _takes(known, way.name, way.value(value)):
            found[way.name] = way.value(value)
        elif name not in _IMMATERIAL:
            problems.append(_not_carried(name, value, way.name, known))
    return found


def _takes(known: type[BaseModel], name: str, value: object) -> bool:
    """Whether a provider has an option of that name, which may have that value."""
    field = known.model_fields.get(name)
    if field is None or value is None:
        return False
    fields: dict[str, Any] = {name: (field.annotation, field)}
    try:
        create_model("Option", **fields)(**{name: value})
    except ValidationError:
        return False
    return True


def _not_carried(name: str, value: object, other: str, known: type[BaseModel]) -> Problem:
    message = f"it is {value!r}, and there is nothing like it here."
    if other in known.model_fields:
        message = f"it is {value!r}, which '{other}' cannot be here."
    return Problem(code="not-carried-over", field=f"provider_options.{name}", message=message)


def _refused(client: Client, model: str, method: Method, options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yields what the provider refuses of the hyperparameters that are set."""
    file = TrainingFile(id=NOT_SENT, provider=client.provider.name)
    request = JobRequest(model=model, training_file=file, method=method, provider_options=options)
    names = {name for name, _ in _set_in(method)}
    for problem in client.provider.problems(request):
        field = problem.field or ""
        name = field.removeprefix(_FIELD).partition(".")[0]
        if problem.severity is Severity.ERROR and field.startswith(_FIELD) and name in names:
            yield problem


def _set_in(method: Method) -> Iterator[tuple[str, Any]]:
    for name, value in method:
        if name != "type" and value is not None:
            yield name, value
