"""Evaluations: held-out rows, asked of several models, scored, and laid side by side."""

from __future__ import annotations

import math
import statistics
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from tqdm import tqdm

from ftkit.errors import ConfigurationError, FtkitError
from ftkit.evaluate.answers import Record
from ftkit.evaluate.asking import ask
from ftkit.evaluate.candidates import Candidate
from ftkit.evaluate.candidates import few_shot as draw
from ftkit.evaluate.choosing import check_wanted
from ftkit.evaluate.costs import break_even
from ftkit.evaluate.intervals import check_confidence, mean_of
from ftkit.evaluate.matching import exact_match
from ftkit.evaluate.outcome import Evaluation, Judged, Standing
from ftkit.evaluate.questions import questions_of
from ftkit.evaluate.scoring import name_of
from ftkit.evaluate.verdicts import PAID, verdict_on
from ftkit.models import Checkpoint, Deployment, FineTuningJob

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from ftkit.client import Client
    from ftkit.evaluate.answers import Answer
    from ftkit.evaluate.questions import Question, Rows
    from ftkit.evaluate.scoring import Scorer

BASE, FEW_SHOT, TUNED = "base", "few-shot", "tuned"


def evaluate(
    client: Client,
    rows: Rows,
    tuned: FineTuningJob | Checkpoint | Deployment | str,
    *,
    base: Deployment | str | None = None,
    few_shot: Rows | None = None,
    shots: int = 3,
    metric: Scorer | Sequence[Scorer] = exact_match,
    columns: Mapping[str, str] | None = None,
    limit: int | None = None,
    max_tokens: int | None = None,
    temperature: float | None = 0.0,
    at_once: int = 4,
    least_gain: float = 0.0,
    confidence: float = 0.95,
    record: str | os.PathLike[str] | Record | None = None,
    progress: bool = True,
) -> Evaluation:
    """Asks held-out rows of a tuned model, of its base model, and of that with examples in its prompt: did it pay?

    What has to be deployed for it stands for as long as it is asked. Answers cost what the provider asks for them:
    rows x models calls, of which the few-shot ones have the longest prompts.

    Args:
        client: The client of the provider that has all of them.
        rows: Held-out rows, which were not trained on: a file in any format, or records or conversations in a list.
            The last message is the answer that is wanted.
        tuned: The tuned model: its job, a checkpoint, its name, or a deployment of it.
        base: The base model: its name, a role, or a deployment of it; that of the job if None.
        few_shot: The rows from which examples for the prompt are taken, such as the training file; None asks no such
            model.
        shots: How many examples.
        metric: What says how good an answer is: one scorer or several, of which the first decides.
        columns: The files' own column names -> those of the record.
        limit: The most rows to ask.
        max_tokens: The most tokens of an answer; the provider's own bound if None.
        temperature: 0 picks the likeliest token every time; None sends nothing, for models that take none.
        at_once: How many questions are out at a time.
        least_gain: By how much the tuned model must be better to have paid, as a share of 1.
        confidence: How sure the intervals are to hold the true values.
        record: A file that keeps the answers: what is in it is not asked again. None keeps nothing.
        progress: Show on a terminal how far it is.

    Raises:
        DatasetError: A row has no answer at its end; it holds all such rows.
        ConfigurationError: No base model is known, or an argument is wrong. Nothing was asked.
        ProviderError: A model cannot be deployed or asked. What was answered so far is in the record.
    """
    base = tuned.model if base is None and isinstance(tuned, FineTuningJob) else base
    if base is None:
        hint = "Give the job itself, client.get_job('...'), or name it: base=\"gpt-4.1-mini\"."
        raise ConfigurationError("it is not known which base model was tuned", hint=hint)
    questions = questions_of(rows, columns=columns, limit=limit)
    candidates, seen = [Candidate(BASE, base, client)], 0
    if few_shot is not None:
        others = questions_of(few_shot, columns=columns, lenient=True)
        candidates.append(Candidate(FEW_SHOT, base, client, draw(others, shots)))
        seen = known_by_heart(questions, others)
    candidates.append(Candidate(TUNED, tuned, client))
    found = compare(
        questions,
        candidates,
        subject=TUNED,
        metric=metric,
        max_tokens=max_tokens,
        temperature=temperature,
        at_once=at_once,
        least_gain=least_gain,
        confidence=confidence,
        record=record,
        progress=progress,
    )
    found = found.model_copy(update={"seen": seen})
    if not isinstance(tuned, FineTuningJob):
        return found
    before = found[BASE if few_shot is None else FEW_SHOT]
    return found.model_copy(update={"break_even": break_even(client, tuned, before, found[TUNED])})


def compare(
    rows: Rows,
    candidates: Sequence[Candidate],
    *,
    subject: str | None = None,
    rivals: Sequence[str] | None = None,
    question: str = PAID,
    metric: Scorer | Sequence[Scorer] = exact_match,
    max_tokens: int | None = None,
    temperature: float | None = 0.0,
    at_once: int = 4,
    least_gain: float = 0.0,
    confidence: float = 0.95,
    record: str | os.PathLike[str] | Record | None = None,
    progress: bool = True,
) -> Evaluation:
    """Asks the same rows of any models, of one provider or of several, and lays what comes of it side by side.

    Args:
        rows: The rows, as for `evaluate`.
        candidates: The models, each with a name of its own.
        subject: The one that the verdict is about; the last if None.
        rivals: Those that it is held against, by the best of whom the verdict is found; all others if None.
        question: What the verdict answers.
        metric: As for `evaluate`.
        max_tokens: Likewise.
        temperature: Likewise.
        at_once: Likewise.
        least_gain: By how much the subject must be better than the best of the others. Below 0, it may be worse by so
            much.
        confidence: Likewise.
        record: Likewise.
        progress: Likewise.

    Raises:
        FtkitError: As from `evaluate`.
    """
    scorers = _scorers(metric)
    names = [each.name for each in candidates]
    subject = _subject(names, subject)
    _check(at_once, least_gain, confidence)
    questions = questions_of(rows)
    for scorer in scorers:
        check_wanted(scorer, questions)
    record = record if isinstance(record, Record) else Record(record)
    said = {"temperature": temperature, "max_tokens": max_tokens}
    options = {name: value for name, value in said.items() if value is not None}
    shown = None if progress else True  # None: unless it is a terminal
    scoring = _Scoring(scorers, questions)
    with tqdm(desc="asking", unit=" answers", total=len(questions) * len(candidates), disable=shown) as bar:

        def take(name: str, place: int, answer: Answer) -> None:
            scoring.score(name, place, answer)
            bar.update()

        answers = ask(candidates, questions, options, record=record, at_once=at_once, told=take)
    scores = {name: scoring.of(name, answers[name], at_once) for name in names}
    first = name_of(scorers[0])
    compared = {*names} if rivals is None else {*rivals, subject}
    deciding = {name: scores[name][first] for name in names if name in compared and _has_answered(answers[name])}
    how: dict[str, Any] = {"question": question, "least_gain": least_gain, "confidence": confidence}
    return Evaluation(
        standings=tuple(_standing(each, answers[each.name], scores[each.name], confidence) for each in candidates),
        verdict=verdict_on(subject, deciding, metric=first, **how) if subject in deciding else None,
        rows=tuple(_judged(at, each, answers, scores, first) for at, each in enumerate(questions)),
        at_once=at_once,
        notes=tuple(note for name in names for note in _asked_otherwise(name, answers[name], options)),
    )


def _asked_otherwise(name: str, answers: Sequence[Answer], options: Mapping[str, Any]) -> list[str]:
    """Says of which model answers count that were recorded with other options, which may have cut them short."""
    other = next((each.options for each in answers if each.options != options), None)
    if other is None:
        return []
    return [f"Beware: {name} was asked with {_in_words(other)}, and not with {_in_words(options)}."]


def _in_words(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(options.items())) or "no options"


def known_by_heart(questions: Iterable[Question], trained: Iterable[Question]) -> int:
    """Returns how many questions stand among the rows that were trained on."""
    return len({*map(_said, questions)} & {*map(_said, trained)})


def _said(question: Question) -> tuple[str, str]:
    return question.text, question.wanted


def _scorers(metric: Scorer | Sequence[Scorer]) -> list[Scorer]:
    scorers = [metric] if callable(metric) else [*metric] if isinstance(metric, (list, tuple)) else []
    if not scorers or not all(map(callable, scorers)):
        raise ConfigurationError(
            f"metric is a function of an answer and its question, or several (got {metric!r:.80})",
            hint="exact_match, json_match, set_f1, ExecutionMatch() and Judge(...) are there: ftkit.evaluate.",
        )
    names = [name_of(each) for each in scorers]
    if len({*names}) < len(names):
        raise ConfigurationError(f"two metrics have one name: {', '.join(names)}", hint="Give each a `name`.")
    return scorers


def _subject(names: Sequence[str], subject: str | None) -> str:
    """Returns the name of the model that the verdict is about; the last if none is named."""
    wanted = names[-1] if subject is None and names else subject
    if wanted is None or wanted not in names or len({*names}) < len(names):
        message = f"the models need names of their own, one of which is the subject's (got {', '.join(names) or 'none'}"
        raise ConfigurationError(f"{message}; subject {wanted!r})")
    return wanted


def _check(at_once: int, least_gain: float, confidence: float) -> None:
    check_confidence(confidence)
    if at_once < 1:
        raise ConfigurationError(f"at_once is how many questions are out at a time, 1 or more (got {at_once!r})")
    if not -1 <= least_gain <= 1:
        raise ConfigurationError(f"least_gain is a share, -1 to 1 (got {least_gain!r})", hint="5 points are 0.05.")


class _Scoring:
    """Scores answers as they come, so that a metric that fails ends the asking at once.

    Args:
        scorers: The metrics.
        questions: The questions.
    """

    def __init__(self, scorers: Sequence[Scorer], questions: Sequence[Question]) -> None:
        self._scorers = scorers
        self._questions = questions
        self._known: dict[tuple[str, int], list[float]] = {}

    def score(self, name: str, place: int, answer: Answer) -> list[float]:
        """Returns the scores of a candidate's answer, by each metric."""
        known = self._known.get((name, place))
        if known is None:
            question = self._questions[place]
            known = self._known[name, place] = [_score(scorer, question, answer) for scorer in self._scorers]
        return known

    def of(self, name: str, answers: Sequence[Answer], at_once: int) -> dict[str, list[float]]:
        """Returns all scores of a candidate; those of recorded answers now, several at a time: a judge is far away."""
        with ThreadPoolExecutor(at_once, thread_name_prefix="ftkit-score") as pool:
            rows = [*pool.map(partial(self.score, name), range(len(answers)), answers)]
        return {name_of(scorer): [row[n] for row in rows] for n, scorer in enumerate(self._scorers)}


def _score(scorer: Scorer, question: Question, answer: Answer) -> float:
    """Returns the score of an answer; what was refused is wrong.

    Raises:
        ConfigurationError: The scorer fails, or returns something else than a share.
    """
    if answer.text is None:
        return 0.0
    try:
        score = cast("object", scorer(answer.text, question))
    except FtkitError:
        raise
    except Exception as error:
        message = f"the metric '{name_of(scorer)}' fails on line {question.line}: {type(error).__name__}: {error}"
        hint = "A metric takes an answer and its question, and must take any answer, however wrong."
        raise ConfigurationError(message, hint=hint) from error
    if not isinstance(score, (int, float)) or not 0 <= score <= 1:
        message = f"the metric '{name_of(scorer)}' gives {score!r:.80} for line {question.line}"
        raise ConfigurationError(message, hint="A score goes from 0 (wrong) to 1 (right), or is True or False.")
    return float(score)


def _has_answered(answers: Sequence[Answer]) -> bool:
    return any(each.text is not None for each in answers)


def _standing(
    candidate: Candidate, answers: Sequence[Answer], scores: Mapping[str, Sequence[float]], confidence: float
) -> Standing:
    given = [each for each in answers if each.text is not None]
    times = sorted(each.seconds for each in given)
    refused = [each for each in answers if each.text is None]
    return Standing(
        name=candidate.name,
        model=candidate.model,
        account=candidate.account,
        scores={name: mean_of(each, confidence) for name, each in scores.items()},
        asked=len(answers),
        unanswered=len(refused),
        refusal=refused[0].error if refused else None,
        prompt_tokens=_mean([each.prompt_tokens for each in given]),
        completion_tokens=_mean([each.completion_tokens for each in given]),
        seconds=statistics.median(times) if times else None,
        slowest_seconds=times[math.ceil(0.95 * len(times)) - 1] if times else None,
    )


def _mean(counts: Sequence[int | None]) -> float | None:
    known = [each for each in counts if each is not None]
    return statistics.fmean(known) if known and len(known) == len(counts) else None


def _judged(
    at: int,
    question: Question,
    answers: Mapping[str, Sequence[Answer]],
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    metric: str,
) -> Judged:
    last: Any = question.messages[-1].content
    return Judged(
        line=question.line,
        asked=last if isinstance(last, str) else question.text,
        before=question.model_copy(update={"messages": question.messages[:-1]}).text,
        wanted=question.wanted,
        answers={name: each[at].text for name, each in answers.items()},
        scores={name: each[metric][at] for name, each in scores.items()},
    )
