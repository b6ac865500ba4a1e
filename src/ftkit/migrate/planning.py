"""What a move comes to, before anything is sent: the data, the settings, what is lost, price and time."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Protocol

from ftkit import datasets
from ftkit.errors import ConfigurationError, ConflictError, NotFoundError
from ftkit.methods import AnyMethod, Supervised, parse_method
from ftkit.migrate.carrying import settings_of
from ftkit.migrate.times import Duration, in_words, likely, took
from ftkit.models import FineTuningJob, JobStatus, Noun, Problem, Report, counted
from ftkit.reports import render

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from ftkit.client import Client
    from ftkit.methods import Method
    from ftkit.models import DatasetRules

_WIDTH = 100
_TRAIN, _VALIDATION, _MARK = "train.jsonl", "validation.jsonl", "old-job.json"


class Source(Protocol):
    """Where an old job is read from: a client of its provider, or an archive."""

    def get_job(self, job: FineTuningJob | str) -> FineTuningJob:
        """Reads a job."""
        ...

    def download_file(self, file: str, path: str | os.PathLike[str]) -> Path:
        """Writes the content of a file."""
        ...


class Move(Noun):
    """A move from one provider to another, as it would be made. `str(move)` tells it all.

    Attributes:
        job: The old job.
        account: The new account (see `Provider.identity`).
        provider: The new provider.
        model: The new base model.
        method: The method and its hyperparameters, as the new provider knows them.
        provider_options: The new provider's own options.
        suffix: The word for the tuned model's name.
        seed: The seed.
        metadata: The labels.
        train: The training file, on this machine.
        validation: The validation file, likewise; None if the old job had none.
        report: What the new provider says of the data: problems, tokens, price.
        lost: What cannot be carried over, each with its reason.
        time: How long the training is likely to take.
        old_seconds: How long the old job took, in seconds.
    """

    job: FineTuningJob
    account: str
    provider: str
    model: str
    method: AnyMethod
    provider_options: dict[str, Any]
    suffix: str | None = None
    seed: int | None = None
    metadata: dict[str, str] | None = None
    train: str
    validation: str | None = None
    report: Report
    lost: tuple[Problem, ...] = ()
    time: Duration
    old_seconds: float | None = None

    def __str__(self) -> str:
        old = f" (the old job took {in_words(self.old_seconds)})" if self.old_seconds is not None else ""
        method = ", ".join(f"{name} {value}" for name, value in self.method.hyperparameters().items())
        lines = [
            f"{self.job.provider} {self.job.id}: {self.job.model} -> {self.provider}: {self.model}",
            f"carried over: {self.method.type}{f' ({method})' if method else ''}",
            *(f"  {name}: {value}" for name in ("suffix", "seed", "metadata") if (value := getattr(self, name))),
            *(f"  {name}: {value}" for name, value in self.provider_options.items()),
            f"not carried over: {counted(len(self.lost), 'thing')}",
            *(f"  {_place(problem)}: {problem.message}" for problem in self.lost),
            f"time: {self.time}{old}",
        ]
        return "\n".join([*(wrapped for line in lines for wrapped in _wrapped(line)), render(self.report)])


def _place(problem: Problem) -> str:
    """Returns what a problem is of: a field of the request, or a line of a file."""
    return problem.field or f"{Path(problem.source or '').name}, line {problem.line}"


def _wrapped(line: str) -> list[str]:
    """Breaks a line for people; what follows the first is indented more."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return wrap(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def plan(
    source: Source,
    job: FineTuningJob | str,
    client: Client,
    *,
    model: str,
    folder: str | os.PathLike[str],
    method: Method | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    provider_options: Mapping[str, Any] | None = None,
    train: str | os.PathLike[str] | None = None,
    validation: str | os.PathLike[str] | None = None,
    drop_errors: bool = False,
) -> Move:
    """Reads an old job and its files, and finds what of it another provider can do. Sends nothing to that provider.

    Args:
        source: A client of the old provider, or an `ftkit.archive.Archive`.
        job: The old job, or its id.
        client: The client of the new provider.
        model: The base model there, or a role such as "small".
        folder: Where the files go; what is there from the same move is not fetched again.
        method: The method to ask for in place of the old one; as the old one, as far as it goes, if None.
        hyperparameters: What is asked for in place of the old job's, or beside it, such as {"n_epochs": 2}.
        provider_options: The new provider's own options.
        train: The training file on this machine, where the old provider does not have it any more.
        validation: Likewise, the validation file.
        drop_errors: Leave out rows that the new provider refuses. They are told as lost.

    Raises:
        ConflictError: The old job has not succeeded.
        NotFoundError: The old job, or its training file, is not there.
        UnsupportedError: The new provider has no such method at all.
        DatasetError: A file can be neither read nor copied.
    """
    old = source.get_job(job)
    if old.status is not JobStatus.SUCCEEDED:
        message = f"the job {old.id} is {old.status.value}, and no model has come of it"
        raise ConflictError(message, provider=old.provider, hint="Move a job that has succeeded.")
    model = client.resolve_model(model)
    settings, lost = settings_of(
        old, client, model, _wanted(method or old.method, hyperparameters or {}), provider_options or {}
    )
    place = _place_of(Path(folder), old)
    training = _fetched(source, old, old.training_file, place / _TRAIN) if train is None else Path(train)
    validating = None if validation is None else Path(validation)
    if validation is None and old.validation_file is not None:
        validating = _fetched(source, old, old.validation_file, place / _VALIDATION)
    if drop_errors:
        rules = client.provider.rules(settings["method"], model)
        training = _without_errors(training, place, rules, lost)
        validating = None if validating is None else _without_errors(validating, place, rules, lost)
    shared = {"method": settings["method"], "provider_options": settings["provider_options"]}
    report = client.check(training, model=model, validation=validating, **shared)
    return Move(
        job=old,
        account=client.identity(),
        provider=client.provider.name,
        model=model,
        train=str(training),
        validation=None if validating is None else str(validating),
        report=report,
        lost=tuple(lost),
        time=likely(client, model, _tokens(report, settings["method"])),
        old_seconds=took(old),
        **settings,
    )


def _tokens(report: Report, method: Method) -> int | None:
    """Returns the tokens of all epochs, where they were counted and the epochs are known."""
    if report.estimate is not None and report.estimate.billed_tokens is not None:
        return report.estimate.billed_tokens
    asked: object = getattr(method, "n_epochs", None)
    epochs = asked if isinstance(asked, int) else report.estimate.n_epochs if report.estimate is not None else None
    if report.tokens is None or epochs is None:
        return None
    return epochs * (report.tokens.total if report.tokens.capped is None else report.tokens.capped)


def _wanted(method: Method | None, hyperparameters: Mapping[str, Any]) -> Method:
    """Returns a method with some hyperparameters of its own; none of the old ones where it is another method."""
    old = method or Supervised()
    kind = hyperparameters.get("type", old.type)
    kept = old.model_dump(exclude_none=True) if kind == old.type else {}
    return parse_method({**kept, **hyperparameters, "type": kind})


def _place_of(folder: Path, job: FineTuningJob) -> Path:
    """Makes the folder of a move, which says whose it is: files of another job must not be taken for this one's.

    Raises:
        ConfigurationError: It is another job's, or cannot be made.
    """
    mark = folder / _MARK
    try:
        for each in (folder.parent, folder):  # its parent is ours as well, where it is not there yet
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        if mark.exists():
            there = FineTuningJob.model_validate_json(mark.read_bytes())
            if (there.id, there.identity) != (job.id, job.identity):
                message = f"'{folder}' is the folder of another move, that of {there.id}"
                raise ConfigurationError(message, hint="Name another one.")
        mark.touch(mode=0o600)
        mark.write_text(job.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the folder '{folder}' cannot be used: {error.strerror}") from error
    return folder


def _fetched(source: Source, job: FineTuningJob, file_id: str | None, path: Path) -> Path:
    """Fetches a file of the old job; what is there, whole, is not fetched again: a job's files never change."""
    hint = "If you have the data, name it: train=... and validation=... (`--train`, `--validation`)."
    if file_id is None:
        raise NotFoundError(f"it is not told which file {job.id} was trained on", provider=job.provider, hint=hint)
    if not path.exists():
        half = path.with_suffix(".part")
        try:
            source.download_file(file_id, half)
        except NotFoundError as error:
            error.hint = hint
            raise
        half.chmod(0o600)
        half.replace(path)
    return path


def _without_errors(path: Path, place: Path, rules: DatasetRules, lost: list[Problem]) -> Path:
    """Returns a copy without the rows that break the rules; the file itself, where there are none."""
    mended = datasets.mend(path, place / f"kept-{path.stem}.jsonl", rules, drop="errors")
    if mended.written == mended.rows:
        return path
    lost += [change for change in mended.changes if change.code == "dropped"]
    return Path(mended.target)
