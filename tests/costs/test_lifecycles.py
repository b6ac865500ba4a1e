"""How long a model lives is told by a table with dates, and by the service where it can be asked."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from ftkit import DPO, Supervised
from ftkit.lifecycles import announced, ending, unlisted, with_shutdown
from ftkit.models import Lifecycle, Severity

if TYPE_CHECKING:
    from ftkit.methods import Method

NOW = date(2026, 11, 27)
MINI = "gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize(
    ("provider", "model", "training", "serving"),
    [
        ("openai", MINI, date(2027, 1, 5), date(2027, 1, 13)),
        ("openai", f"ft:{MINI}:org::1", date(2027, 1, 5), date(2027, 1, 13)),
        ("openai", "gpt-4.1-nano", date(2026, 10, 22), date(2026, 10, 22)),
        ("openai", "gpt-3.5-turbo-0125", date(2026, 10, 22), date(2026, 10, 22)),
        ("azure", "gpt-4.1-mini", date(2027, 4, 13), date(2027, 10, 13)),
        ("azure", f"{MINI}.ft-01-word", date(2027, 3, 31), date(2027, 9, 30)),
    ],
)
def test_the_last_days_are_those_before_the_vendors_dates(
    provider: str, model: str, training: date, serving: date
) -> None:
    found = announced(provider, model, NOW)
    assert found is not None
    assert (found.training_ends, found.serving_ends) == (training, serving)
    assert found.source
    assert found.as_of is not None
    assert Lifecycle.model_validate_json(found.model_dump_json()) == found


def test_a_model_that_nobody_dated_has_no_dates() -> None:
    assert announced("openai", "gpt-4.7", NOW) is None
    assert announced("huggingface", MINI, NOW) is None


def test_an_end_names_the_days_left_and_where_one_could_go_on() -> None:
    found = announced("openai", MINI, NOW)
    assert found is not None
    told = ending(found, "openai", NOW)
    assert told is not None
    assert told.severity is Severity.WARNING
    assert "takes no fine-tuning jobs after 2027-01-05" in told.message
    assert "A model tuned today answers until 2027-01-13, 47 days." in told.message
    assert told.fix is not None
    assert told.fix.startswith("It could go on at azure (the same model, until 2027-09-30; supervised; ")
    assert "huggingface (openai/gpt-oss-20b; supervised, dpo)" in told.fix
    assert [(place.provider, place.same) for place in found.elsewhere] == [
        ("azure", True),
        ("huggingface", False),
        ("azure", False),
    ]
    assert not any(place.same for place in announced("azure", MINI, NOW).elsewhere), "openai ends before"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("today", "severity", "says"),
    [
        (date(2026, 1, 1), Severity.NOTE, "A model tuned today answers until 2027-01-13, 377 days."),
        (date(2027, 1, 5), Severity.WARNING, "A model tuned today answers until 2027-01-13, 8 days."),
        (date(2027, 1, 12), Severity.WARNING, "What was tuned on it before answers until 2027-01-13, 1 day."),
        (date(2027, 1, 14), Severity.WARNING, "answers any more: the last day was 2027-01-13."),
    ],
)
def test_what_is_told_goes_with_the_day(today: date, severity: Severity, says: str) -> None:
    found = announced("openai", MINI, today)
    assert found is not None
    told = ending(found, "openai", today)
    assert told is not None
    assert told.severity is severity
    assert says in told.message
    assert (" takes " in told.message) is (today <= date(2027, 1, 5))


def test_a_place_that_has_closed_is_no_place_to_go_on() -> None:
    found = announced("openai", MINI, date(2027, 4, 1))
    assert found is not None
    assert not any(place.same for place in found.elsewhere)


def test_the_word_of_the_service_wins() -> None:
    told = with_shutdown(announced("openai", MINI, NOW), MINI, date(2027, 3, 1), "GET /v1/models")
    assert (told.training_ends, told.serving_ends) == (date(2027, 1, 5), date(2027, 2, 28))
    assert told.source == "GET /v1/models"
    assert told.elsewhere
    assert with_shutdown(None, "new", date(2027, 3, 1), "x") == Lifecycle(
        model="new", serving_ends=date(2027, 2, 28), source="x", as_of=told.as_of
    )


@pytest.mark.parametrize(
    ("provider", "model", "method", "told"),
    [
        ("openai", "gpt-4.1-mni", Supervised(), ("unlisted-model", Severity.WARNING)),
        ("azure", "gtp-4o", Supervised(), ("unlisted-model", Severity.WARNING)),
        ("openai", "gpt-4.7", Supervised(), ("unlisted-model", Severity.NOTE)),  # newer, and not mistyped
        ("openai", "gpt-4o-mini", DPO(), ("unlisted-method", Severity.WARNING)),
        ("openai", "o4-mini", Supervised(), ("unlisted-method", Severity.WARNING)),
        ("azure", f"{MINI}.ft-01-word", DPO(), ("unlisted-method", Severity.WARNING)),
        ("openai", f"ft:{MINI}:org::1", Supervised(), None),
        ("openai", "gpt-3.5-turbo", Supervised(), None),
        ("azure", "gpt-oss-20b", Supervised(), None),
        ("acme", "gpt-4.1-mni", DPO(), None),
    ],
)
def test_a_model_or_method_that_is_not_known_there_is_told_and_not_refused(
    provider: str, model: str, method: Method, told: tuple[str, Severity] | None
) -> None:
    assert [(p.code, p.severity) for p in unlisted(provider, model, method)] == ([told] if told else [])


def test_nothing_is_told_of_a_model_without_an_end() -> None:
    assert ending(Lifecycle(model="x"), "acme", NOW) is None
    by_plug_in = ending(Lifecycle(model="x", serving_ends=date(2030, 1, 1)), "acme", NOW)
    assert by_plug_in is not None
    assert by_plug_in.severity is Severity.NOTE
