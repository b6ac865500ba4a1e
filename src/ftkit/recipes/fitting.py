"""A recipe for another provider than the one it is written for: by the options that it has, not by its name."""

from __future__ import annotations

from dataclasses import dataclass
from operator import not_
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, create_model

from ftkit.errors import UnsupportedError
from ftkit.models import Problem, Severity
from ftkit.recipes.keys import FIELDS, drop_fields, key_of, parse_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic import BaseModel

    from ftkit.client import Client
    from ftkit.recipes.recipe import Recipe

_BLOCK = 1024
"""AutoTrain's own block_size."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Another way to say an option.

    Attributes:
        name: What other providers call it.
        value: The value in their words, from that of the recipe.
    """

    name: str
    value: Callable[[Any], Any] = lambda value: value


_SYNONYMS: Mapping[str, _Way] = {
    "block_size": _Way("max_length"),
    "disable_gradient_checkpointing": _Way("gradient_checkpointing", not_),
    "mixed_precision": _Way("precision"),
    "gradient_accumulation": _Way("gradient_accumulation_steps"),
    "optimizer": _Way("optim"),
    "quantization": _Way("quantization", {"int4": "4bit", "int8": "8bit"}.get),
    "scheduler": _Way("lr_scheduler_type"),
    "use_flash_attention_2": _Way("attention", {True: "flash_attention_2"}.get),
}
_NEEDLESS: Mapping[str, tuple[object, ...]] = {
    "add_eos_token": (True,),
    "auto_find_batch_size": (False,),
    "chat_template": ("tokenizer",),
    "merge_adapter": (True,),
    "padding": ("right",),
    "quantization": ("none",),
    "trainer": ("sft", "generic"),
    "use_flash_attention_2": (False,),
}
"""Values that ask for what every provider does by itself, where it has no such option."""
_IMMATERIAL = {"gradient_accumulation"}
"""How a step is computed, which changes nothing of what is learnt: `batch_size` is all of it."""


def fitted(recipe: Recipe, client: Client, *, without: str | Iterable[str] = ()) -> Recipe:
    """Returns the recipe as the provider of a client can run it: the same request in that provider's own words.

    What the recipe says is carried over, under the names that the provider's options have. What it does not say is
    left to the provider, whose defaults are not AutoTrain's (LoRA's rank, say, or which tokens are learnt from).

    Args:
        recipe: The recipe.
        client: A client of the provider.
        without: Keys of the recipe to leave out knowingly, such as "params.block_size".

    Raises:
        UnsupportedError: The provider cannot do some of it; every such key is named at once. Nothing was sent.
    """
    recipe = drop_fields(recipe, parse_keys(without))
    problems: list[Problem] = []
    options = _carried(recipe, client.provider.Options, problems)
    model = client.resolve_model(recipe.model)
    found = recipe.model_copy(update={"model": model, "provider_options": options})
    problems += _refused(found, client)
    if problems:
        raise _error(recipe, client, problems)
    return found


def _carried(recipe: Recipe, known: type[BaseModel], problems: list[Problem]) -> dict[str, Any]:
    given, found = dict(recipe.provider_options), dict[str, Any]()
    if "model_max_length" not in known.model_fields and "max_length" in known.model_fields:
        _cap(given)
    for name, value in given.items():
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


def _cap(given: dict[str, Any]) -> None:
    """Makes one number of two that both bound the length of a row."""
    most: int | None = given.pop("model_max_length", None)
    if most is not None:
        given["block_size"] = min(most, given.get("block_size", _BLOCK))


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
    return Problem(code="not-carried-over", field=key_of(f"provider_options.{name}"), message=message)


def _refused(recipe: Recipe, client: Client) -> Iterator[Problem]:
    """Yields what the provider itself refuses, by the keys of the recipe."""
    provider, task = client.provider, recipe.method.type
    if type(recipe.method) not in provider.methods:
        known = ", ".join(sorted(str(method.model_fields["type"].default) for method in provider.methods))
        yield Problem(code="unsupported-method", field="task", message=f"there is no '{task}' here. There is: {known}.")
        return
    for problem in provider.problems(recipe):
        if problem.severity is Severity.ERROR:
            yield problem.model_copy(update={"field": key_of(problem.field)})


def _error(recipe: Recipe, client: Client, problems: list[Problem]) -> UnsupportedError:
    summary = f"the provider '{client.provider.name}' cannot run {recipe.source} as it is; nothing was sent."
    fields = dict.fromkeys(problem.field for problem in problems if problem.field)
    keys, others = [f for f in fields if f in FIELDS], [f for f in fields if f not in FIELDS]
    hints = [f"To leave out, knowingly: --without {','.join(keys)}"] if keys else []
    hints += [f"To change: {', '.join(others)}"] if others else []
    return UnsupportedError(summary, problems, hint="; ".join(hints))
