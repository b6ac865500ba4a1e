"""Asks all candidates all questions, several at a time, each question once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ftkit.errors import (
    ConfigurationError,
    CredentialsError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
    UnclearOutcomeError,
)
from ftkit.evaluate.answers import Answer, asked_of, key_of
from ftkit.evaluate.candidates import prompt_of
from ftkit.models import Deployment, counted
from ftkit.retrying import when_let_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from ftkit.client import Client
    from ftkit.evaluate.answers import Record
    from ftkit.evaluate.candidates import Candidate
    from ftkit.evaluate.questions import Question
    from ftkit.models import ChatMessage, ChatReply

_NOT_OF_THE_QUESTION = (
    CredentialsError,
    NotFoundError,
    ProviderUnavailableError,
    QuotaError,
    RateLimitError,
    UnclearOutcomeError,
)
"""What goes wrong with any question: it is raised. Any other refusal is of this question, and counts as no answer."""


@dataclass(frozen=True)
class _Task:
    candidate: Candidate
    place: int
    messages: Sequence[ChatMessage]
    asked: str
    key: str

    def recorded(self, record: Record) -> Answer | None:
        """Returns its answer, if it was asked before. Of who cannot be asked any more, any answer to this will do."""
        found = record.get(self.key)
        if found is None and self.candidate.client is None:
            return record.recall(self.candidate.account, self.candidate.model, self.asked)
        return found


def ask(
    candidates: Sequence[Candidate],
    questions: Sequence[Question],
    options: Mapping[str, Any],
    *,
    record: Record,
    at_once: int = 4,
    told: Callable[[str, int, Answer], object] | None = None,
) -> dict[str, list[Answer]]:
    """Returns the answers of each candidate, by its name, in the order of the questions.

    What is recorded already is not asked, and a candidate of whom all is recorded is not deployed. The others are
    deployed for as long as they are asked, side by side; their questions are sent in turn.

    Args:
        candidates: Who is asked.
        questions: What they are asked.
        options: How to answer: fields of `ChatOptions`; None is left to the provider.
        record: Where answers are kept.
        at_once: How many questions are out at a time, over all candidates.
        told: Is told of each new answer, with the name of the candidate and the place of the question; from several
            threads. What it raises ends the asking.

    Raises:
        ConfigurationError: A candidate has no client, and not all its answers are recorded.
        ProviderError: A candidate cannot be deployed or reached. The answers so far are in the record.
    """
    options = {name: value for name, value in options.items() if value is not None}
    tasks = {
        each.name: [_task(each, place, question, options) for place, question in enumerate(questions)]
        for each in candidates
    }
    open_ = [[task for task in of if task.recorded(record) is None] for of in tasks.values()]
    lacking = [each for each in open_ if each]
    for each in lacking:
        _demand_client(each[0].candidate, len(each))
    if lacking:
        with record.alone(), ExitStack() as stack:
            still = [[task for task in each if task.recorded(record) is None] for each in lacking]
            lacking = [each for each in still if each]
            deployments = _deployed(stack, [each[0].candidate for each in lacking])
            _ask_all(_in_turn(lacking), deployments, options, record, at_once, told)
    return {name: [_known(record, task) for task in of] for name, of in tasks.items()}


def _task(candidate: Candidate, place: int, question: Question, options: Mapping[str, Any]) -> _Task:
    messages = prompt_of(question, candidate.examples)
    asked = asked_of(messages)
    return _Task(candidate, place, messages, asked, key_of(candidate.account, candidate.model, asked, options))


def _known(record: Record, task: _Task) -> Answer:
    answer = task.recorded(record)
    assert answer is not None  # noqa: S101 - it was asked, or was there
    return answer


def _demand_client(candidate: Candidate, lacking: int) -> None:
    if candidate.client is None:
        message = f"{counted(lacking, 'answer')} of '{candidate.name}' are not recorded, and it cannot be asked"
        raise ConfigurationError(message, hint="Give it a client, or ask only the rows that were recorded.")


def _in_turn(lists: Sequence[Sequence[_Task]]) -> Iterable[_Task]:
    """Yields the first task of each list, then the second, and so on: all are asked under the same load."""
    for place in range(max(map(len, lists), default=0)):
        yield from (tasks[place] for tasks in lists if place < len(tasks))


def _deployed(stack: ExitStack, candidates: Sequence[Candidate]) -> dict[str, Deployment]:
    """Deploys what candidates ask, all at the same time; two candidates with one model share its deployment.

    Args:
        stack: Takes them down at its end, also those that came up beside one that failed.
        candidates: The candidates.
    """
    targets = {(id(each.client), each.model): each for each in candidates}
    if not targets:
        return {}

    def up(candidate: Candidate) -> Deployment:
        if isinstance(candidate.target, Deployment):
            return candidate.target
        block = _client(candidate).deployed(candidate.target)
        deployment = block.__enter__()
        stack.push(block)
        return deployment

    with ThreadPoolExecutor(len(targets), thread_name_prefix="ftkit-deploy") as pool:
        found = dict(zip(targets, pool.map(up, targets.values()), strict=True))
    return {each.name: found[id(each.client), each.model] for each in candidates}


def _client(candidate: Candidate) -> Client:
    assert candidate.client is not None  # noqa: S101 - it was demanded before
    return candidate.client


def _ask_all(
    tasks: Iterable[_Task],
    deployments: Mapping[str, Deployment],
    options: Mapping[str, Any],
    record: Record,
    at_once: int,
    told: Callable[[str, int, Answer], object] | None,
) -> None:
    stopped = threading.Event()

    def one(task: _Task) -> None:
        if stopped.is_set():
            return
        try:
            answer = record.get(task.key) or _ask(task, deployments[task.candidate.name], options)
            record.add(answer)
            if told is not None:
                told(task.candidate.name, task.place, answer)
        except BaseException:
            stopped.set()  # here, and not by who waits: the next question would be out by then
            raise

    with ThreadPoolExecutor(at_once, thread_name_prefix="ftkit-ask") as pool:
        futures = [pool.submit(one, task) for task in tasks]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
    _raise_first(futures, record)


def _raise_first(futures: Sequence[Future[None]], record: Record) -> None:
    for future in futures:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            kept = f"are kept in '{record.path}': run it again with that" if record.path else "are not kept"
            error.add_note(f"{counted(len(record), 'answer')} so far {kept}.")
            raise error


def _ask(task: _Task, deployment: Deployment, options: Mapping[str, Any]) -> Answer:
    """Asks a question, once; only what was turned away for want of time (429) is sent again."""
    asked_at, reply, error, seconds = datetime.now(UTC), None, None, 0.0

    def sent() -> tuple[ChatReply, float]:
        began = time.monotonic()
        return _client(task.candidate).chat(deployment, task.messages, **options), time.monotonic() - began

    try:
        reply, seconds = when_let_in(sent)
    except _NOT_OF_THE_QUESTION:
        raise
    except ProviderError as refusal:
        error = str(refusal)
    usage = reply.usage if reply is not None else None
    return Answer(
        key=task.key,
        asked=task.asked,
        account=task.candidate.account,
        model=task.candidate.model,
        options=dict(options),
        text=None if reply is None else reply.text,
        error=error,
        seconds=seconds,
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        completion_tokens=None if usage is None else usage.completion_tokens,
        asked_at=asked_at,
    )
