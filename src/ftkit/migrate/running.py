"""Makes a move: trains anew, and compares the new model with the old one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import DatasetError
from ftkit.evaluate import Evaluation, questions_of
from ftkit.evaluate.running import known_by_heart
from ftkit.migrate.comparing import AS_USUAL, Comparison, compared
from ftkit.migrate.planning import Move, plan
from ftkit.models import FineTuningJob, Noun, counted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from ftkit.client import Client
    from ftkit.evaluate import Question
    from ftkit.methods import Method
    from ftkit.migrate.planning import Source
    from ftkit.progress import Progress


_NO_ROWS = (
    "Old and new are not compared: the old job had no validation file with answers of text. Name rows that it was not "
    "trained on: Comparison(rows=...), or --test FILE."
)


class Moved(Noun):
    """What came of a move. `str(moved)` tells it.

    Attributes:
        move: The move, as it was planned.
        job: The new job.
        evaluation: The old model and the new one side by side; None if they were not compared.
        not_compared: Why not, or which of them is lacking.
    """

    move: Move
    job: FineTuningJob
    evaluation: Evaluation | None = None
    not_compared: str | None = None

    def __str__(self) -> str:
        parts = [str(self.job), self.not_compared, None if self.evaluation is None else str(self.evaluation)]
        return "\n\n".join(part for part in parts if part)


def migrate(
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
    budget: float | Decimal | None = None,
    comparison: Comparison | None = AS_USUAL,
    confirm: Callable[[Move], object] | None = None,
    progress: bool | Progress = True,
) -> Moved:
    """Moves a tuned model to another provider: reads the old job, trains it anew there, and compares the two.

    The same move again is the same job: what was fetched, trained and answered is not paid twice.

    Args:
        source: A client of the old provider, or an `ftkit.archive.Archive`.
        job: The old job, or its id.
        client: The client of the new provider.
        model: The base model there, or a role such as "small".
        folder: Where files and answers go.
        method: As for `plan`.
        hyperparameters: Likewise.
        provider_options: Likewise.
        train: Likewise.
        validation: Likewise.
        drop_errors: Likewise.
        budget: The most that the new job may cost.
        comparison: How old and new are compared; None if they are not.
        confirm: Is told of the move before anything is sent; what it raises ends it there.
        progress: Show how it goes, or where to show it.

    Raises:
        DatasetError: The new provider refuses some rows. Nothing was sent.
        BudgetError: The new job would cost more than its budget. Nothing was sent.
        FtkitError: As from `plan`, `Client.fine_tune` and `ftkit.evaluate.compare`.
    """
    move = plan(
        source,
        job,
        client,
        model=model,
        folder=folder,
        method=method,
        hyperparameters=hyperparameters,
        provider_options=provider_options,
        train=train,
        validation=validation,
        drop_errors=drop_errors,
    )
    if confirm is not None:
        confirm(move)
    return run(move, source, client, folder=folder, budget=budget, comparison=comparison, progress=progress)


def run(
    move: Move,
    source: Source,
    client: Client,
    *,
    folder: str | os.PathLike[str],
    budget: float | Decimal | None = None,
    comparison: Comparison | None = AS_USUAL,
    progress: bool | Progress = True,
) -> Moved:
    """Makes a move that was planned. The arguments are those of `migrate`.

    Raises:
        FtkitError: As from `migrate`.
    """
    broken = [each for each in move.report.errors if each.line is not None]
    if broken:  # what is wrong with the request itself, `fine_tune` refuses
        refused = len({(each.source, each.line) for each in broken})
        summary = f"{move.provider} refuses {counted(refused, 'row')} of the old data; nothing was sent."
        hint = "drop_errors=True (`--drop-errors`) leaves them out, and tells which."
        raise DatasetError(f"{summary} {hint}", broken)
    questions = _questions(move, comparison)  # before anything is paid: what is wrong with them is told at once
    job = client.fine_tune(
        move.model,
        move.train,
        validation=move.validation,
        method=move.method,
        suffix=move.suffix,
        seed=move.seed,
        metadata=move.metadata,
        provider_options=move.provider_options,
        budget=budget,
        progress=progress,
    )
    moved = Moved(move=move, job=job)
    if comparison is None:
        return moved
    if not questions:
        return moved.model_copy(update={"not_compared": _NO_ROWS})
    found, why = compared(move.job, job, source, client, questions, Path(folder), comparison, progress=bool(progress))
    trained = questions_of(move.train, lenient=True)
    found = found.model_copy(update={"seen": known_by_heart(questions, trained)})
    return moved.model_copy(update={"evaluation": found, "not_compared": why})


def _questions(move: Move, comparison: Comparison | None) -> tuple[Question, ...]:
    """Returns what old and new are asked: the rows that are named, else those of the validation file that can be."""
    if comparison is None:
        return ()
    if comparison.rows is not None:
        return questions_of(comparison.rows, limit=comparison.limit)
    return questions_of(move.validation, limit=comparison.limit, lenient=True) if move.validation is not None else ()
