"""How long models can be trained and asked, as their vendors have announced it, and where one could go on.

    announced("openai", "gpt-4o-mini")               the `Lifecycle`, offline, by the table `ftkit/lifecycles.toml`
    ending(lifecycle, "openai", today)               what to tell of it, if anything
    unlisted("openai", "gpt-4o-mini", DPO())         what to tell of a model or a method that is not known there

Where a key is there, the provider asks the service itself, whose word counts (`with_shutdown`).
"""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ftkit.methods import near
from ftkit.models import Elsewhere, Lifecycle, Noun, Problem, Severity, counted
from ftkit.tokens import base_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ftkit.methods import Method

FILE_NAME = "lifecycles.toml"
_SOON = timedelta(days=180)
"""An end that is nearer than that is a warning; a later one is good to know."""


class _Dated(Noun):
    """A model at a provider, with the vendor's own dates."""

    provider: str
    model: tuple[str, ...]
    methods: tuple[str, ...] = ()
    training_closes: date | None = None
    shuts_down: date | None = None
    note: str | None = None
    source: str
    as_of: date

    def fits(self, model: str) -> bool:
        return _any(self.model, model)

    def goes_on(self, today: date) -> bool:
        """Whether jobs are still taken."""
        return self.training_closes is None or today < self.training_closes

    def outlives(self, other: _Dated) -> bool:
        """Whether tuned models answer for longer than at another provider."""
        return self.shuts_down is None or (other.shuts_down is not None and self.shuts_down > other.shuts_down)


class _Open(Noun):
    """An open model, and the kind of models that it is like."""

    kind: tuple[str, ...]
    provider: str
    model: str
    methods: tuple[str, ...]
    note: str | None = None
    source: str
    as_of: date


class _Table(Noun):
    """What `lifecycles.toml` holds."""

    models: tuple[_Dated, ...]
    open: tuple[_Open, ...]


def today_utc() -> date:
    """Returns the date of today, in UTC."""
    return datetime.now(UTC).date()


def announced(provider: str, model: str, today: date | None = None) -> Lifecycle | None:
    """Returns what is known of a model without asking anybody; None if its dates are not known.

    Args:
        provider: Name of the provider.
        model: The model, tuned or not.
        today: The date of today, in UTC, if it is not the clock's.
    """
    base = base_of(model)
    row = next((row for row in reversed(_table().models) if row.provider == provider and row.fits(base)), None)
    if row is None:
        return None
    return Lifecycle(
        model=model,
        training_ends=_day_before(row.training_closes),
        serving_ends=_day_before(row.shuts_down),
        source=row.source,
        as_of=row.as_of,
        note=row.note,
        elsewhere=tuple(_elsewhere(row, base, today or today_utc())),
    )


def with_shutdown(known: Lifecycle | None, model: str, shutdown: date, source: str) -> Lifecycle:
    """Returns a lifecycle with the date on which the service itself says that a model is shut down.

    Args:
        known: What was announced.
        model: The model.
        shutdown: The first day on which it does not answer.
        source: Where the service says so.
    """
    told = {"serving_ends": _day_before(shutdown), "source": source, "as_of": today_utc()}
    return (known or Lifecycle(model=model)).model_copy(update=told)


def ending(lifecycle: Lifecycle, provider: str, today: date | None = None) -> Problem | None:
    """Returns what to tell of the end of a model: a warning if it is near, else a note; None if no end is known.

    Nothing is refused for it: what was announced may be put off.

    Args:
        lifecycle: The dates of the model.
        provider: Name of the provider.
        today: The date of today, in UTC, if it is not the clock's.
    """
    now = today or today_utc()
    dates = [each for each in (lifecycle.training_ends, lifecycle.serving_ends) if each is not None]
    if not dates:
        return None
    told = " ".join([*_of_training(lifecycle, provider, now), *_of_serving(lifecycle, now)])
    places = ", or ".join(str(place) for place in lifecycle.elsewhere)
    source = f"{lifecycle.source}, read on {lifecycle.as_of}" if lifecycle.as_of else lifecycle.source
    fix = f"It could go on at {places}. " if places else ""
    is_near = min(dates) - now <= _SOON
    return Problem(
        severity=Severity.WARNING if is_near else Severity.NOTE,
        code="ending",
        field="model",
        message=told,
        fix=f"{fix}({source}; today is {now}.)",
    )


def unlisted(provider: str, model: str, method: Method) -> list[Problem]:
    """Returns what is to be told of a model that is not known to be tuned at a provider, or not by that method.

    Nothing is refused for it: a table ages, and the vendor has the last word.

    Args:
        provider: Name of the provider.
        model: The model, tuned or not.
        method: The method by which it is to be tuned.
    """
    base = base_of(model)
    rows = [row for row in _table().models if row.provider == provider]
    row = next((row for row in reversed(rows) if row.fits(base)), None)
    if row is None:
        known = {name for each in rows for name in each.model}
        known |= {each.model for each in _table().open if each.provider == provider}
        return [_unknown_here(provider, base, known)] if rows and base not in known else []
    if not row.methods or method.type in row.methods:
        return []
    message = f"{base} is known to be tuned at {provider} by {', '.join(row.methods)}, and not by {method.type}."
    return [
        Problem(
            severity=Severity.WARNING,
            code="unlisted-method",
            field="method",
            message=message,
            fix=f"Choose another model or method, unless you know better. ({row.source}, read on {row.as_of}.)",
        )
    ]


def is_listed(model: str) -> bool:
    """Whether the table knows a model by its very name, at whatever provider."""
    base = base_of(model)
    return any(row.fits(base) for row in _table().models) or any(each.model == base for each in _table().open)


def _unknown_here(provider: str, base: str, known: Iterable[str]) -> Problem:
    """A name that is near to a known one is likely to be mistyped; any other may be newer than the table."""
    alike = [name for name in known if _figures(name) == _figures(base)]  # gpt-4.7 is no gpt-4.1 that was mistyped
    meant = near(base, alike)
    message = f"ftkit does not know '{base}' as a model that is tuned at {provider}{meant or '.'}"
    severity = Severity.WARNING if meant else Severity.NOTE
    return Problem(severity=severity, code="unlisted-model", field="model", message=message)


def _figures(name: str) -> str:
    return "".join(filter(str.isdigit, name))


def _of_training(lifecycle: Lifecycle, provider: str, now: date) -> Iterator[str]:
    ends = lifecycle.training_ends
    if ends is not None:
        note = f" ({lifecycle.note})" if lifecycle.note else ""
        yield f"{provider} {'takes' if now <= ends else 'took'} no fine-tuning jobs after {ends}{note}."


def _of_serving(lifecycle: Lifecycle, now: date) -> Iterator[str]:
    ends = lifecycle.serving_ends
    if ends is None:
        return
    left = counted((ends - now).days, "day")
    if ends < now:
        yield f"No model that was tuned on it answers any more: the last day was {ends}."
    elif lifecycle.training_ends is not None and lifecycle.training_ends < now:
        yield f"What was tuned on it before answers until {ends}, {left}."
    else:
        yield f"A model tuned today answers until {ends}, {left}."


def _elsewhere(here: _Dated, base: str, today: date) -> Iterator[Elsewhere]:
    for row in _table().models:
        if row.provider != here.provider and row.fits(base) and row.goes_on(today) and row.outlives(here):
            yield Elsewhere(
                provider=row.provider,
                model=base,
                same=True,
                training_ends=_day_before(row.training_closes),
                serving_ends=_day_before(row.shuts_down),
                note=_noted(row.methods, row.note),
                source=row.source,
                as_of=row.as_of,
            )
    for other in _table().open:
        if _any(other.kind, base):
            yield Elsewhere(
                provider=other.provider,
                model=other.model,
                same=False,
                note=_noted(other.methods, other.note),
                source=other.source,
                as_of=other.as_of,
            )


def _noted(methods: Sequence[str], note: str | None) -> str | None:
    return "; ".join(each for each in (", ".join(methods), note) if each) or None


def _day_before(day: date | None) -> date | None:
    return None if day is None else day - timedelta(days=1)


def _any(globs: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


@cache
def _table() -> _Table:
    content = tomllib.loads(files("ftkit").joinpath(FILE_NAME).read_text(encoding="utf-8"))
    for row in content["models"]:
        row["model"] = [row["model"]] if isinstance(row["model"], str) else row["model"]
    return _Table.model_validate(content)
