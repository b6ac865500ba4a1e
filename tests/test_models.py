from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ftkit import errors
from ftkit.errors import ConfigurationError
from ftkit.methods import parse_method
from ftkit.models import (
    DPO,
    Deployment,
    DeploymentStatus,
    FineTuningJob,
    JobRequest,
    JobStatus,
    LoRA,
    Method,
    Page,
    Problem,
    Report,
    Severity,
    Supervised,
    TrainingFile,
)

hyperparameters = st.fixed_dictionaries(
    {},
    optional={
        "n_epochs": st.one_of(st.just("auto"), st.integers(1, 50)),
        "batch_size": st.integers(1, 256),
        "learning_rate": st.floats(1e-9, 1.0),
        "lora": st.one_of(st.booleans(), st.builds(LoRA, r=st.integers(1, 512), dropout=st.floats(0, 0.9))),
    },
)


@given(hyperparameters, st.none() | st.text(min_size=1), st.dictionaries(st.text(), st.text()))
def test_a_request_round_trips_through_json(
    values: dict[str, object], suffix: str | None, labels: dict[str, str]
) -> None:
    request = JobRequest(
        model="m",
        training_file=TrainingFile(id="f", provider="p"),
        method=Supervised.model_validate(values),
        suffix=suffix,
        metadata=labels,
    )
    assert JobRequest.model_validate_json(request.model_dump_json()) == request


def test_a_method_finds_its_class_again() -> None:
    job = FineTuningJob(id="j", provider="p", status=JobStatus.RUNNING, model="m", method=DPO(beta=0.2))
    again = FineTuningJob.model_validate_json(job.model_dump_json())
    assert type(again.method) is DPO
    assert again == job


def test_a_stranger_brings_a_method() -> None:
    class Kto(Method):
        type: str = "kto-of-the-tests"
        desirable_weight: float | None = None

    request = JobRequest(model="m", training_file=TrainingFile(id="f", provider="p"), method=Kto(desirable_weight=1.5))
    assert JobRequest.model_validate_json(request.model_dump_json()) == request


def test_two_methods_of_one_type_are_refused() -> None:
    with pytest.raises(TypeError, match="'dpo' belongs to"):
        type("Other", (Method,), {"__annotations__": {"type": str}, "type": "dpo", "__module__": __name__})


def test_an_unknown_type_is_an_error_that_tells_the_known() -> None:
    with pytest.raises(ValidationError, match="unknown fine-tuning method 'dpoo'; did you mean 'dpo'"):
        JobRequest.model_validate(
            {"model": "m", "training_file": {"id": "f", "provider": "p"}, "method": {"type": "dpoo"}}
        )


def test_an_unknown_hyperparameter_is_one_clear_error() -> None:
    with pytest.raises(
        errors.ConfigurationError, match="Supervised has no hyperparameter 'n_epoch'; did you mean 'n_epochs'"
    ):
        Supervised(n_epoch=3)


@pytest.mark.parametrize(
    "values", [{"n_epochs": 0}, {"learning_rate": float("nan")}, {"type": "dpo"}, {"batch_size": -1}]
)
def test_an_impossible_hyperparameter_is_a_configuration_error(values: dict[str, object]) -> None:
    with pytest.raises(errors.ConfigurationError, match=next(iter(values))):
        Supervised(**values)


def test_nouns_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainingFile(id="f", provider="p").id = "g"  # type: ignore[misc]


@pytest.mark.parametrize("status", [*JobStatus])
def test_only_three_states_are_the_end(status: JobStatus) -> None:
    assert status.is_terminal == (status.value in {"succeeded", "failed", "cancelled"})


def test_times_are_utc() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=timezone(timedelta(hours=2)))
    job = FineTuningJob(id="j", provider="p", status=JobStatus.QUEUED, model="m", created_at=noon)
    assert job.created_at == datetime(2026, 11, 24, 10, tzinfo=UTC)
    naive = FineTuningJob(
        id="j", provider="p", status=JobStatus.QUEUED, model="m", created_at=noon.replace(tzinfo=None)
    )
    assert naive.created_at == datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_a_price_keeps_its_digits() -> None:
    deployment = Deployment(
        name="d", provider="p", status=DeploymentStatus.RUNNING, model="m", price_per_hour=Decimal("1.70")
    )
    assert Deployment.model_validate_json(deployment.model_dump_json()).price_per_hour == Decimal("1.70")


def test_an_empty_page_has_no_next() -> None:
    with pytest.raises(ValidationError, match="without items"):
        Page[int](items=(), next="x")


def test_a_problem_reads_where_what_and_how() -> None:
    problem = Problem(
        code="unknown-role",
        message="unknown role 'bot'.",
        fix="Use 'assistant'.",
        source="t.jsonl",
        line=12,
        field="messages[1].role",
    )
    assert str(problem) == "error: t.jsonl:12 messages[1].role: unknown role 'bot'. Use 'assistant'."


def test_a_report_is_ok_without_errors() -> None:
    warning = Problem(code="w", message="hm", severity=Severity.WARNING)
    assert Report(source="t", problems=(warning,)).ok
    report = Report(source="t", problems=(warning, Problem(code="e", message="no")))
    assert not report.ok
    assert (len(report.errors), len(report.warnings)) == (1, 1)


def test_errors_are_a_tree_that_fits_the_builtins() -> None:
    assert issubclass(errors.NotFoundError, LookupError)
    assert issubclass(errors.JobTimeoutError, TimeoutError)
    assert issubclass(errors.DatasetError, ValueError)
    assert issubclass(errors.MissingExtraError, ImportError)
    every = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert all(issubclass(e, errors.FtkitError) for e in every)
    drawn = errors.__doc__ or ""
    assert all(e.__name__ in drawn for e in every if not e.__name__.startswith("_"))


def test_an_error_tells_provider_request_and_what_to_do() -> None:
    error = errors.QuotaError(
        "limit reached", provider="acme", request_id="req_1", status_code=429, hint="Ask for more."
    )
    assert str(error) == "acme: limit reached (request id req_1)\n  -> Ask for more."


@pytest.mark.parametrize("method", ["dpo", DPO])
def test_a_method_by_its_name_or_class_is_told_how_to_be_written(method: object) -> None:
    with pytest.raises(ConfigurationError, match=r"write DPO\(\.\.\.\)"):
        parse_method(method)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ConfigurationError, match="unknown fine-tuning method 'supervisd'; did you mean 'supervised'"):
        parse_method("supervisd")


def test_a_field_of_several_types_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Supervised(n_epochs="three")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "Supervised.n_epochs: Input should be a valid integer, unable to parse string as an integer, "
        "or Input should be 'auto' (got 'three')."
    )


def test_a_job_and_a_deployment_are_a_line_each() -> None:
    job = FineTuningJob(id="j", provider="p", status=JobStatus.SUCCEEDED, model="m", fine_tuned_model="t")
    assert str(job) == "j: succeeded, m -> t"
    assert str(job.model_copy(update={"trained_tokens": 2124})) == "j: succeeded, m -> t, 2,124 tokens"
    failed = job.model_copy(update={"status": JobStatus.FAILED, "fine_tuned_model": None, "error": "no room"})
    assert str(failed) == "j: failed: no room, m"
    deployment = Deployment(name="d", provider="p", status=DeploymentStatus.RUNNING, model="t", source="j")
    assert str(deployment) == "d: running, serves j, price unknown"
    dear = deployment.model_copy(update={"price_per_hour": Decimal("1.70"), "source": None})
    assert str(dear) == "d: running, serves t, 1.70 USD an hour"
