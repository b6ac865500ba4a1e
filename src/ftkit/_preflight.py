"""What happens before anything is sent: the whole request and the whole data set are looked over."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ftkit import datasets
from ftkit.errors import (
    ConfigurationError,
    CredentialsError,
    DatasetError,
    FtkitError,
    MissingExtraError,
    NotFoundError,
    ProviderError,
    UnsupportedError,
    looks_secret,
)
from ftkit.keys import content_hash, upload_key
from ftkit.lifecycles import announced, ending, is_listed, today_utc
from ftkit.methods import explain, names_secret, values_in
from ftkit.models import (
    NOT_SENT,
    BreakEven,
    DatasetRules,
    Estimate,
    JobRequest,
    Problem,
    RecordKind,
    Report,
    Severity,
    TrainingFile,
    counted,
)
from ftkit.pricing import Call, known_prices, worth_it
from ftkit.provider import CountsTokens, EstimatesCost, KnowsLifecycle, Provider, ReadsFiles, unsupported_method
from ftkit.retrying import read
from ftkit.tokens import AboutRows, GivesCounter, base_of, family_of, messages_of, prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from ftkit.datasets.watching import Watch
    from ftkit.ledger import Ledger
    from ftkit.methods import Method
    from ftkit.models import Lifecycle

    Counter = Callable[[Iterator[Mapping[str, Any]]], Iterator[tuple[int, int]]]
    Source = str | os.PathLike[str]

logger = logging.getLogger("ftkit")

_KEY = re.compile(r"[^\s<>|]{16,}")
"""What may be a key. Some tokens of a tokenizer, which are called tokens as well, are not."""
_STEM = 40
"""Letters of a file's own name in that of the file that is sent. While it is written, more comes to it."""
_KINDS = {
    "supervised": frozenset({RecordKind.CHAT, RecordKind.PROMPT_COMPLETION, RecordKind.TEXT}),
    "reinforcement": frozenset({RecordKind.ITEM}),
}
_PAIRS = frozenset({RecordKind.PREFERENCE})
_DECIDES_RULES = {"model", "method"}
"""The fields of a request that decide what its data must look like."""


@dataclass(frozen=True, slots=True)
class Today:
    """How the untuned model is called today, which a tuned one is compared with.

    Attributes:
        prompt: The whole prompt of a typical call: its messages, or the text of its only one.
        calls_per_day: How many calls are made a day.
        cached: Which share of the prompt the provider reads from its cache, 0 to 1.
    """

    prompt: str | Iterable[Mapping[str, Any]]
    calls_per_day: float | None = None
    cached: float = 0.0


class Preflight:
    """Checks requests and data against one provider, and uploads what passes.

    Args:
        provider: The provider.
        identity: Tells the account; not asked where nothing is sent.
        ledger: The ledger.
    """

    def __init__(self, provider: Provider, identity: Callable[[], str], ledger: Ledger) -> None:
        self._provider = provider
        self._identity = identity
        self._ledger = ledger

    def refuse(self, request: JobRequest) -> None:
        """Raises the one error that holds everything a provider cannot do of a request.

        Raises:
            UnsupportedError: It cannot do some of it.
        """
        problems = [p for p in self.problems(request) if p.severity is Severity.ERROR]
        if problems:
            summary = f"the provider '{self._provider.name}' cannot do that; nothing was sent."
            raise UnsupportedError(summary, problems)

    def warn(self, request: JobRequest) -> None:
        """Logs what a user should know before a job is paid for: an ending, say, of its model."""
        for problem in self.problems(request):
            if problem.severity is Severity.WARNING:
                logger.warning("%s", problem)

    def problems(self, request: JobRequest) -> list[Problem]:
        """Returns everything about a request that the provider refuses."""
        unknown = unsupported_method(request.method, self._provider.methods)
        return unknown or self._provider.problems(request)

    def check(
        self,
        source: Source,
        model: str,
        method: Method,
        columns: Mapping[str, str] | None,
        provider_options: Mapping[str, Any] | None,
        warnings: str | Collection[str] = "none",
        validation: Source | None = None,
        today: Today | None = None,
        *,
        strict: bool = False,
        progress: bool = True,
    ) -> Report:
        """Looks a data set over, and the request that it is for; `strict` as for `_counter`."""
        watches = datasets.watches_for(warnings, validation=validation, columns=columns)
        if today is not None:  # what is wrong with the prompt is told before the data is read
            today = replace(today, prompt=messages_of(today.prompt))
        request = self._request_for(source, model, method, provider_options)
        problems = self.problems(request)
        if any(p.severity is Severity.ERROR and p.field in _DECIDES_RULES for p in problems):
            return self._check_alone(source, method, columns, problems, watches, validation, progress=progress)
        rules = self._provider.rules(method, model)
        counter, uncounted = self._counter(model, method, strict=strict)
        about = [AboutRows()] if isinstance(self._provider, GivesCounter) and counter is not None else []
        watches = (*watches, *about)
        report = datasets.check(
            source, rules, columns=columns, count_tokens=counter, watches=watches, progress=progress
        )
        lifecycle, ends = self._lifecycle(model, problems)
        problems = [*ends, *uncounted, *report.problems]
        report = report.model_copy(update={"problems": tuple(problems), "lifecycle": lifecycle})
        if isinstance(self._provider, EstimatesCost):
            report = report.model_copy(update={"estimate": self._estimate(self._provider, request, report)})
        if today is not None:
            report = report.model_copy(update={"break_even": self._break_even(report, model, today)})
        if validation is None:
            return report
        counter, _ = self._counter(model, method)
        return with_validation(report, validation, rules, columns=columns, counter=counter, progress=progress)

    def _check_alone(
        self,
        source: Source,
        method: Method,
        columns: Mapping[str, str] | None,
        problems: list[Problem],
        watches: Sequence[Watch],
        validation: Source | None,
        *,
        progress: bool,
    ) -> Report:
        """Looks data over for which the provider has no rules, by what every provider refuses."""
        rules = canonical_rules(method)
        report = datasets.check(source, rules, columns=columns, watches=watches, progress=progress)
        report = report.model_copy(update={"problems": (*problems, *report.problems)})
        if validation is None:
            return report
        return with_validation(report, validation, rules, columns=columns, progress=progress)

    def _lifecycle(self, model: str, problems: list[Problem]) -> tuple[Lifecycle | None, list[Problem]]:
        """Returns the dates of a model, and the problems of the request with what is to be told of its end.

        What the service itself says counts. Where it cannot be asked, or says nothing, that is what was announced.
        """
        provider, unasked = self._provider, list[Problem]()
        found: Lifecycle | None = None
        if isinstance(provider, KnowsLifecycle):
            try:
                found = read(provider.lifecycle, model)
            except (ProviderError, CredentialsError) as error:  # what is wrong with the data is told all the same
                unasked, found = [_unasked(error)], announced(provider.name, model)
        else:
            found = announced(provider.name, model)
        told = None if found is None else ending(found, provider.name)
        if told is None:
            return found, [*problems, *unasked]
        return found, [*(p for p in problems if p.code != told.code), told, *unasked]

    def _break_even(self, report: Report, model: str, today: Today) -> BreakEven:
        """Says whether the training that a report is about pays, and when.

        The shorter prompt and the answer are the mean of the rows.
        """
        tokens = report.tokens
        if tokens is None or tokens.lengths is None or tokens.answers is None or report.estimate is None:
            return BreakEven(why="whether it pays is not known: there are no tokens of the file, or no estimate.")
        answer = tokens.answers.mean
        ends = report.lifecycle.serving_ends if report.lifecycle else None
        try:
            asked = prompt_tokens(model, today.prompt)
        except (UnsupportedError, MissingExtraError) as error:
            return BreakEven(why=f"whether it pays is not known: {error.message}.")
        found = worth_it(
            report.estimate,
            Call(asked, answer, today.cached),
            Call(tokens.lengths.mean - answer, answer),
            prices=known_prices(),
            provider=self._provider.name,
            model=model,
            calls_per_day=today.calls_per_day,
            days_left=(ends - today_utc()).days if ends else None,
        )
        new = tuple(each for each in found.assumes if each not in report.estimate.assumes)  # the report tells it once
        return found.model_copy(update={"assumes": new})

    def demand(
        self,
        source: Source,
        model: str,
        method: Method,
        columns: Mapping[str, str] | None,
        provider_options: Mapping[str, Any] | None,
        *,
        progress: bool = True,
    ) -> Report:
        """Checks, and raises what is wrong.

        Raises:
            UnsupportedError: The provider cannot do what is asked.
            DatasetError: The data has errors.
        """
        self.refuse(self._request_for(source, model, method, provider_options))
        report = self.check(source, model, method, columns, provider_options, strict=True, progress=progress)
        if not report.ok:
            raise DatasetError(_summary(report), report.errors, report)
        return report

    def upload(
        self,
        source: Source,
        model: str,
        method: Method,
        columns: Mapping[str, str] | None,
        provider_options: Mapping[str, Any] | None,
        folder: Path,
        *,
        is_checked: bool = False,
        progress: bool = True,
    ) -> TrainingFile:
        """Checks, converts and sends a data set; once for the same content and layout.

        Args:
            source: The data set.
            model: The base model.
            method: The fine-tuning method.
            columns: The file's own column names -> those of the record.
            provider_options: What only this provider has.
            folder: Where the converted file may be written.
            is_checked: Whether `demand` has seen it already: its tokens are not counted once more.
            progress: Whether to show on a terminal how far it is.
        """
        self.refuse(self._request_for(source, model, method, provider_options))
        rules = self._provider.rules(method, model)
        digest = content_hash(datasets.source_hash(source), columns)
        key = upload_key(self._identity(), digest, rules.layout, rules.layout_version)
        target = folder / f"{_stem_of(source)}.jsonl"
        counter = None if is_checked else self._counter(model, method, strict=True)[0]
        report = datasets.prepare(source, rules, target, columns=columns, count_tokens=counter, progress=progress)
        with self._ledger.lock(key):
            known = self._still_there(key)
            if known is not None:
                return known
            sent = self._provider.upload(target, key)
            file = sent.model_copy(
                update={
                    "identity": self._identity(),
                    "filename": _name_of(source),
                    "kind": report.kind,
                    "rows": report.rows,
                    "size": target.stat().st_size,
                    "source_hash": digest,
                    "layout": rules.layout,
                    "layout_version": rules.layout_version,
                }
            )
            self._ledger.record_upload(key, file, (self._provider.name, self._identity()))
            return file

    def _still_there(self, key: str) -> TrainingFile | None:
        """Returns an earlier upload of the same content if the provider still holds it, whole.

        A provider that cannot show its files is sent the file again: an upload costs nothing, a job on a file that is
        gone does.
        """
        known = self._ledger.upload(key)
        if known is None or not isinstance(self._provider, ReadsFiles):
            return None
        try:
            found = read(self._provider.get_file, known.id)
        except NotFoundError:
            return None
        return known if found.size in {None, known.size} else None

    def file_to_be(self, source: Source, columns: Mapping[str, str] | None) -> TrainingFile:
        """The file that an upload of a data set will become, but for its id: enough for the key of a request."""
        digest = content_hash(datasets.source_hash(source), columns)
        return self._unsent(source).model_copy(update={"source_hash": digest})

    def _unsent(self, source: Source) -> TrainingFile:
        return TrainingFile(id=NOT_SENT, provider=self._provider.name, filename=_name_of(source))

    def _request_for(
        self, source: Source, model: str, method: Method, provider_options: Mapping[str, Any] | None
    ) -> JobRequest:
        """The request as it will be, but for the id of a file that is not there yet."""
        options = provider_options or {}
        return request_of(model=model, training_file=self._unsent(source), method=method, provider_options=options)

    def _counter(self, model: str, method: Method, *, strict: bool = False) -> tuple[Counter | None, list[Problem]]:
        """Returns what counts tokens; None where nobody can, and the note that says why.

        Args:
            model: The model.
            method: The method.
            strict: Raise what the provider says against the model itself: before an upload it is better known.
        """
        provider = self._provider
        if not isinstance(provider, CountsTokens):
            return None, [_not_counted(f"the provider '{provider.name}' has nothing to count them with")]
        try:
            if not isinstance(provider, GivesCounter):
                # What it cannot count it may say only when it is asked for the first record: it is asked for none.
                next(iter(provider.count_tokens(model, method, iter(()))), None)
                return (lambda records: provider.count_tokens(model, method, records)), []
            return provider.token_counter(model, method), _taken_for(model)
        except (UnsupportedError, ConfigurationError, ProviderError) as error:
            if strict and not isinstance(error, UnsupportedError | MissingExtraError):
                raise
            return None, [_not_counted(error.message, error.hint)]

    @staticmethod
    def _estimate(provider: EstimatesCost, request: JobRequest, report: Report) -> Estimate:
        """Asks what a job on the data would cost, now that its tokens and its rows are known."""
        estimate = read(provider.estimate, with_rows(request, report), tokens_of(report))
        good = report.tokens.rows if report.tokens else None
        if good is None or good == report.rows:
            return estimate
        some = f"only the tokens of the {counted(good, 'good row')} of {report.rows:,} are counted"
        return estimate.model_copy(update={"assumes": (*estimate.assumes, some)})


def canonical_rules(method: Method | None) -> DatasetRules:
    """Returns what every provider asks of data for a method; for any method, if None."""
    if method is None:
        return DatasetRules(layout="ftkit", accepts=frozenset(RecordKind))
    kinds = _KINDS.get(method.type, _PAIRS)
    return DatasetRules(layout="ftkit", accepts=kinds, needs_assistant=method.type != "reinforcement")


def with_validation(
    report: Report,
    validation: Source,
    rules: DatasetRules,
    *,
    columns: Mapping[str, str] | None = None,
    counter: Counter | None = None,
    progress: bool = True,
) -> Report:
    """Returns a report with what is wrong with the validation file as well, by the same rules.

    How few rows are accepted is said of training files: one is enough to validate on.

    Args:
        report: What was found in the training file.
        validation: The validation file.
        rules: What is asked of the data.
        columns: Its own column names -> those of the record.
        counter: Counts tokens: a row may be too long, or hold nothing to learn from.
        progress: Whether to show on a terminal how far it is.
    """
    own = rules.model_copy(update={"min_rows": 1})
    found = datasets.check(validation, own, columns=columns, count_tokens=counter, progress=progress)
    told = (each.model_copy(update={"message": f"validation file: {each.message}"}) for each in found.problems)
    # Why it could not be compared is now told by itself.
    before = (each for each in report.problems if found.ok or each.code != "not-compared")
    return report.model_copy(update={"problems": (*before, *told)})


def with_rows(request: JobRequest, report: Report) -> JobRequest:
    """Returns a request whose training file has as many rows as were found: its epochs may depend on it."""
    file = request.training_file.model_copy(update={"rows": report.rows})
    return request.model_copy(update={"training_file": file})


def tokens_of(report: Report) -> int | None:
    """Returns the tokens of a file that are trained on, and billed, in one epoch; None if they were not counted."""
    if report.tokens is None:
        return None
    return report.tokens.total if report.tokens.capped is None else report.tokens.capped


def request_of(**fields: Any) -> JobRequest:
    """Makes a request of what a caller gave.

    Raises:
        ConfigurationError: A field is wrong.
    """
    try:
        return _without_keys(JobRequest(**fields))
    except ValidationError as error:
        message = explain(JobRequest, error, "field")
    fields.clear()  # a key may have got among them, and pydantic's own error would hold it
    raise ConfigurationError(message)


def _without_keys(request: JobRequest) -> JobRequest:
    """Refuses what seems to be a key: what is asked for is written down, here and at the provider's."""
    values = ((".".join(names), value) for names, value in values_in(request.provider_options))
    place = next((at for at, value in values if _seems_key(at, value)), None)
    if place is not None:
        message = f"provider_options.{place} looks like a secret, and what is asked for is written down"
        raise ConfigurationError(message, hint="Take it out; keys come from the vendor's own environment variables.")
    return request


def _seems_key(place: str, value: object) -> bool:
    """Whether a value looks like a key, or may be one by its looks and is called one."""
    if not isinstance(value, str):
        return False
    return looks_secret(value) or (names_secret(place) and _KEY.fullmatch(value) is not None)


def _name_of(source: Source) -> str:
    """Returns the name of a file as text: a system may have names that are none."""
    return os.fsencode(Path(source).name).decode(errors="replace")


def _stem_of(source: Source) -> str:
    """Returns the beginning of a file's name: "train" of train.jsonl, and of train.jsonl.gz."""
    return (
        _name_of(source).removesuffix(".gz").removesuffix(".zst").rpartition(".")[0][:_STEM] or _name_of(source)[:_STEM]
    )


def _unasked(error: FtkitError) -> Problem:
    message = f"the provider could not be asked until when the model can be used: {error.message}"
    return Problem(severity=Severity.WARNING, code="not-asked", field="model", message=message)


def _not_counted(why: str, fix: str | None = None) -> Problem:
    message = f"the tokens are not counted: {why.rstrip('.')}."
    return Problem(severity=Severity.NOTE, code="not-counted", field="model", message=message, fix=fix)


def _taken_for(model: str) -> list[Problem]:
    """Says so where a model whose name nobody knows is counted as its family is."""
    family = family_of(model)
    if family is None or is_listed(model) or base_of(model) == family:
        return []
    message = f"the tokens are counted as those of {family}: by its name, '{base_of(model)}' is taken for one of them."
    return [Problem(severity=Severity.NOTE, code="counted-as", field="model", message=message)]


def _summary(report: Report) -> str:
    return f"{report.source} has {counted(len(report.errors), 'error')}; nothing was sent."
