from __future__ import annotations

import copy
import pickle
from decimal import Decimal

import pytest

from ftkit import errors
from ftkit.models import Estimate, FineTuningJob, JobStatus, Problem, Report

JOB = FineTuningJob(id="ftjob-1", provider="acme", status=JobStatus.FAILED, model="m", error="the reason")
PROBLEMS = [Problem(code="c", message="what is wrong", line=3)]
PLAIN = [errors.FtkitError, errors.ConfigurationError, errors.UnknownProviderError, errors.CredentialsError]
OF_A_PROVIDER = [
    errors.ProviderError,
    errors.NotFoundError,
    errors.QuotaError,
    errors.ConflictError,
    errors.ProviderUnavailableError,
]
OF_A_JOB = [errors.JobFailedError, errors.JobCancelledError, errors.JobPausedError, errors.JobTimeoutError]

EVERY = [
    *(kind("what", hint="do this") for kind in (*PLAIN, errors.LedgerError)),
    *(kind("what", provider="acme", request_id="req_1", status_code=429, hint="do this") for kind in OF_A_PROVIDER),
    *(kind("what", JOB, hint="do this") for kind in OF_A_JOB),
    errors.MissingExtraError("Local training", "local"),
    errors.BudgetError("what", budget=Decimal(3), estimate=Estimate(tokens=4), hint="do this"),
    errors.DatasetError("what", PROBLEMS, Report(source="t.jsonl")),
    errors.UnsupportedError("what", PROBLEMS, "do this"),
    errors.RateLimitError("what", retry_after_s=3.0, provider="acme", request_id="req_1", status_code=429),
    errors.UnclearOutcomeError("what", key="v1:k", candidates=["a", "b"], provider="acme", hint="do this"),
]


def test_none_is_forgotten_here() -> None:
    public = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.FtkitError)}
    assert {type(error) for error in EVERY} == {e for e in public if not e.__name__.startswith("_")}


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_whole_from_another_process(error: errors.FtkitError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(again) is type(error)
        assert vars(again) == vars(error)
        assert (str(again), again.args) == (str(error), error.args)
