"""Every error that ftkit raises, in one tree.

    FtkitError
    ├── ConfigurationError (ValueError)      what was asked for makes no sense as written
    │   ├── MissingExtraError (ImportError)      an optional package is not installed
    │   ├── UnknownProviderError (LookupError)   no provider of that name
    │   └── CredentialsError                     no key, or one that was refused
    ├── LedgerError (OSError)                the ledger could not be read or written; nothing was sent
    ├── DatasetError (ValueError)            the data has errors; holds every Problem
    ├── UnsupportedError                     the provider cannot do that; says what it can
    ├── BudgetError (ValueError)             the job would cost more than its budget, or nobody knows how much
    ├── ProviderError                        the provider answered with an error, or not at all
    │   ├── NotFoundError (LookupError)          no such job, file, model or deployment
    │   ├── RateLimitError                       too many requests; try again later
    │   ├── QuotaError                           the account's limit or money is used up
    │   ├── ConflictError                        the thing is busy, or in the wrong state for this
    │   ├── ProviderUnavailableError (ConnectionError)   unreachable, timed out, or a 5xx
    │   └── UnclearOutcomeError                  something that costs may or may not have been made
    ├── JobFailedError                       these four hold the job
    ├── JobCancelledError
    ├── JobPausedError
    └── JobTimeoutError (TimeoutError)       we stopped waiting; the job goes on

A provider lets its vendor's exceptions out only as one of these. None of them ever carries a secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from ftkit.models import Estimate, FineTuningJob, Problem, Report

_MOST_PROBLEMS_SHOWN = 20
_REST = r"[^\s\"'<>,;()]*"
_KEYS = {
    r"sk-|hf_|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|AKIA|AIza": rf"[\w-]{{16}}{_REST}",
    r"[sr]k_(?:live|test)_|pypi-Ag": rf"\w{{16}}{_REST}",
    r"npm_": r"[A-Za-z0-9]{36}",
    r"SG\.": rf"[\w-]{{16,32}}\.[\w-]{{16}}{_REST}",
    r"do[opr]_v1_": rf"[0-9a-f]{{32}}{_REST}",
    r"hooks\.slack\.com/(?:services|workflows|triggers)/": rf"[\w/]{{16}}{_REST}",
    r"(?:Account|SharedAccess)Key=": r"[A-Za-z0-9+/]{32,}={0,2}",
    r"(?:aws_secret_access_key|AWS_SECRET_ACCESS_KEY)": r"\W{1,6}[A-Za-z0-9/+]{40}",
    r"eyJ": rf"[\w-]{{16,}}\.[\w-]{{8}}{_REST}",
    r"Bearer ": r"(?![$<{\[%])[^\s\"']{8,}",  # no name in place of a key: Bearer $TOKEN
    r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----": r"[\w+/=\\\s-]*",
}
"""How the keys of well-known services begin, which anybody may know, and what comes after, which nobody may."""
_SIGN = re.compile("|".join(_KEYS))
_LOOKS_SECRET = re.compile(
    r"(?:(?<!\w)|(?<=\\[nrt]))"  # JSON that was not read has a break of the line as two letters
    rf"(?:{'|'.join(f'(?:{sign}){rest}' for sign, rest in _KEYS.items())})"
    r"|(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"
)


def looks_secret(text: str) -> bool:
    """Whether a text holds what looks like a key of a well-known service, or an address with a password in it."""
    return _LOOKS_SECRET.search(text) is not None


def first_key(text: str) -> str | None:
    """Returns how the first key in a text begins, with stars for the rest: "sk-***". None if there is no key."""
    found = _LOOKS_SECRET.search(text)
    if found is None:
        return None
    sign = _SIGN.match(found[0])
    return f"{sign[0]}***" if sign else "://***@"


def without_keys(text: str) -> str:
    """Returns a text without what looks like a key: one that was given in the wrong place, say."""
    return _LOOKS_SECRET.sub("***", text)


class FtkitError(Exception):
    """Base of every error that ftkit raises.

    Attributes:
        message: What happened, in one sentence.
        hint: What to do next, or None.
    """

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        self.message = without_keys(message)
        super().__init__(self.message)
        self.hint = without_keys(hint) if hint else hint

    def __str__(self) -> str:
        return f"{self.message}\n  -> {self.hint}" if self.hint else self.message


class ConfigurationError(FtkitError, ValueError):
    """What was asked for makes no sense as written: an argument, a profile, an environment variable."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional package is not installed.

    Attributes:
        extra: Name of ftkit's extra that brings it.
    """

    def __init__(self, what: str = "", extra: str = "", package: str = "ftkit") -> None:
        super().__init__(f"{what} needs packages that are not installed.", hint=f"pip install '{package}[{extra}]'")
        self.extra = extra
        self.args = (what, extra)


class UnknownProviderError(ConfigurationError, LookupError):
    """No installed provider, and no profile, has that name."""


class CredentialsError(ConfigurationError):
    """No credentials were found, or the provider refused them."""


class LedgerError(FtkitError, OSError):
    """The ledger could not be read or written. Raised before anything that costs is sent."""


def _with_problems(summary: str, problems: Sequence[Problem]) -> str:
    lines = [f"  {problem}" for problem in problems[:_MOST_PROBLEMS_SHOWN]]
    if len(problems) > _MOST_PROBLEMS_SHOWN:
        lines.append(f"  ... and {len(problems) - _MOST_PROBLEMS_SHOWN} more (all of them are in .problems)")
    return "\n".join([summary, *lines])


class DatasetError(FtkitError, ValueError):
    """The data has errors. Nothing was sent.

    Attributes:
        problems: Every problem that was found, errors first.
        report: The whole report, where there is one.
    """

    def __init__(self, summary: str = "", problems: Sequence[Problem] = (), report: Report | None = None) -> None:
        super().__init__(_with_problems(summary, problems))
        self.problems = tuple(problems)
        self.report = report
        self.args = (summary, problems, report)


class UnsupportedError(FtkitError):
    """The provider cannot do what was asked. Nothing was sent.

    Attributes:
        problems: One Problem for each thing that it cannot do.
    """

    def __init__(self, summary: str = "", problems: Sequence[Problem] = (), hint: str | None = None) -> None:
        super().__init__(_with_problems(summary, problems), hint=hint)
        self.problems = tuple(problems)
        self.args = (summary, problems, hint)


class BudgetError(FtkitError, ValueError):
    """A job would cost more than its budget, or it is not known what it costs. No job was asked for.

    Attributes:
        budget: The budget, in the currency of the estimate.
        estimate: What the provider tells of the price; None if it tells none.
    """

    def __init__(
        self,
        message: str = "",
        *,
        budget: Decimal | None = None,
        estimate: Estimate | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.budget = budget
        self.estimate = estimate


class ProviderError(FtkitError):
    """The provider answered with an error, or did not answer.

    Attributes:
        provider: Name of the provider.
        request_id: The vendor's id of the request, to quote to its support; None if it gave none.
        status_code: The HTTP status, or None where there was no reply (or no HTTP).
    """

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        request_id: str | None = None,
        status_code: int | None = None,
        hint: str | None = None,
    ) -> None:
        where = f"{provider}: " if provider else ""
        quoted = f" (request id {request_id})" if request_id else ""
        super().__init__(f"{where}{message}{quoted}", hint=hint)
        self.args = (without_keys(message),)
        self.provider = provider
        self.request_id = request_id
        self.status_code = status_code


class NotFoundError(ProviderError, LookupError):
    """The provider has no job, file, model or deployment of that id."""


class RateLimitError(ProviderError):
    """Too many requests. Reads are tried again by themselves.

    Attributes:
        retry_after_s: Seconds that the provider asked us to wait, or None.
    """

    def __init__(self, message: str = "", *, retry_after_s: float | None = None, **where: object) -> None:
        super().__init__(message, **where)  # type: ignore[arg-type]  # the keywords of ProviderError, passed on
        self.retry_after_s = retry_after_s


class QuotaError(ProviderError):
    """The account's quota, limit or money is used up. Waiting alone does not mend it."""


class ConflictError(ProviderError):
    """The thing is busy, or in the wrong state for what was asked."""


class ProviderUnavailableError(ProviderError, ConnectionError):
    """The provider could not be reached, did not answer in time, or answered 5xx."""


class UnclearOutcomeError(ProviderError):
    """Something that costs may or may not have been made, and the provider's own list does not settle it.

    Attributes:
        key: The ledger key of the request.
        candidates: Ids of the jobs that could be it; empty when none was seen.
    """

    def __init__(
        self, message: str = "", *, key: str | None = None, candidates: Sequence[str] = (), **where: object
    ) -> None:
        super().__init__(message, **where)  # type: ignore[arg-type]  # the keywords of ProviderError, passed on
        self.key = key
        self.candidates = tuple(candidates)


class _JobError(FtkitError):
    """An error about a job.

    Attributes:
        job: The job, as it was last seen.
    """

    def __init__(self, message: str, job: FineTuningJob, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.job = job
        self.args = (self.message, job)


class JobFailedError(_JobError):
    """The job failed. `job.error` is the provider's own message."""


class JobCancelledError(_JobError):
    """The job was cancelled."""


class JobPausedError(_JobError):
    """The job stands still, and can be resumed. The hint is the line that does it."""


class JobTimeoutError(_JobError, TimeoutError):
    """We stopped waiting. The job goes on; `client.wait(job)` takes it up again."""
