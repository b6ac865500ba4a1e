"""What happens before anything is sent: the whole request and the whole data set are looked over."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ftkit import datasets
from ftkit.errors import (
    ConfigurationError,
    CredentialsError,
    DatasetError,
    FtkitError,
    NotFoundError,
    ProviderError,
    UnsupportedError,
    looks_secret,
)
from ftkit.keys import content_hash, upload_key
from ftkit.methods import explain, names_secret, values_in
from ftkit.models import Estimate, JobRequest, Problem, Report, Severity, TrainingFile, counted
from ftkit.provider import CountsTokens, EstimatesCost, KnowsLifecycle, Provider, ReadsFiles, unsupported_method
from ftkit.retrying import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ftkit.ledger import Ledger
    from ftkit.methods import Method

    Source = str | os.PathLike[str]

logger = logging.getLogger("ftkit")

_KEY = re.compile(r"[^\s<>|]{16,}")
"""What may be a key. Some tokens of a tokenizer, which are called tokens as well, are not."""
_STEM = 40
"""Letters of a file's own name in that of the file that is sent. While it is written, more comes to it."""
_DECIDES_RULES = {"model", "method"}
"""The fields of a request that decide what its data must look like."""


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
    ) -> Report:
        """Looks a data set over, and the request that it is for."""
        request = self._request_for(source, model, method, provider_options)
        problems = self.problems(request)
        if any(p.severity is Severity.ERROR and p.field in _DECIDES_RULES for p in problems):
            return Report(source=str(source), problems=tuple(problems))  # no rules to look at the data by
        rules = self._provider.rules(method, model)
        report = datasets.check(source, rules, columns=columns, count_tokens=self._counter(model, method))
        update: dict[str, object] = {"problems": (*problems, *report.problems)}
        if isinstance(self._provider, EstimatesCost):
            update["estimate"] = self._estimate(self._provider, request, report)
        if isinstance(self._provider, KnowsLifecycle):
            try:
                update["lifecycle"] = read(self._provider.lifecycle, model)
            except (ProviderError, CredentialsError) as error:  # what is wrong with the data is told all the same
                update["problems"] = (*problems, _unasked(error), *report.problems)
        return report.model_copy(update=update)

    def demand(
        self,
        source: Source,
        model: str,
        method: Method,
        columns: Mapping[str, str] | None,
        provider_options: Mapping[str, Any] | None,
    ) -> Report:
        """Checks, and raises what is wrong.

        Raises:
            UnsupportedError: The provider cannot do what is asked.
            DatasetError: The data has errors.
        """
        self.refuse(self._request_for(source, model, method, provider_options))
        report = self.check(source, model, method, columns, provider_options)
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
    ) -> TrainingFile:
        """Checks, converts and sends a data set; once for the same content and layout.

        Args:
            source: The data set.
            model: The base model.
            method: The fine-tuning method.
            columns: The file's own column names -> those of the record.
            provider_options: What only this provider has.
            folder: Where the converted file may be written.
        """
        self.refuse(self._request_for(source, model, method, provider_options))
        rules = self._provider.rules(method, model)
        digest = content_hash(datasets.source_hash(source), columns)
        key = upload_key(self._identity(), digest, rules.layout, rules.layout_version)
        target = folder / f"{Path(_name_of(source)).stem[:_STEM]}.jsonl"
        report = datasets.prepare(source, rules, target, columns=columns, count_tokens=self._counter(model, method))
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
        return TrainingFile(id="not-uploaded-yet", provider=self._provider.name, filename=_name_of(source))

    def _request_for(
        self, source: Source, model: str, method: Method, provider_options: Mapping[str, Any] | None
    ) -> JobRequest:
        """The request as it will be, but for the id of a file that is not there yet."""
        options = provider_options or {}
        return request_of(model=model, training_file=self._unsent(source), method=method, provider_options=options)

    def _counter(
        self, model: str, method: Method
    ) -> Callable[[Iterator[Mapping[str, Any]]], Iterator[tuple[int, int]]] | None:
        provider = self._provider
        if not isinstance(provider, CountsTokens):
            return None
        return lambda records: provider.count_tokens(model, method, records)

    @staticmethod
    def _estimate(provider: EstimatesCost, request: JobRequest, report: Report) -> Estimate:
        return read(provider.estimate, request, report.tokens.total if report.tokens else None)


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


def _unasked(error: FtkitError) -> Problem:
    message = f"the provider could not be asked until when the model can be used: {error.message}"
    return Problem(severity=Severity.WARNING, code="not-asked", field="model", message=message)


def _summary(report: Report) -> str:
    return f"{report.source} has {counted(len(report.errors), 'error')}; nothing was sent."
