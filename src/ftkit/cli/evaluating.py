"""`ftkit evaluate`: did the tuning pay?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli._app import app
from ftkit.cli._jobs import Job, named
from ftkit.cli._names import Provider  # noqa: TC001 - Typer reads it
from ftkit.cli._output import Json, print_json
from ftkit.cli._pairs import Columns  # noqa: TC001 - Typer reads it
from ftkit.cli._told import taken_up_again, told

Metric = Annotated[
    str | None,
    typer.Option(help="exact, json, set-f1 or sql; the one that suits the answers if left out."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="The most rows to ask.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="The most tokens of an answer.")]
AtOnce = Annotated[int, typer.Option(min=1, help="How many questions are out at a time.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Writes it to a file as well: .md, .html or .json.")
]


@app.command()
def evaluate(
    job: Job,
    rows: Annotated[str, typer.Argument(help="Held-out rows, each ending with the answer that is wanted.")],
    base: Annotated[str | None, typer.Option(help="The base model, if it is not the job's own.")] = None,
    few_shot: Annotated[
        str | None,
        typer.Option(help="Asks the base model with examples as well, drawn from this file: the training file."),
    ] = None,
    shots: Annotated[int, typer.Option(min=1, help="With --few-shot: how many examples.")] = 3,
    metric: Metric = None,
    limit: Limit = None,
    max_tokens: MaxTokens = None,
    at_once: AtOnce = 4,
    least_gain: Annotated[
        float, typer.Option(min=-1, max=1, help="By how much it must be better to have paid: 0.05 is five points.")
    ] = 0.0,
    confidence: Annotated[float, typer.Option(help="How sure the intervals are to hold the true values.")] = 0.95,
    columns: Columns = None,
    record: Annotated[
        Path | None, typer.Option(help="A file that keeps the answers: what is in it is not asked again.")
    ] = None,
    output: Output = None,
    provider: Provider = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Asks held-out rows of a tuned model, and of its base model: a table, and whether it paid. Answers cost.

    A model that has to be deployed for it stands for as long as it is asked.
    """
    from ftkit import evaluate as evaluating
    from ftkit.checkup import columns_of
    from ftkit.evaluate.telling import check_target

    kept = "The answers so far are kept: the same command goes on." if record else "--record FILE keeps the answers."
    with told(as_json=as_json), taken_up_again(kept):
        if output is not None:
            check_target(output)
        it, own = named(job, provider), columns_of(columns or ())
        questions = evaluating.questions_of(rows, columns=own, limit=limit)
        found = evaluating.evaluate(
            it.client,
            questions,
            it.client.get_job(it.id),
            base=base,
            few_shot=None if few_shot is None else evaluating.questions_of(few_shot, columns=own, lenient=True),
            shots=shots,
            metric=evaluating.suited(questions) if metric is None else evaluating.metric_named(metric),
            max_tokens=max_tokens,
            at_once=at_once,
            least_gain=least_gain,
            confidence=confidence,
            record=record,
            progress=not as_json,
        )
        if output is not None:
            found.save(output)
    if as_json:
        print_json([found])
    else:
        typer.echo(str(found))
