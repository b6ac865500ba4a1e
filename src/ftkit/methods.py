"""Fine-tuning methods and their hyperparameters, under the field's own names.

`Method` is open: a provider brings its own by subclassing it with a `type` of its own. On the wire and in the
ledger methods are told apart by `type`.

Every hyperparameter defaults to None, which means "the provider's default". That is more than taste: only what was
set is part of a request's key (see `ftkit.ledger`), so a default that changes with a new version of ftkit must not
make an old request look new, and be paid again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
    field_validator,
)

from ftkit.errors import ConfigurationError, looks_secret, without_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Auto = Literal["auto"]
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-.]")
_SECRET = re.compile(
    r"(^|_)(api_?key|key|token|secrets?|passwords?|passwd|passphrase|credentials?|authorization|bearer)$", re.IGNORECASE
)


_LONGEST_SHOWN = 32
"""A value that is longer may be a key, whatever it looks like, and is not needed to know what is wrong with it."""


_INNER = re.compile(r"constrained-\w+|literal\[.*\]|function-\w+\[.*\]")
"""What pydantic calls the members of a union, in the place of an error."""


def near(word: str, known: Iterable[str]) -> str:
    """Returns "; did you mean 'x'?" for the nearest known word, or nothing."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""


def names_secret(name: str) -> bool:
    """Whether a field of that name holds a secret: api_key, hub_token, clientSecret, ..."""
    return _SECRET.search(_HUMP.sub("_", name)) is not None


def values_in(value: object, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yields all values in JSON-like data, however deep, each before what is in it, with the names on the way to it."""
    yield names, value
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, object]", value).items():
            yield from values_in(inner, (*names, str(name)))
    elif isinstance(value, list | tuple):
        for inner in cast("Sequence[object]", value):
            yield from values_in(inner, names)


def explain(model: type[BaseModel], error: ValidationError, noun: str) -> str:
    """Says in one line a field what is wrong with the values given for a model.

    Args:
        model: The model that refused them.
        error: Its refusal.
        noun: What a field of it is called in the message, such as "hyperparameter".
    """
    lines: list[str] = []
    wrong: dict[str, list[str]] = {}  # a field that takes several types is refused by each of them
    shown: dict[str, str] = {}
    label = str(getattr(model, "written_as", None) or model.__name__)
    for item in error.errors(include_url=False):
        field = without_keys(".".join(str(part) for part in item["loc"] if not _INNER.fullmatch(str(part)))) or label
        if item["type"] == "extra_forbidden":
            known = [name for name in model.model_fields if name != "type"]
            has = f"It has: {', '.join(known) or 'none'}."
            lines.append(f"{label} has no {noun} '{field}'{near(field, known) or '.'} {has}")
        else:
            # Where a secret may be inside, even its type is all that is told of the value.
            value: object = item["input"]
            plain = value is None or isinstance(value, (bool, int, float, str))
            hidden = not plain or any(names_secret(str(part)) for part in item["loc"]) or _may_be_secret(value)
            shown[field] = f"a {type(value).__name__}" if hidden else repr(value)
            wrong.setdefault(field, []).append(item["msg"].removeprefix("Value error, ").rstrip("."))
    lines += [f"{label}.{field}: {', or '.join(why)} (got {shown[field]})." for field, why in wrong.items()]
    return "\n".join(lines)


def _may_be_secret(value: object) -> bool:
    return isinstance(value, str) and (len(value) > _LONGEST_SHOWN or looks_secret(value))


class Settings(BaseModel):
    """Base of what a user writes by hand: an unknown or impossible field is one readable `ConfigurationError`.

    Attributes:
        field_noun: What a field is called in that error.
        written_as: What the user wrote it as, where it was not the name of the class: "provider_options", say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    field_noun: ClassVar[str] = "setting"
    written_as: ClassVar[str | None] = None

    if not TYPE_CHECKING:  # hidden from checkers, which keep the precise signature that pydantic declares

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                message = explain(type(self), error, self.field_noun)
            else:
                return
            values.clear()  # a key may be among them, and pydantic's own error would hold it
            raise ConfigurationError(message)


class LoRA(Settings):
    """Low-rank adapters, trained in place of all weights.

    Attributes:
        r: Rank of the update matrices.
        alpha: Scale of the update; the weights change by alpha / r times the product of the matrices.
        dropout: Share of the adapter's input that is dropped in training, 0 to 1.
        target_modules: Names of the layers to adapt, or "all-linear".
    """

    field_noun: ClassVar[str] = "LoRA setting"

    r: PositiveInt | None = None
    alpha: PositiveInt | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    target_modules: Literal["all-linear"] | tuple[str, ...] | None = None


class Method(Settings):
    """Base of all fine-tuning methods. Subclass it with a `type` of your own to bring a new one.

    Attributes:
        type: The name that tells methods apart on the wire and in the ledger.
    """

    field_noun: ClassVar[str] = "hyperparameter"
    registry: ClassVar[dict[str, type[Method]]] = {}

    type: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Makes the new method known by its `type`.

        Raises:
            TypeError: The class names no `type`, or one that another class has.
        """
        super().__pydantic_init_subclass__(**kwargs)
        name = cls.model_fields["type"].default
        if not isinstance(name, str):
            if cls.__name__.startswith("_"):
                return  # a shared base without a type of its own
            message = f"{cls.__name__} needs a type of its own, such as: type: str = 'mine'"
            raise TypeError(message)
        known = Method.registry.setdefault(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            message = f"the method type '{name}' belongs to {known.__module__}.{known.__qualname__} already"
            raise TypeError(message)
        Method.registry[name] = cls

    @field_validator("type")
    @classmethod
    def _keeps_its_type(cls, value: str) -> str:
        if value != cls.model_fields["type"].default:
            message = f"the type of {cls.__name__} is '{cls.model_fields['type'].default}'"
            raise ValueError(message)
        return value

    def hyperparameters(self) -> dict[str, Any]:
        """Returns the hyperparameters that were set, by name, in JSON form."""
        return self.model_dump(mode="json", exclude_none=True, exclude={"type"})


class _Tuning(Method):
    """What all gradient-based methods share.

    Attributes:
        n_epochs: Times the training file is gone through.
        batch_size: Examples a step.
        learning_rate_multiplier: Factor on the provider's own learning rate (OpenAI, Azure).
        learning_rate: The learning rate itself (where one trains with open weights).
        lora: Train low-rank adapters: True for the provider's defaults, False for all weights.
    """

    n_epochs: PositiveInt | Auto | None = None
    batch_size: PositiveInt | Auto | None = None
    learning_rate_multiplier: PositiveFloat | Auto | None = None
    learning_rate: PositiveFloat | None = None
    lora: LoRA | bool | None = None


class Supervised(_Tuning):
    """Supervised fine-tuning: learn to give the answers in the data."""

    type: str = "supervised"


class DPO(_Tuning):
    """Direct preference optimisation: learn to prefer one answer to another (arXiv:2305.18290).

    Attributes:
        beta: How strongly the model is held to where it started.
    """

    type: str = "dpo"
    beta: PositiveFloat | Auto | None = None


class ORPO(_Tuning):
    """Odds-ratio preference optimisation, without a reference model (arXiv:2403.07691).

    Attributes:
        beta: Weight of the odds-ratio term (lambda in the paper).
    """

    type: str = "orpo"
    beta: PositiveFloat | None = None


class Reward(_Tuning):
    """Training of a reward model on preference pairs."""

    type: str = "reward"


class Reinforcement(_Tuning):
    """Reinforcement fine-tuning: answers are scored by a grader.

    Attributes:
        grader: The grader, in the provider's own form.
        compute_multiplier: Factor on the exploration per step.
        eval_interval: Steps between evaluations.
        eval_samples: Samples a validation example.
        reasoning_effort: How long the model thinks, for reasoning models.
    """

    type: str = "reinforcement"
    grader: dict[str, Any] | None = None
    compute_multiplier: PositiveFloat | Auto | None = None
    eval_interval: PositiveInt | Auto | None = None
    eval_samples: PositiveInt | Auto | None = None
    reasoning_effort: Literal["default", "low", "medium", "high"] | None = None


def parse_method(value: object) -> Method:
    """Reads a method from its JSON form by its `type`.

    Raises:
        ConfigurationError: There is no `type`, or no installed method has it, or a hyperparameter is wrong.
    """
    if isinstance(value, Method):
        return value
    meant = Method.registry.get(value) if isinstance(value, str) else value
    if isinstance(meant, type) and issubclass(meant, Method):
        message = f"a fine-tuning method is an object with its hyperparameters: write {meant.__name__}(...)."
        raise ConfigurationError(message)
    fields: dict[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else {"type": value}
    name = fields.get("type")
    if not isinstance(name, str) or name not in Method.registry:
        known = ", ".join(sorted(Method.registry))
        message = f"unknown fine-tuning method {name!r}{near(str(name), Method.registry) or '.'} Known: {known}."
        raise ConfigurationError(message)
    return Method.registry[name](**fields)


AnyMethod = Annotated[SerializeAsAny[Method], BeforeValidator(parse_method)]
"""A field that holds any method, and finds its class again by `type` when read from JSON."""
